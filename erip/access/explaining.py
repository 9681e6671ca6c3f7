"""Why somebody may do something, or may not: the decision of `policy`, with the grants that it follows from."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission as DjangoPermission
from django.utils import timezone

from erip.foundation.errors import EripError

from . import grants, keys
from .break_glass_models import giving
from .catalog import EVERYTHING, broader, closed, find, holders, permissions_of
from .models import ApiKey, Grant, Role
from .policy import decide
from .principals import Principal, rights_of
from .scopes import Scope


class UnknownPrincipal(EripError):
    """There is no person or API key of that name. Write `user:NAME` or `key:NAME`."""

    code = "unknown_principal"
    status = 404


@dataclass(frozen=True, slots=True)
class Source:
    """Something that gives permissions.

    kind: `superuser`, `scope` (of a key), `grant`, `permission` (one of Django's own), or `emergency`
    role: of a scope or a grant; through: the group, or "" for the caller itself; space: "" is everything
    """

    kind: str
    role: str = ""
    through: str = ""
    space: str = ""
    permission: str = ""


def explain(name: str, needs: Sequence[str], *, space: str | None = None) -> dict[str, Any]:
    """Whether this caller may do what needs these permissions, and why.

    name: `user:…` or `key:…`. space: of the object; None asks about everything. needs: none is what only those may do
    who may do everything. Raises UnknownPrincipal.

    Returns principal, allowed, closed (why it gets in nowhere at the moment; "": it does), spaces (where it is allowed;
    null: everywhere), and permissions, each with `permission`, `meaning`, `allowed`, `because` (the sources that give
    it here) and `roles` (the built-in roles that have it).
    """
    caller, sources, shut = _who(name)
    decision = decide(caller, needs, space=space)
    parts = []
    for one in needs:
        because = [source for source, gives in sources if _gives(gives, one) and source.space in ("", space)]
        known = find(one)
        parts.append(
            {
                "permission": one,
                "meaning": known.meaning if known is not None else "",
                "allowed": bool(because),
                "because": [asdict(source) for source in because],
                "roles": holders(one),
            }
        )
    return {
        "principal": name,
        "allowed": decision.allowed and not shut,
        "closed": shut,
        "spaces": None if decision.spaces is None else sorted(decision.spaces),
        "permissions": parts,
    }


def sentence(found: dict[str, Any]) -> str:
    """What `explain` found, in words."""
    name = found["principal"]
    if found["closed"]:
        return f"{name} may do nothing: {found['closed']}."
    missing = [part["permission"] for part in found["permissions"] if not part["allowed"]]
    if found["allowed"]:
        reasons = sorted({_words(why) for part in found["permissions"] for why in part["because"]})
        return f"{name} may: {'; '.join(reasons) or 'they may do everything'}."
    if not found["permissions"]:
        return f"{name} may not: only those may who may do everything."
    where = f" Elsewhere it may: in {', '.join(found['spaces'])}." if found["spaces"] else ""
    return f"{name} may not: it lacks {', '.join(missing)}.{where}"


def _words(why: dict[str, str]) -> str:
    where = f" in {why['space']}" if why["space"] else ""
    through = f" through the group {why['through']}" if why["through"] else ""
    if why["kind"] == "superuser":
        return "they are a superuser"
    if why["kind"] == "scope":
        return f"the scope of the key is the role {why['role']}"
    if why["kind"] == "emergency":
        return f"they have {why['permission']} as emergency access"
    if why["kind"] == "permission":
        return f"they have {why['permission']}{through}"
    return f"they were granted the role {why['role']}{where}{through}"


_Sources = list[tuple[Source, frozenset[str]]]


def _who(name: str) -> tuple[Principal, _Sources, str]:
    """The caller, what gives it which permissions, and why it gets in nowhere."""
    kind, _, rest = name.partition(":")
    if kind == "key":
        key = keys.with_grants().filter(name=rest).first()
        if key is not None:
            return keys.principal_of(key), list(_of_key(key)), _shut(key)
    if kind == "user":
        users = get_user_model()
        user: Any = users._default_manager.filter(**{users.USERNAME_FIELD: rest}).first()
        if user is not None:
            shut = "" if user.is_active and user.is_staff else _not_let_in(user)
            return rights_of(user), list(_of_user(user)), shut
    raise UnknownPrincipal


def _shut(key: ApiKey) -> str:
    if key.revoked_at is not None:
        return "the key is revoked"
    if not key.owner_is_active:
        return "the key's owner is not active"
    return "" if key.is_usable(timezone.now()) else "the key has expired"


def _not_let_in(user: Any) -> str:
    return "the account is not active" if not user.is_active else "the account has no staff status"


def _of_key(key: ApiKey) -> Iterator[tuple[Source, frozenset[str]]]:
    if key.scope:
        role = Scope(key.scope).role
        yield Source("scope", role), permissions_of(role)
    yield from _granted(list(grants.current().filter(key=key)))


def _of_user(user: Any) -> Iterator[tuple[Source, frozenset[str]]]:
    if user.is_superuser:
        yield Source("superuser"), frozenset({EVERYTHING})
    for glass in giving(holder=user.pk):
        for one in glass.permissions:
            yield Source("emergency", permission=one), closed([one])
    yield from _granted(list(grants.current().filter(grants.of_user(user)).select_related("group").distinct()))
    for path, through in (("user", ""), ("group__user", "group__name")):
        rows = DjangoPermission.objects.filter(**{path: user.pk}).order_by("pk")
        fields = ["content_type__app_label", "codename", *([through] if through else [])]
        for label, codename, *group in rows.values_list(*fields):
            one = f"{label}.{codename}"
            yield Source("permission", through=group[0] if group else "", permission=one), closed([one])


def _granted(found: Sequence[Grant]) -> Iterator[tuple[Source, frozenset[str]]]:
    own = dict(Role.objects.filter(name__in={one.role for one in found}).values_list("name", "permissions"))
    for one in found:
        through = one.group.name if one.group is not None else ""
        permissions = permissions_of(one.role) or closed(own.get(one.role, ()))
        yield Source("grant", one.role, through, one.space), permissions


def _gives(permissions: frozenset[str], needed: str) -> bool:
    return EVERYTHING in permissions or bool(broader(needed) & permissions)
