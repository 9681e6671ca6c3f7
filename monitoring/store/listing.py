"""Alerts, silences and messages as people read them, and what they do about them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db.models import Q
from django.db.models.functions import Now

from monitoring.models import Alert, AlertRule, Silence


def alerts(*, stage: str | None, before: int | None, limit: int) -> list[dict[str, Any]]:
    """Newest first: those with a lower id than `before`."""
    found = Alert.objects.order_by("-id")
    if stage is not None:
        found = found.filter(stage=stage)
    if before is not None:
        found = found.filter(id__lt=before)
    return [{**row} for row in found.values()[:limit]]


def open_and_resolved(*, resolved: int, most: int = 200) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Alerts that are pending or firing, and the latest that are resolved, each newest first. One statement."""
    newest = Alert.objects.order_by("-id").values()
    both = newest.exclude(stage="resolved")[:most].union(newest.filter(stage="resolved")[:resolved], all=True)
    rows: list[dict[str, Any]] = sorted(({**row} for row in both), key=lambda row: row["id"], reverse=True)
    return [one for one in rows if one["stage"] != "resolved"], [one for one in rows if one["stage"] == "resolved"]


def alert(number: int) -> dict[str, Any] | None:
    row = Alert.objects.filter(id=number).values().first()
    return {**row} if row is not None else None


def acknowledge(number: int, *, by: str, note: str) -> bool:
    """Somebody has taken an alert on. False if it has ended, or somebody else has it."""
    open_ = Alert.objects.filter(id=number, acknowledged_at=None).exclude(stage="resolved")
    return bool(open_.update(acknowledged_at=Now(), acknowledged_by=by, note=note))


def silences() -> list[dict[str, Any]]:
    """Those that have not ended, newest first."""
    return [{**row} for row in Silence.objects.filter(ends_at__gt=Now()).order_by("-id").values()[:500]]


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
