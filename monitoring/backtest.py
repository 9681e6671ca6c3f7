"""What a rule would have done: the same judgement over stored frames, tick by tick."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from erip.foundation.moments import later
from monitoring import store
from monitoring.core.alerts import Alert, Labels, Stage, indexed, judge, values_of
from monitoring.core.frames import TICK, TIERS
from monitoring.core.rules import Rule

#: seconds of frames that one backtest reads, and changes that it answers
MOST_RANGE, MOST_CHANGES = TIERS[0].kept, 500


def backtest(rule: Rule, *, since: datetime, until: datetime) -> dict[str, Any]:
    """Each change of each alert of the rule in this time, from the frames of ten seconds.

    A rule that alerted live changes here at the same ticks, provided that the frames begin before its alert did.
    """
    wanted = {selector.metric for selector in rule.selectors}
    known = [one for metric in wanted for one in store.read_series(metric)]
    open_: dict[Labels, Alert] = {}
    serials: dict[Labels, int] = {}
    changes: list[dict[str, Any]] = []
    ticks = fired = 0
    for at, values in _frames([one.id for one in known], since, until):
        ticks += 1
        now = at.timestamp()
        frame = {one.series: value for one, value in zip(known, values, strict=True)}
        for labels, alert in judge(rule, values_of(rule, indexed(frame)), open_, serials, now).items():
            before = open_.pop(labels, None)
            stage = "inactive" if alert is None else str(alert.stage)
            if alert is not None and alert.stage is not Stage.RESOLVED:
                open_[labels] = alert
            if alert is not None and alert.stage is Stage.RESOLVED:
                serials[labels] = alert.serial
            if before is None or before.stage != stage:
                fired += stage == Stage.FIRING
                if len(changes) < MOST_CHANGES:
                    value = values_of(rule, indexed(frame)).get(labels)
                    changes.append({"at": at, "labels": dict(labels), "stage": stage, "value": value})
    return {
        "ticks": ticks,
        "missing": max(0, int((until - since).total_seconds()) // TICK - ticks),
        "fired": fired,
        "firing": sum(alert.stage is Stage.FIRING for alert in open_.values()),
        "changes": changes,
    }


def _frames(places: list[int], since: datetime, until: datetime) -> list[tuple[datetime, list[float | None]]]:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT f.at, (SELECT array_agg(f.mean[p.place]::float8 ORDER BY p.ord)
                          FROM unnest(%s::int[]) WITH ORDINALITY AS p (place, ord))
            FROM monitoring_frame f WHERE f.tier = %s AND f.at > %s AND f.at <= %s ORDER BY f.at
            """,
            [places, TICK, since, min(until, later(since, timedelta(seconds=MOST_RANGE)))],
        )
        return [(at, values or []) for at, values in cursor.fetchall()]


def known_metrics(rule: Rule) -> Mapping[str, bool]:
    """Whether each metric of the rule is kept at all."""
    return {selector.metric: bool(store.read_series(selector.metric)) for selector in rule.selectors}
