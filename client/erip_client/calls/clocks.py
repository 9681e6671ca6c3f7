"""Legal clocks: list, explain, stop, resume, amend, file, dismiss, new facts."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from erip_client.models import LegalClock, Listing, Page, Reassessed
from erip_client.models.base import Json

from .base import Call, given, moment, to_json

_OF_RUN = "/api/v1/runs/{id}/clocks"


def list_clocks(
    *,
    state: str | None = None,
    workflow: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
) -> Call[Page[LegalClock]]:
    """A page of the open legal clocks of all runs, by due."""
    return Call(
        operation="listClocks",
        method="GET",
        template="/api/v1/clocks",
        query=given(state=state, workflow=workflow, cursor=cursor, limit=limit),
        answers={200: Page[LegalClock]},
    )


def list_run_clocks(
    run_id: str | UUID, *, explain: bool | None = None, cursor: str | None = None, limit: int | None = None
) -> Call[Page[LegalClock]]:
    """A page of the legal clocks of a run, by due. explain: also how each deadline came about."""
    return Call(
        operation="listRunClocks",
        method="GET",
        template=_OF_RUN,
        path={"id": str(run_id)},
        query=given(explain=explain, cursor=cursor, limit=limit),
        answers={200: Page[LegalClock]},
    )


def stop_clock(
    run_id: str | UUID,
    clock: int,
    *,
    reason: str,
    article: str = "",
    at: datetime | str | None = None,
    idempotency_key: str | None = None,
) -> Call[LegalClock]:
    """Stop a clock; article: what allows that, where the duty names none."""
    return _change("stopClock", "stop", run_id, clock, idempotency_key, reason=reason, article=article, at=moment(at))


def resume_clock(
    run_id: str | UUID,
    clock: int,
    *,
    reason: str = "",
    at: datetime | str | None = None,
    idempotency_key: str | None = None,
) -> Call[LegalClock]:
    """Let a stopped clock go on."""
    return _change("resumeClock", "resume", run_id, clock, idempotency_key, reason=reason, at=moment(at))


def amend_clock(
    run_id: str | UUID,
    clock: int,
    *,
    reason: str,
    moments: Mapping[str, Json] | None = None,
    extended_until: datetime | str | None = None,
    idempotency_key: str | None = None,
) -> Call[LegalClock]:
    """Correct what a clock counts from, or note an extension that was granted."""
    return _change(
        "amendClock",
        "amend",
        run_id,
        clock,
        idempotency_key,
        reason=reason,
        moments=moments,
        extended_until=moment(extended_until),
    )


def file_clock(
    run_id: str | UUID,
    clock: int,
    *,
    reference: str,
    document: str = "",
    at: datetime | str | None = None,
    again: bool | None = None,
    idempotency_key: str | None = None,
) -> Call[LegalClock]:
    """The duty was met: reference is what the authority knows it by, document where the proof is kept. again: it was
    filed before, and has been filed again with news."""
    return _change(
        "fileClock",
        "file",
        run_id,
        clock,
        idempotency_key,
        reference=reference,
        document=document,
        at=moment(at),
        again=again,
    )


def dismiss_clock(
    run_id: str | UUID, clock: int, *, reason: str, idempotency_key: str | None = None
) -> Call[LegalClock]:
    """The duty does not apply."""
    return _change("dismissClock", "dismiss", run_id, clock, idempotency_key, reason=reason)


def learn_facts(
    run_id: str | UUID, *, reason: str, facts: Mapping[str, Json], idempotency_key: str | None = None
) -> Call[Listing[Reassessed]]:
    """What was learnt about an incident: its duties are assessed again."""
    return Call(
        operation="learnFacts",
        method="POST",
        template=f"{_OF_RUN}/facts",
        path={"id": str(run_id)},
        content=to_json({"reason": reason, "facts": facts}),
        answers={200: Listing[Reassessed]},
        keyed=True,
        key=idempotency_key,
    )


def list_reassessments(
    *, cause: str | None = None, cursor: str | None = None, limit: int | None = None
) -> Call[Page[Reassessed]]:
    """A page of the cases whose clocks a new fact or a change of the law changed, newest first."""
    return Call(
        operation="listReassessments",
        method="GET",
        template="/api/v1/clocks/reassessments",
        query=given(cause=cause, cursor=cursor, limit=limit),
        answers={200: Page[Reassessed]},
    )


def _change(
    operation: str, verb: str, run_id: str | UUID, clock: int, key: str | None, **body: Json
) -> Call[LegalClock]:
    return Call(
        operation=operation,
        method="POST",
        template=f"{_OF_RUN}/{{clock}}/{verb}",
        path={"id": str(run_id), "clock": clock},
        content=to_json(given(**body)),
        answers={200: LegalClock},
        keyed=True,
        key=key,
    )
