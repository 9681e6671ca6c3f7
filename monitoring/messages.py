"""Messages about alerts: what they say, and under which id."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from monitoring.core.alerts import Alert, Announcement, Indexed, Stage
from monitoring.core.causes import Cause
from monitoring.core.ladders import Call
from monitoring.core.rules import Rule

#: causes that a message names
MOST_CAUSES = 3
#: messages about alerts have ids in this name space
_IDS = uuid.UUID("5f0c4b1e-6a1f-5d0a-9a37-2f6f0f3f6d11")


#: a message on its way: its id, its targets, and what it says
Message = tuple[uuid.UUID, tuple[str, ...], dict[str, Any]]


def message_id(one: Announcement) -> uuid.UUID:
    """The same for the same alerts, whoever announces them: receivers know repeats by it."""
    return uuid.uuid5(_IDS, "\n".join(_names(one.alerts)))


def call_id(call: Call) -> uuid.UUID:
    """The same for the same call about the same alerts, whoever makes it."""
    return uuid.uuid5(_IDS, "\n".join([*_names(call.alerts), f"{call.ladder}|{call.rung}"]))


def taken_on_id(alert: Alert) -> uuid.UUID:
    return uuid.uuid5(_IDS, "\n".join([*_names([alert]), "acknowledged"]))


def _names(alerts: Sequence[Alert]) -> list[str]:
    return sorted(f"{alert.rule}|{alert.labels}|{alert.serial}|{alert.stage}" for alert in alerts)


def impact_of(frame: Indexed) -> dict[str, Any]:
    """What is at stake: work that waits, and legal deadlines."""
    waiting = {labels["lane"]: value for labels, value in frame.get("erip_lane_waiting_steps", ()) if "lane" in labels}
    near = next((value for _, value in frame.get("erip_run_deadlines_near", ())), None)
    nearest = next((value for _, value in frame.get("erip_run_next_deadline_seconds", ())), None)
    return {"waiting_steps": waiting, "deadlines_within_an_hour": near, "next_deadline_seconds": nearest}


def causes_of(causes: Sequence[Cause]) -> list[dict[str, Any]]:
    """What may be the cause, as receivers get it: the likeliest first, each with its evidence."""
    return [
        {
            "component": one.component,
            "members": list(one.members),
            "began_by": moment(one.by),
            "ongoing": one.ongoing,
            "sentence": one.sentence,
            "evidence": [piece.sentence for piece in one.evidence],
        }
        for one in causes[:MOST_CAUSES]
    ]


def body_of(
    one: Announcement,
    rules: Mapping[str, Rule],
    impact: Mapping[str, Any],
    at: float,
    causes: Sequence[Cause] = (),
    *,
    call: Call | None = None,
    closes: Sequence[str] = (),
) -> dict[str, Any]:
    """The message about these alerts, as receivers get it. closes: groups of which the last alert ended."""
    # What ended is no longer looked into.
    named = causes_of(causes) if any(alert.stage is not Stage.RESOLVED for alert in one.alerts) else []
    stages = {alert.stage for alert in one.alerts}
    severities = {rules[alert.rule].severity for alert in one.alerts if alert.rule in rules}
    return {
        "type": "erip.alert",
        "state": str(stages.pop()) if len(stages) == 1 else "mixed",
        "severity": "page" if "page" in severities else "ticket",
        "cause": one.cause,
        "title": title_of(one, rules),
        "at": moment(at),
        "impact": dict(impact),
        "causes": named,
        "escalation": {"ladder": call.ladder, "rung": call.rung + 1, "of": call.of} if call is not None else None,
        "closes": list(closes),
        "alerts": [
            {
                "rule": alert.rule,
                "labels": dict(alert.labels),
                "number": alert.serial,
                "group": alert.group,
                "state": str(alert.stage),
                "severity": rules[alert.rule].severity if alert.rule in rules else None,
                "summary": rules[alert.rule].summary if alert.rule in rules else "",
                "value": alert.value,
                "since": moment(alert.since),
                "runbook": rules[alert.rule].runbook if alert.rule in rules else None,
            }
            for alert in one.alerts
        ],
    }


def title_of(one: Announcement, rules: Mapping[str, Rule]) -> str:
    """One line, for a subject."""
    first = one.alerts[0]
    summary = rules[first.rule].summary if first.rule in rules else first.rule
    labels = ", ".join(f"{name} {value}" for name, value in first.labels)
    more = f" (and {len(one.alerts) - 1} more)" if len(one.alerts) > 1 else ""
    return f"{'Resolved: ' if first.stage is Stage.RESOLVED else ''}{summary}{f' [{labels}]' if labels else ''}{more}"


def moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
