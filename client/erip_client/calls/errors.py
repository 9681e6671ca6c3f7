"""Errors in groups: list them, and say that one is fixed, does not matter, or does matter after all."""

from datetime import datetime

from erip_client.models import ErrorGroupDetail, ListedErrorGroup, Page

from .base import Call, given, moment, to_json


def list_errors(
    *,
    state: str | None = None,
    source: str | None = None,
    text: str | None = None,
    new_since: datetime | str | None = None,
    cursor: int | str | None = None,
    limit: int | None = None,
) -> Call[Page[ListedErrorGroup]]:
    """A page of groups, seen last first. state: open, resolved, ignored, or regression. text: part of the title, of
    what failed, or of `name@version`."""
    return Call(
        operation="listErrors",
        method="GET",
        template="/api/v1/errors",
        query=given(state=state, source=source, text=text, new_since=moment(new_since), cursor=cursor, limit=limit),
        answers={200: Page[ListedErrorGroup]},
    )


def get_error(id: int, *, range: str | None = None) -> Call[ErrorGroupDetail]:
    """A group, with its counts over this range, such as `14d`."""
    return Call(
        operation="getError",
        method="GET",
        template="/api/v1/errors/{id}",
        path={"id": id},
        query=given(range=range),
        answers={200: ErrorGroupDetail},
    )


def resolve_error(
    id: int,
    *,
    reason: str,
    release: str | None = None,
    workflow: str | None = None,
    version: int | None = None,
    idempotency_key: str | None = None,
) -> Call[ErrorGroupDetail]:
    """Say that it is fixed. release, or workflow and version: what the fix is in."""
    return Call(
        operation="resolveError",
        method="POST",
        template="/api/v1/errors/{id}/resolve",
        path={"id": id},
        content=to_json({"reason": reason, **given(release=release, workflow=workflow, version=version)}),
        answers={200: ErrorGroupDetail},
        keyed=True,
        key=idempotency_key,
    )


def ignore_error(id: int, *, reason: str, idempotency_key: str | None = None) -> Call[ErrorGroupDetail]:
    """Say that it does not matter."""
    return Call(
        operation="ignoreError",
        method="POST",
        template="/api/v1/errors/{id}/ignore",
        path={"id": id},
        content=to_json({"reason": reason}),
        answers={200: ErrorGroupDetail},
        keyed=True,
        key=idempotency_key,
    )


def reopen_error(id: int, *, reason: str, idempotency_key: str | None = None) -> Call[ErrorGroupDetail]:
    """Say that it does matter after all."""
    return Call(
        operation="reopenError",
        method="POST",
        template="/api/v1/errors/{id}/reopen",
        path={"id": id},
        content=to_json({"reason": reason}),
        answers={200: ErrorGroupDetail},
        keyed=True,
        key=idempotency_key,
    )
