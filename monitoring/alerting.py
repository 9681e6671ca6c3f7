"""Judges the rules at a tick, in the transaction that writes its frame: whoever wrote the frame has judged it, once."""

import struct
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from monitoring import store
from monitoring.conf import conf
from monitoring.core.alerts import (
    FLOOD_WITHIN,
    Alert,
    Announcement,
    Indexed,
    Labels,
    Silence,
    Stage,
    announcements,
    indexed,
    judge,
    values_of,
)
from monitoring.core.causes import Cause
from monitoring.core.rules import Rule, read_rules
from monitoring.core.series import Series

SHIPPED = Path(__file__).parent / "rules.yaml"
#: causes that a message names
MOST_CAUSES = 3
#: messages about alerts have ids in this name space
_IDS = uuid.UUID("5f0c4b1e-6a1f-5d0a-9a37-2f6f0f3f6d11")


@cache
def shipped() -> Mapping[str, Rule]:
    """The rules that come with the release."""
    return {rule.name: rule for rule in read_rules(yaml.safe_load(SHIPPED.read_text("utf-8")))}


def in_force(own: Mapping[str, Rule | None]) -> dict[str, Rule]:
    """The rules that are judged: those of this site take the place of shipped ones of their name."""
    merged: dict[str, Rule | None] = {**shipped(), **own}
    return {name: rule for name, rule in merged.items() if rule is not None}


def as_stored(value: float | None) -> float | None:
    """A value as a frame gives it back. Live and in a backtest the same numbers are judged."""
    return None if value is None else struct.unpack("f", struct.pack("f", value))[0]


def judge_all(
    rules: Mapping[str, Rule],
    frame: Indexed,
    before: Sequence[Alert],
    serials: Mapping[tuple[str, Labels], int],
    now: float,
) -> tuple[list[Alert], list[tuple[str, Labels]]]:
    """What becomes of all alerts: those that there are after this tick, and the keys of pending ones that are gone.

    before: alerts that are pending or firing. An alert whose rule is gone is resolved.
    """
    mine: dict[str, dict[Labels, Alert]] = {}
    for alert in before:
        mine.setdefault(alert.rule, {})[alert.labels] = alert
    after: list[Alert] = []
    forgotten: list[tuple[str, Labels]] = []
    for name in {**mine, **rules}:
        rule = rules.get(name)
        if rule is None:
            for alert in mine[name].values():
                if alert.stage is Stage.PENDING:
                    forgotten.append(alert.key)
                else:
                    after.append(replace(alert, stage=Stage.RESOLVED, resolved_at=now))
            continue
        own = {labels: serial for (rule_, labels), serial in serials.items() if rule_ == name}
        for labels, found in judge(rule, values_of(rule, frame), mine.get(name, {}), own, now).items():
            if found is None:
                forgotten.append((name, labels))
            else:
                after.append(found)
    return after, forgotten


class Judging:
    """What a tick leaves for a time without a database: rules, alerts, serials and silences as they were last."""

    def __init__(self) -> None:
        self.rules: Mapping[str, Rule] = shipped()
        self.serials: dict[tuple[str, Labels], int] = {}
        self.silences: Sequence[Silence] = ()

    def tick(
        self,
        frame: Mapping[Series, float | None],
        at: float,
        *,
        now: float,
        causes: Callable[[], Sequence[Cause]] = tuple,
    ) -> int:
        """Judge a frame, and put what is to be announced on its way. Within the transaction that wrote the frame.
        Returns how many messages there are.

        frame: with values as they are stored. at: the end of its tick; now: the moment that silences are compared
        with; both in seconds since the epoch, by the database's clock.
        causes: of what is not well, the likeliest first; asked only if something is announced.
        """
        self.rules = in_force(store.read_own_rules())
        self.serials = store.latest_serials(self.rules)
        self.silences = store.silences(datetime.fromtimestamp(now, UTC))
        found = indexed(frame)
        known = store.alerts_at_work()
        open_ = [alert for alert in known if alert.stage is not Stage.RESOLVED]
        after, forgotten = judge_all(self.rules, found, open_, self.serials, at)
        ended = [alert for alert in known if alert.stage is Stage.RESOLVED]
        said = announcements(
            [*after, *ended], self.rules, self.silences, now, sent_lately=store.sent_lately(FLOOD_WITHIN)
        )
        announced = {alert.key: alert.stage for one in said for alert in one.alerts}
        store.forget_pending(forgotten)
        store.keep_alerts(
            [
                replace(alert, announced=announced.get(alert.key, alert.announced))
                for alert in [*after, *ended]
                if alert not in known or alert.key in announced
            ],
            self.rules,
        )
        for alert in after:
            self.serials[alert.key] = alert.serial
        impact = impact_of(found)
        likely = causes() if said else ()
        store.put_pages(
            [
                (message_id(one), target, body_of(one, self.rules, impact, at, likely))
                for one in said
                for target in conf().targets
            ]
        )
        return len(said)


def message_id(one: Announcement) -> uuid.UUID:
    """The same for the same alerts, whoever announces them: receivers know repeats by it."""
    parts = sorted(f"{alert.rule}|{alert.labels}|{alert.serial}|{alert.stage}" for alert in one.alerts)
    return uuid.uuid5(_IDS, "\n".join(parts))


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
    one: Announcement, rules: Mapping[str, Rule], impact: Mapping[str, Any], at: float, causes: Sequence[Cause] = ()
) -> dict[str, Any]:
    """The message about these alerts, as receivers get it."""
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
        "alerts": [
            {
                "rule": alert.rule,
                "labels": dict(alert.labels),
                "number": alert.serial,
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
