"""Who may do what, and the API keys."""

from collections.abc import Sequence
from datetime import datetime

from erip_client.models import AccessExplained, ApiKey, ApiKeyMade, Page

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
