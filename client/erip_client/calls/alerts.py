"""Alerts: list and take them on, keep rules, silence them for a while, and say who is called."""

from collections.abc import Mapping
from datetime import datetime

from erip_client.models import (
    Alert,
    AlertChannel,
    AlertRule,
    Backtest,
    ChannelTest,
    Listing,
    OnCall,
    OnCallCalendar,
    OnCallOverride,
    Page,
    Shift,
    Silence,
)
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


def list_alert_channels() -> Call[Listing[AlertChannel]]:
    """The channels of alerts, without their secrets."""
    return Call(
        operation="listAlertChannels",
        method="GET",
        template="/api/v1/alerts/channels",
        answers={200: Listing[AlertChannel]},
    )


def put_alert_channel(
    name: str,
    *,
    kind: str | None = None,
    address: str | None = None,
    key: str | None = None,
    hears: str | None = None,
) -> Call[AlertChannel]:
    """Keep a channel. What is left out stays as it is."""
    return Call(
        operation="putAlertChannel",
        method="PUT",
        template="/api/v1/alerts/channels/{name}",
        path={"name": name},
        content=to_json(given(kind=kind, address=address, key=key, hears=hears)),
        answers={200: AlertChannel, 201: AlertChannel},
    )


def delete_alert_channel(name: str) -> Call[None]:
    """Delete a channel that the on-call plan does not name."""
    return Call(
        operation="deleteAlertChannel",
        method="DELETE",
        template="/api/v1/alerts/channels/{name}",
        path={"name": name},
        answers={204: None},
    )


def try_alert_channel(name: str) -> Call[ChannelTest]:
    """Send a test to a channel, and learn what became of it."""
    return Call(
        operation="testAlertChannel",
        method="POST",
        template="/api/v1/alerts/channels/{name}/test",
        path={"name": name},
        answers={200: ChannelTest},
        safe=True,
    )


def read_on_call() -> Call[OnCall]:
    """Who is on call, and the plan."""
    return Call(operation="readOnCall", method="GET", template="/api/v1/alerts/on-call", answers={200: OnCall})


def put_on_call(plan: Mapping[str, Json]) -> Call[OnCall]:
    """Keep the on-call plan, in place of the one before."""
    return Call(
        operation="putOnCall",
        method="PUT",
        template="/api/v1/alerts/on-call",
        content=to_json({"plan": plan}),
        answers={200: OnCall, 201: OnCall},
    )


def list_shifts(rotation: str) -> Call[Listing[Shift]]:
    """The shifts of a rotation, from 30 days ago to 180 days ahead."""
    return Call(
        operation="listShifts",
        method="GET",
        template="/api/v1/alerts/on-call/rotations/{name}",
        path={"name": rotation},
        answers={200: Listing[Shift]},
    )


def make_on_call_calendar(rotation: str) -> Call[OnCallCalendar]:
    """A new secret address of a rotation's calendar; the one before leads nowhere then."""
    return Call(
        operation="makeOnCallCalendar",
        method="POST",
        template="/api/v1/alerts/on-call/rotations/{name}/calendar",
        path={"name": rotation},
        answers={201: OnCallCalendar},
        safe=True,
    )


def add_on_call_override(
    rotation: str,
    person: str,
    starts_at: datetime | str,
    ends_at: datetime | str,
    *,
    reason: str = "",
    idempotency_key: str | None = None,
) -> Call[OnCallOverride]:
    """Have somebody else be on call for a while."""
    body = {"rotation": rotation, "person": person, "reason": reason}
    return Call(
        operation="addOnCallOverride",
        method="POST",
        template="/api/v1/alerts/on-call/overrides",
        content=to_json({**body, "starts_at": moment(starts_at), "ends_at": moment(ends_at)}),
        answers={201: OnCallOverride},
        keyed=True,
        key=idempotency_key,
    )


def end_on_call_override(id: int) -> Call[None]:
    """End an override now."""
    return Call(
        operation="endOnCallOverride",
        method="DELETE",
        template="/api/v1/alerts/on-call/overrides/{id}",
        path={"id": id},
        answers={204: None},
    )
