"""Whether callers that were admitted a while ago would still be admitted: for work that lasts longer than a request."""

from collections.abc import Collection

from django.contrib.auth import get_user_model
from django.utils import timezone

from . import keys
from .principals import of_staff
from .rules import Rule
from .tokens import checking


def in_good_standing(names: Collection[str], rule: Rule) -> set[str]:
    """Those of these principals who may still do it: keys that are neither revoked nor expired, members of staff, and
    names of tokens for which there is a rule.

    names: as `Principal.name` has them
    """
    by_kind: dict[str, set[str]] = {"key": set(), "user": set(), "token": set()}
    for name in names:
        kind, _, rest = name.partition(":")
        by_kind.setdefault(kind, set()).add(rest)
    now = timezone.now()
    good = {
        f"key:{key.name}"
        for key in keys.with_grants().filter(name__in=by_kind["key"])
        if key.is_usable(now) and keys.principal_of(key).may(rule)
    }
    if by_kind["user"]:
        model = get_user_model()
        for user in model._default_manager.filter(**{f"{model.USERNAME_FIELD}__in": by_kind["user"]}):
            principal = of_staff(user)
            if principal is not None and principal.may(rule):
                good.add(principal.name)
    for name in by_kind["token"]:
        token = checking.named(name)
        if token is not None and token.may(rule):
            good.add(token.name)
    return good
