"""Legal clocks for tests, without the step that starts them."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from workflows.clocks.models import LegalCase, LegalClock, State
from workflows.clocks.reckoning import refresh

DUTY: dict[str, Any] = {
    "regime": "GDPR", "title": "Notify the authority", "authority": "The authority", "wording": "72 hours",
    "citation": "Art. 33(1)", "source_url": "https://eur-lex.europa.eu/eli/reg/2016/679/oj", "stops": "",
    "verified": True, "reviewed_on": "2026-08-22",
    "clocks": [{"trigger": "detected", "amount": 72, "unit": "hours", "ends": [{"rule": "eu"}]}],
}  # fmt: skip


def unsaved(
    detected: datetime,
    *,
    run_id: uuid.UUID | None = None,
    obligation: str = "gdpr-33",
    workflow: str = "breach-response",
    **duty: Any,
) -> LegalClock:
    """A clock, with its case, of which neither is saved."""
    run_id = run_id or uuid.uuid4()
    case = LegalCase(
        id=LegalCase.id_of(str(run_id), "compliance", -1),
        run_id=run_id,
        step="compliance",
        workflow=workflow,
        as_of=detected,
    )
    row = LegalClock(
        case=case,
        run_id=run_id,
        workflow=workflow,
        obligation=obligation,
        duty=DUTY | duty,
        facts={
            "moments": {"detected": detected.isoformat()}, "amended": {}, "assumed": [], "places": ["DE"], "facts": [],
            "submitted": {},
        },
        state=State.WAITING,
    )  # fmt: skip
    refresh(row, datetime.now(UTC))
    row.turn = 0
    return row


def saved(rows: list[LegalClock]) -> list[LegalClock]:
    LegalCase.objects.bulk_create([row.case for row in rows], batch_size=2_000, ignore_conflicts=True)
    return LegalClock.objects.bulk_create(rows, batch_size=2_000)


def legal_clock(detected: datetime | None = None, **fields: Any) -> LegalClock:
    return saved([unsaved(detected or datetime.now(UTC) - timedelta(hours=10), **fields)])[0]
