"""Whether callers that were admitted a while ago would still be admitted: for work that lasts longer than a request."""

from collections.abc import Collection, Iterator, Mapping

from django.contrib.auth import get_user_model
from django.utils import timezone

from . import keys
from .policy import decide
from .principals import Principal, of_staff
from .rules import Rule
from .tokens import checking


def where(names: Collection[str], rule: Rule) -> Mapping[str, frozenset[str] | None]:
    """In which spaces each of these principals may still do it, None everywhere; nothing of those who may nowhere: keys
    that are revoked or have expired, people who are no members of staff, names of tokens for which there is no rule.

    names: as `Principal.name` has them
    """
    found: dict[str, frozenset[str] | None] = {}
    for principal in _known(names):
        spaces = decide(principal, rule.permissions).spaces
        if spaces is None or spaces:
            found[principal.name] = spaces
    return found


def _known(names: Collection[str]) -> Iterator[Principal]:
    by_kind: dict[str, set[str]] = {"key": set(), "user": set(), "token": set()}
    for name in names:
        kind, _, rest = name.partition(":")
        by_kind.setdefault(kind, set()).add(rest)
    now = timezone.now()
    for key in keys.with_grants().filter(name__in=by_kind["key"]):
        if key.is_usable(now):
            yield keys.principal_of(key)
    if by_kind["user"]:
        model = get_user_model()
        for user in model._default_manager.filter(**{f"{model.USERNAME_FIELD}__in": by_kind["user"]}):
            principal = of_staff(user)
            if principal is not None:
                yield principal
    for name in by_kind["token"]:
        token = checking.named(name)
        if token is not None:
            yield token
