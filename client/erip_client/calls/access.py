"""Who may do what, the API keys, and emergency access."""

from collections.abc import Sequence
from datetime import datetime

from erip_client.models import AccessExplained, ApiKey, ApiKeyMade, BreakGlass, Page

from .base import ABSENT, Call, given, moment, to_json

_KEY = "/api/v1/keys/{number}"


def explain_access(action: str, *, principal: str | None = None, object: str | None = None) -> Call[AccessExplained]:
    """Why a caller may do something, or may not.

    action: a permission such as `workflows.start_run`, or a method and an address such as `POST /api/v1/runs/bulk`.
    principal: `user:NAME` or `key:NAME`; None: the caller of this key. object: `run:ID`, `workflow:NAME`,
    `schedule:NAME` or `space:NAME`; None: everything.
    """
    return Call(
        operation="explainAccess",
        method="GET",
        template="/api/v1/access/explain",
        query=given(action=action, principal=principal, object=object),
        answers={200: AccessExplained},
    )


def list_keys(*, owner: str | None = None, cursor: str | None = None, limit: int | None = None) -> Call[Page[ApiKey]]:
    """A page of API keys, newest first. owner: a username."""
    return Call(
        operation="listKeys",
        method="GET",
        template="/api/v1/keys",
        query=given(owner=owner, cursor=cursor, limit=limit),
        answers={200: Page[ApiKey]},
    )


def make_key(
    name: str,
    owner: str,
    *,
    scope: str = "",
    expires_at: datetime | None = None,
    networks: Sequence[str] = (),
    rate: int | None = None,
    sources: Sequence[str] = ("*",),
    types: Sequence[str] = ("*",),
) -> Call[ApiKeyMade]:
    """Make an API key; the answer alone holds it. owner: the username of the person who answers for it.

    Not repeated if the answer is lost: the name is taken then, and rotate_key gives a secret.
    """
    body = {
        "name": name, "owner": owner, "scope": scope, "expires_at": moment(expires_at), "networks": list(networks),
        "rate": rate, "sources": list(sources), "types": list(types),
    }  # fmt: skip
    return Call(
        operation="makeKey",
        method="POST",
        template="/api/v1/keys",
        content=to_json(body),
        answers={201: ApiKeyMade},
    )


def get_key(number: int) -> Call[ApiKey]:
    """What is known of an API key."""
    return Call(
        operation="getKey",
        method="GET",
        template=_KEY,
        path={"number": str(number)},
        answers={200: ApiKey},
    )


def change_key(
    number: int,
    *,
    owner: str | None = None,
    expires_at: datetime | None = ABSENT,
    networks: Sequence[str] | None = None,
    rate: int | None = ABSENT,
    sources: Sequence[str] | None = None,
    types: Sequence[str] | None = None,
    idempotency_key: str | None = None,
) -> Call[ApiKey]:
    """Change an API key; what is not given stays. expires_at, rate: None takes the limit away."""
    body = given(owner=owner, networks=networks, sources=sources, types=types)
    if expires_at is not ABSENT:
        body["expires_at"] = moment(expires_at)
    if rate is not ABSENT:
        body["rate"] = rate
    return Call(
        operation="changeKey",
        method="PATCH",
        template=_KEY,
        path={"number": str(number)},
        content=to_json(body),
        answers={200: ApiKey},
        keyed=True,
        key=idempotency_key,
    )


def rotate_key(number: int, *, old_until: datetime | None = None) -> Call[ApiKeyMade]:
    """Exchange an API key's secret; the answer alone holds the new key. old_until: until when the old one works, by
    default a day. Not repeated if the answer is lost: rotate it once more then."""
    return Call(
        operation="rotateKey",
        method="POST",
        template=f"{_KEY}/rotate",
        path={"number": str(number)},
        content=to_json({} if old_until is None else {"old_until": moment(old_until)}),
        answers={200: ApiKeyMade},
    )


def revoke_key(number: int, *, idempotency_key: str | None = None) -> Call[ApiKey]:
    """Close an API key for good."""
    return Call(
        operation="revokeKey",
        method="POST",
        template=f"{_KEY}/revoke",
        path={"number": str(number)},
        answers={200: ApiKey},
        keyed=True,
        key=idempotency_key,
    )


def list_break_glass(*, cursor: str | None = None, limit: int | None = None) -> Call[Page[BreakGlass]]:
    """A page of emergency access, newest first."""
    return Call(
        operation="listBreakGlass",
        method="GET",
        template="/api/v1/break-glass",
        query=given(cursor=cursor, limit=limit),
        answers={200: Page[BreakGlass]},
    )


def ask_break_glass(
    permissions: Sequence[str], reason: str, minutes: int, *, idempotency_key: str | None = None
) -> Call[BreakGlass]:
    """Ask for permissions in an emergency. Only for people who are signed in."""
    return Call(
        operation="askBreakGlass",
        method="POST",
        template="/api/v1/break-glass",
        content=to_json({"permissions": list(permissions), "reason": reason, "minutes": minutes}),
        answers={201: BreakGlass},
        keyed=True,
        key=idempotency_key,
    )


def grant_break_glass(number: int, *, idempotency_key: str | None = None) -> Call[BreakGlass]:
    """Grant what somebody else asked for. Only for people who are signed in."""
    return _break_glass("grantBreakGlass", number, "grant", idempotency_key)


def end_break_glass(number: int, *, idempotency_key: str | None = None) -> Call[BreakGlass]:
    """End emergency access now, or take the request back. Only for people who are signed in."""
    return _break_glass("endBreakGlass", number, "end", idempotency_key)


def review_break_glass(number: int, review: str, *, idempotency_key: str | None = None) -> Call[BreakGlass]:
    """Review emergency access that is over. Only for people who are signed in."""
    return _break_glass("reviewBreakGlass", number, "review", idempotency_key, to_json({"review": review}))


def _break_glass(
    operation: str, number: int, what: str, key: str | None, content: bytes | None = None
) -> Call[BreakGlass]:
    return Call(
        operation=operation,
        method="POST",
        template=f"/api/v1/break-glass/{{number}}/{what}",
        path={"number": str(number)},
        content=content,
        answers={200: BreakGlass},
        keyed=True,
        key=key,
    )
