"""Alerts, silences and messages as people read them, and what they do about them."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import or_
from typing import Any

from django.db import connection
from django.db.models import Model, Q
from django.db.models.functions import Now

from monitoring.core.rules import Rule
from monitoring.models import Alert, AlertRule, Silence
from monitoring.store.alerts import readable
from workflows.engine.spaces import workflows_in

#: silences that are listed
MOST_SILENCES = 500


def alerts(
    *, stage: str | None, before: int | None, limit: int, spaces: Collection[str] | None = None
) -> list[dict[str, Any]]:
    """Newest first: those with a lower id than `before`. spaces: only those whose labels name a workflow in these."""
    found = Alert.objects.order_by("-id")
    if spaces is not None:
        # The labels are a list of pairs.
        named = (Q(labels__contains=[["workflow", name]]) for name in workflows_in(spaces))
        found = found.filter(reduce(or_, named, Q(pk__in=[])))
    if stage is not None:
        found = found.filter(stage=stage)
    if before is not None:
        found = found.filter(id__lt=before)
    return [{**row} for row in found.values()[:limit]]


@dataclass(frozen=True, slots=True)
class Overview:
    """Rows by the names of their columns, each list newest first. open: alerts that are pending or firing. resolved:
    the latest of those. silences: those that have not ended. own: the rules of this site by name, None for a shipped
    one that is switched off. regressions: groups of errors that are open again after they were resolved, seen last
    first, with id, title, what, count and regressed_at."""

    open: Sequence[Mapping[str, Any]]
    resolved: Sequence[Mapping[str, Any]]
    silences: Sequence[Mapping[str, Any]]
    own: Mapping[str, Rule | None]
    regressions: Sequence[Mapping[str, Any]]


def overview(*, resolved: int, regressions: int, most: int = 200) -> Overview:
    """All that the pages of alerts show, and what the first page adds, in one statement. resolved, regressions: how
    many of these."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT (SELECT json_agg(a ORDER BY a.id DESC)::text FROM (SELECT * FROM monitoring_alert
                        WHERE stage <> 'resolved' ORDER BY id DESC LIMIT %s) a),
                   (SELECT json_agg(a ORDER BY a.id DESC)::text FROM (SELECT * FROM monitoring_alert
                        WHERE stage = 'resolved' ORDER BY id DESC LIMIT %s) a),
                   (SELECT json_agg(s ORDER BY s.id DESC)::text FROM (SELECT * FROM monitoring_silence
                        WHERE ends_at > clock_timestamp() ORDER BY id DESC LIMIT %s) s),
                   (SELECT json_agg(json_build_array(name, document))::text FROM monitoring_alertrule),
                   (SELECT json_agg(e ORDER BY e.last_seen DESC, e.id DESC)::text FROM (
                        SELECT id, title, what, count, regressed_at, last_seen FROM monitoring_errorgroup
                        WHERE state = 'open' AND regression ORDER BY last_seen DESC, id DESC LIMIT %s) e)
            """,
            [most, resolved, MOST_SILENCES, regressions],
        )
        open_, ended, silent, rules, back = (json.loads(text or "[]") for text in cursor.fetchone())
    return Overview(
        [_row(Alert, one) for one in open_],
        [_row(Alert, one) for one in ended],
        [_row(Silence, one) for one in silent],
        readable(rules),
        [{**one, "regressed_at": _moment(one["regressed_at"])} for one in back],
    )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _row(model: type[Model], found: Mapping[str, Any]) -> dict[str, Any]:
    """A row that came as JSON, with the types of its columns. A column of a later release is left out."""
    return {one.attname: one.to_python(found[str(one.column)]) for one in model._meta.concrete_fields}


def alert(number: int) -> dict[str, Any] | None:
    row = Alert.objects.filter(id=number).values().first()
    return {**row} if row is not None else None


def open_alerts(rules: Sequence[str]) -> list[tuple[int, str]]:
    """Id and rule of each that fires and that nobody has taken on; rules: only of these, empty: of all."""
    found = Alert.objects.filter(stage="firing", acknowledged_at=None)
    if rules:
        found = found.filter(rule__in=rules)
    return list(found.order_by("id").values_list("id", "rule"))


def acknowledge(number: int, *, by: str, note: str) -> bool:
    """Somebody has taken an alert on. False if it has ended, or somebody else has it."""
    open_ = Alert.objects.filter(id=number, acknowledged_at=None).exclude(stage="resolved")
    return bool(open_.update(acknowledged_at=Now(), acknowledged_by=by, note=note))


def silences() -> list[dict[str, Any]]:
    """Those that have not ended, newest first."""
    return [{**row} for row in Silence.objects.filter(ends_at__gt=Now()).order_by("-id").values()[:MOST_SILENCES]]


def silence(*, rule: str, labels: Mapping[str, str], reason: str, ends: datetime, by: str) -> dict[str, Any]:
    made = Silence.objects.create(
        rule=rule, labels=dict(labels), reason=reason, ends_at=ends, created_by=by, created_at=Now()
    )
    return {**Silence.objects.filter(id=made.id).values().get()}


def end_silence(number: int) -> bool:
    """False if there is none that lasts."""
    return bool(Silence.objects.filter(id=number, ends_at__gt=Now()).update(ends_at=Now()))


def own_rules() -> dict[str, dict[str, Any]]:
    """What this site keeps, by name."""
    return {row["name"]: {**row} for row in AlertRule.objects.order_by("name").values()}


def fired_between(since: datetime, until: datetime, *, limit: int) -> list[dict[str, Any]]:
    """Alerts that fired for a part of this time, the newest first: rule, fired_at, resolved_at."""
    found = Alert.objects.filter(Q(resolved_at=None) | Q(resolved_at__gt=since), fired_at__lte=until)
    return [{**row} for row in found.order_by("-id").values("rule", "severity", "fired_at", "resolved_at")[:limit]]
