"""A clock as the API, the admin and the console show it."""

from datetime import datetime
from typing import Any, Final

from workflows.clocks.models import LegalClock, State
from workflows.clocks.reckoning import at_of, moments_of, reckoned
from workflows.core.clocks.clock import BadClock, OutOfRange
from workflows.core.clocks.reckoning import Reading

_DUTY: Final = ("regime", "title", "authority", "wording", "citation", "source_url", "verified", "reviewed_on")
_OWN: Final = (
    "id", "run_id", "workflow", "obligation", "state", "trigger", "since", "due_at", "arguable_until",
    "provisional", "doubt", "stops", "extended", "filed", "history", "versions",
)  # fmt: skip


def shown(row: LegalClock, now: datetime, *, explain: bool = False) -> dict[str, Any]:
    return {
        **{name: getattr(row, name) for name in _OWN},
        **{name: row.duty[name] for name in _DUTY},
        "overdue": overdue(row, now),
        "late": late(row),
        "explanation": explanation(row) if explain else None,
    }


def overdue(row: LegalClock, now: datetime) -> bool:
    """A forecast is never overdue: what it counts from has not happened."""
    return row.state == State.RUNNING and row.due_at is not None and row.due_at < now


def late(row: LegalClock) -> bool:
    """Whether it was filed after it was due."""
    if row.filed is None or row.due_at is None or row.since is None:
        return False
    return row.due_at < at_of(row.filed["at"])


def explanation(row: LegalClock) -> dict[str, Any] | None:
    """How the readings came about, and all that they hang on; None: nothing runs yet."""
    try:
        found = reckoned(row, explain=True)
    except (BadClock, OutOfRange):
        return None
    if found is None:
        return None
    return {
        "due": _reading(found.due),
        "arguable": _reading(found.arguable),
        "clocks": row.duty["clocks"],
        "moments": moments_of(row),
        "assumed": row.facts["assumed"],
        "places": row.facts["places"],
        "facts": row.facts["facts"],
    }


def _reading(one: Reading) -> dict[str, Any]:
    return {
        "at": one.at,
        "zone": one.zone,
        "place": one.place,
        "article": one.article,
        "skipped": [{"day": day.isoformat(), "why": why} for day, why in one.skipped],
        "how": list(one.how),
    }
