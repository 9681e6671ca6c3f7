"""Legal clocks that warn, breach and escalate, by PULSE's messages.

A leader looks each second. It takes the rungs that are due and puts the messages about them in one transaction: a
leader that is killed in between has taken nothing (Note [Next rung]). A warning is a ticket; a breach is a page to the
first rung of the ladder `default`, and each escalation to its next one. However many clocks reach a rung at once, they
are one message for each rung.
"""

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from django.db import transaction

from erip.foundation.hooks import periodic_duty
from monitoring import oncall, store
from monitoring.conf import conf
from monitoring.core.ladders import Roster, targets_of
from monitoring.core.oncall import DEFAULT
from monitoring.reaching import heard_by
from workflows.clocks.assessing import follow_the_law
from workflows.clocks.climbing import LIMIT, Climbed, climb
from workflows.clocks.models import Reassessment

#: seconds between two looks at what is due, and at whether the law has changed
EVERY: Final = 1.0
LAW_EVERY: Final = 5.0
#: clocks that one message names
NAMED: Final = 50
_IDS: Final = uuid.UUID("6b1c3d52-0f1e-5a68-9d3a-8b8b8c1f5a07")
_SAYS: Final = {"warn": "Due soon", "breach": "Missed", "escalate": "Still not filed"}


@periodic_duty(EVERY)
def announce_due() -> bool:
    """Returns whether there may be more."""
    return conf().enabled and announce()


def announce() -> bool:
    """Take what is due, and put the messages. Returns whether there may be more."""
    with transaction.atomic():
        climbed = climb()
        if climbed:
            store.put_pages(pages(climbed, datetime.now(UTC)))
    return len(climbed) == LIMIT


@periodic_duty(LAW_EVERY)
def follow() -> bool:
    """Assess open cases again whose duties have changed, and say which. Returns whether there may be more."""
    with transaction.atomic():
        found, more = follow_the_law()
        if found and conf().enabled:
            message = uuid.uuid5(_IDS, "\n".join(f"law|{one.pk}" for one in found))
            body = law_of(found, datetime.now(UTC))
            store.put_pages([(message, target, body) for target in heard_by(store.channels().values(), page=False)])
    return more


def pages(climbed: Sequence[Climbed], now: datetime) -> list[tuple[uuid.UUID, str, Mapping[str, Any]]]:
    """(message, target, body): one message for each rung that clocks reached."""
    roster = oncall.read(now)
    channels = store.channels()
    made: list[tuple[uuid.UUID, str, Mapping[str, Any]]] = []
    for number in sorted({one.number for one in climbed}):
        own = [one for one in climbed if one.number == number]
        page = own[0].rung != "warn"
        targets = [*heard_by(channels.values(), page=page), *_called(roster, number, now)]
        message = uuid.uuid5(_IDS, "\n".join(f"{one.id}|{one.turn}|{one.number}" for one in own))
        body = body_of(own, now)
        made += [(message, target, body) for target in dict.fromkeys(targets)]
    return made


def _called(roster: Roster, number: int, now: datetime) -> Sequence[str]:
    """Whom the on-call ladder names for this rung; a warning calls nobody."""
    ladder = roster.plan.ladders.get(DEFAULT)
    if ladder is None or number == 0:
        return ()
    return targets_of(roster, ladder, min(number - 1, len(ladder.rungs) - 1), now.timestamp())


def body_of(climbed: Sequence[Climbed], now: datetime) -> dict[str, Any]:
    """The message, in the form of the other alerts."""
    first = climbed[0]
    severity = "ticket" if first.rung == "warn" else "page"
    what = f"{first.duty['regime']}, {first.duty['title']}"
    more = f" (and {len(climbed) - 1} more)" if len(climbed) > 1 else ""
    return {
        "type": "erip.alert",
        "state": "firing",
        "severity": severity,
        "cause": "legal clocks",
        "title": f"{_SAYS[first.rung]}: {what}, by {_written(first.due_at)}{more}",
        "at": _written(now),
        "impact": {},
        "causes": [],
        "escalation": None if first.number < 2 else {"ladder": DEFAULT, "rung": first.number, "of": 4},
        "closes": [],
        "alerts": [_alert(one, severity, now) for one in climbed[:NAMED]],
    }


def law_of(found: Sequence[Reassessment], now: datetime) -> dict[str, Any]:
    """The message that deadlines changed with the law: a ticket."""
    codes = sorted({change["obligation"] for one in found for change in one.changes})
    more = f" and {len(codes) - 3} more" if len(codes) > 3 else ""
    return {
        "type": "erip.alert",
        "state": "firing",
        "severity": "ticket",
        "cause": "legal clocks",
        "title": f"The law has changed ({', '.join(codes[:3])}{more}): {len(found)} open cases have other legal clocks",
        "at": _written(now),
        "impact": {},
        "causes": [],
        "escalation": None,
        "closes": [],
        "alerts": [
            {
                "rule": "legal-clock-law",
                "labels": {"run": str(one.run_id), "workflow": one.workflow},
                "number": one.pk,
                "group": None,
                "state": "firing",
                "severity": "ticket",
                "summary": "; ".join(_changed(change) for change in one.changes[:20]),
                "value": float(len(one.changes)),
                "since": _written(one.at),
                "runbook": None,
            }
            for one in found[:NAMED]
        ],
    }


def _changed(change: Mapping[str, Any]) -> str:
    before, due = change["due_before"] or "no deadline", change["due_at"] or "no deadline"
    moved = f", {before} → {due}" if before != due else ""
    return f"{change['obligation']} {change['what']}{moved}"


def _alert(one: Climbed, severity: str, now: datetime) -> dict[str, Any]:
    mark = "" if one.duty.get("verified") else " This duty is not verified: check the law."
    return {
        "rule": f"legal-clock-{one.rung}",
        "labels": {"obligation": one.obligation, "run": str(one.run_id), "workflow": one.workflow},
        "number": one.id,
        "group": None,
        "state": "firing",
        "severity": severity,
        "summary": (
            f"{one.duty['regime']}: {one.duty['title']}, to {one.duty['authority']}, due {_written(one.due_at)}"
            f" ({one.duty['citation']}).{mark}"
        ),
        "value": round((one.due_at - now).total_seconds() / 3600, 2),
        "since": _written(one.due),
        "runbook": None,
    }


def _written(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
