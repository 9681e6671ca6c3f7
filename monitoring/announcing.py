"""What is sent at a tick, and to whom: announcements of alerts and calls of ladders. Writes nothing, sends nothing.

It is the same while PostgreSQL is there and while it is away; only who keeps the result differs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from monitoring.core.alerts import Alert, Announcement, Silence, Stage, announcements, cause_of
from monitoring.core.causes import Cause
from monitoring.core.ladders import Roster, calls, ladder_of, targets_of
from monitoring.core.rules import Rule
from monitoring.messages import Message, body_of, call_id, message_id
from monitoring.reaching import heard_by
from monitoring.store.channels import Channel


@dataclass(frozen=True, slots=True)
class Said:
    """messages: to be sent. changed: the alerts that were announced or called about, as they are after that."""

    messages: list[Message]
    changed: dict[tuple[str, Any, int], Alert]


def say(
    alerts: Sequence[Alert],
    rules: Mapping[str, Rule],
    silences: Sequence[Silence],
    roster: Roster,
    channels: Mapping[str, Channel],
    impact: Callable[[Sequence[Alert]], Mapping[str, Any]],
    causes: Callable[[], Sequence[Cause]],
    *,
    at: float,
    now: float,
    sent_lately: int,
) -> Said:
    """alerts: all that are pending or firing, and resolved ones whose end was not announced.

    impact: what alerts put at risk; causes: the likeliest first. Both are asked only if something is said.
    at: what the messages say; now: what silences, waits and turns go by; both in seconds since the epoch.
    """
    messages: list[Message] = []
    changed: dict[tuple[str, Any, int], Alert] = {}
    groups = announcements(alerts, rules, silences, now, sent_lately=sent_lately)
    due = calls(alerts, rules, silences, roster, now)
    likely = causes() if groups or due else ()
    for one in groups:
        number = message_id(one)
        after = [_announced(alert, str(number), rules, roster, now) for alert in one.alerts]
        changed.update({(alert.rule, alert.labels, alert.serial): alert for alert in after})
        body = body_of(
            Announcement(one.cause, tuple(after)), rules, impact(after), at, likely, closes=_closed(after, alerts)
        )
        heard = heard_by(channels.values(), page=body["severity"] == "page")
        targets = dict.fromkeys([*heard, *(target for alert in after for target in alert.told)])
        messages.append((number, tuple(targets), body))
    for call in due:
        after = [
            replace(
                alert,
                rung=call.rung + 1,
                rung_at=now,
                told=tuple(dict.fromkeys([*alert.told, *call.targets])),
            )
            for alert in call.alerts
        ]
        changed.update({(alert.rule, alert.labels, alert.serial): alert for alert in after})
        body = body_of(
            Announcement(cause_of(call.alerts[0], rules), tuple(after)), rules, impact(after), at, likely, call=call
        )
        messages.append((call_id(call), call.targets, body))
    return Said(messages, changed)


def _announced(alert: Alert, message: str, rules: Mapping[str, Rule], roster: Roster, now: float) -> Alert:
    if alert.stage is Stage.RESOLVED:
        return replace(alert, announced=alert.stage)
    found = ladder_of(rules.get(alert.rule), roster.plan)
    if found is None:
        return replace(alert, announced=alert.stage, group=message)
    told = targets_of(roster, found[1], 0, now)
    return replace(alert, announced=alert.stage, group=message, rung=1, rung_at=now, told=told)


def _closed(said: Sequence[Alert], alerts: Sequence[Alert]) -> list[str]:
    """Groups of resolved alerts of which nothing is left to be announced."""
    mine = {alert.key for alert in said if alert.stage is Stage.RESOLVED}
    left = {alert.group for alert in alerts if alert.key not in mine}
    groups = dict.fromkeys(alert.group for alert in said if alert.stage is Stage.RESOLVED and alert.group is not None)
    return [group for group in groups if group not in left]
