"""Alerts: list and take them on, keep rules, and silence them for a while."""

from collections.abc import Mapping
from datetime import datetime

from erip_client.models import Alert, AlertRule, Backtest, Listing, Page, Silence
from erip_client.models.base import Json

from .base import Call, given, moment, to_json


def list_alerts(
    *, stage: str | None = None, cursor: int | str | None = None, limit: int | None = None
) -> Call[Page[Alert]]:
    """A page of alerts. stage: pending, firing or resolved."""
    return Call(
        operation="listAlerts",
        method="GET",
        template="/api/v1/alerts",
        query=given(stage=stage, cursor=cursor, limit=limit),
        answers={200: Page[Alert]},
    )


def acknowledge_alert(id: int, *, note: str = "", idempotency_key: str | None = None) -> Call[Alert]:
    """Take an alert on."""
    return Call(
        operation="acknowledgeAlert",
        method="POST",
        template="/api/v1/alerts/{id}/acknowledge",
        path={"id": id},
        content=to_json({"note": note}),
        answers={200: Alert},
        keyed=True,
        key=idempotency_key,
    )


def list_alert_rules() -> Call[Listing[AlertRule]]:
    """All rules, those that are shipped and those of this site."""
    return Call(
        operation="listAlertRules", method="GET", template="/api/v1/alerts/rules", answers={200: Listing[AlertRule]}
    )


def put_alert_rule(
    name: str, rule: Mapping[str, Json] | None = None, *, enabled: bool | None = None
) -> Call[AlertRule]:
    """Keep a rule, or switch one on or off."""
    return Call(
        operation="putAlertRule",
        method="PUT",
        template="/api/v1/alerts/rules/{name}",
        path={"name": name},
        content=to_json(given(rule=rule, enabled=enabled)),
        answers={200: AlertRule, 201: AlertRule},
    )


def delete_alert_rule(name: str) -> Call[None]:
    """Delete a rule of this site."""
    return Call(
        operation="deleteAlertRule",
        method="DELETE",
        template="/api/v1/alerts/rules/{name}",
        path={"name": name},
        answers={204: None},
    )


def backtest_alert_rule(
    name: str,
    *,
    range: str | None = None,
    end: datetime | str | None = None,
    rule: Mapping[str, Json] | None = None,
    idempotency_key: str | None = None,
) -> Call[Backtest]:
    """What a rule (or `rule` in its place) would have done."""
    return Call(
        operation="backtestAlertRule",
        method="POST",
        template="/api/v1/alerts/rules/{name}/backtest",
        path={"name": name},
        content=to_json(given(range=range, end=moment(end), rule=rule)),
        answers={200: Backtest},
        keyed=True,
        key=idempotency_key,
    )


def list_silences() -> Call[Listing[Silence]]:
    """The silences that last."""
    return Call(
        operation="listSilences", method="GET", template="/api/v1/alerts/silences", answers={200: Listing[Silence]}
    )


def add_silence(
    reason: str,
    ends_at: datetime | str,
    *,
    rule: str = "",
    labels: Mapping[str, str] | None = None,
    idempotency_key: str | None = None,
) -> Call[Silence]:
    """Silence the alerts of a rule (empty: any) with these labels until then."""
    body = {"reason": reason, "ends_at": moment(ends_at), "rule": rule, **given(labels=labels)}
    return Call(
        operation="addSilence",
        method="POST",
        template="/api/v1/alerts/silences",
        content=to_json(body),
        answers={201: Silence},
        keyed=True,
        key=idempotency_key,
    )


def end_silence(id: int) -> Call[None]:
    """End a silence now."""
    return Call(
        operation="endSilence",
        method="DELETE",
        template="/api/v1/alerts/silences/{id}",
        path={"id": id},
        answers={204: None},
    )
