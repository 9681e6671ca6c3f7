"""What becomes of alerts at a tick, and who hears of them. Pure: the same frames give the same alerts, live and in a
backtest.

Note [Alerts]
An alert is pending while its condition has not held for long enough, firing, and then resolved. Suppression never
touches this: an alert that is acknowledged, silenced or inhibited goes on being judged, and is resolved. What is
announced is worked out at each tick from what is so and what was announced last, not from the moment of a change. So a
silence that ends, a cause that is gone and a process that was killed need no case of their own: whoever judges next
announces what is still to be announced.

- Unknown is not no: where the value is not known, a firing alert stays, a pending one waits, and none begins.
- A resolution is announced if the alert was announced, also when it is silenced meanwhile.
- What a cause explains is not announced: while an alert of something that the component needs is firing, or may be
  about to (pending), alerts of the component wait. They are announced if they outlast it.
- At most FLOOD messages in FLOOD_WITHIN seconds; what comes after that is announced together in the next one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from monitoring.core.components import dependents
from monitoring.core.rules import Rule
from monitoring.core.series import Series

#: alerts of one rule at a time: a rule by a label with many values must not flood
MOST_OF_A_RULE = 100
FLOOD, FLOOD_WITHIN = 10, 300.0

Labels = tuple[tuple[str, str], ...]


class Stage(StrEnum):
    PENDING = "pending"  # → firing after `for`; or it is forgotten, as nobody heard of it
    FIRING = "firing"  # → resolved after `keep_firing_for` without the condition
    RESOLVED = "resolved"  # an end


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert: a rule and the labels that it alerts for, from the first time that the condition held to its end.

    Times are seconds since the epoch, on one clock. serial: counts the alerts of this rule and these labels; with them
    it is the key by which receivers know an alert, whoever sends it.
    announced: the stage that receivers know of; None: none.
    group: the id of the message that announced it; alerts of one group are taken on together.
    rung: how many rungs of its ladder were called, the last one at `rung_at`; told: the targets that were called.
    """

    rule: str
    labels: Labels
    serial: int
    stage: Stage
    since: float
    held_at: float
    fired_at: float | None = None
    resolved_at: float | None = None
    value: float | None = None
    unknown: bool = False
    announced: Stage | None = None
    acknowledged: bool = False
    group: str | None = None
    rung: int = 0
    rung_at: float | None = None
    told: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, Labels]:
        return self.rule, self.labels


#: metric → labels and value of each of its series; None: unknown
Indexed = Mapping[str, Sequence[tuple[Mapping[str, str], float | None]]]


def indexed(frame: Mapping[Series, float | None]) -> Indexed:
    """The values of a frame by metric, for all rules at once."""
    found: dict[str, list[tuple[Mapping[str, str], float | None]]] = {}
    for series, value in frame.items():
        found.setdefault(series.metric, []).append((dict(series.labels), value))
    return found


def values_of(rule: Rule, frame: Indexed) -> dict[Labels, float | None]:
    """The value of a rule for each of the labels that it alerts for. None: unknown."""
    above = _sums(rule.metric, rule.where, rule.by, frame)
    if rule.divide_by is None:
        return above
    below = _sums(rule.divide_by.metric, rule.divide_by.where, rule.by, frame)
    found: dict[Labels, float | None] = {}
    for labels, value in above.items():
        divisor = below.get(labels)
        # Nothing of nothing is no share.
        found[labels] = value / divisor if value is not None and divisor else None
    return found


def _sums(metric: str, where: Mapping[str, str], by: Sequence[str], frame: Indexed) -> dict[Labels, float | None]:
    found: dict[Labels, float | None] = {}
    for labels, value in frame.get(metric, ()):
        if any(labels.get(name) != wanted for name, wanted in where.items()):
            continue
        group = tuple((name, labels.get(name, "")) for name in by)
        so_far = found.get(group)
        found[group] = value if so_far is None else so_far + value if value is not None else so_far
    return found


def holds(rule: Rule, value: float) -> bool:
    return value > rule.above if rule.above is not None else value < (rule.below or 0.0)


def judge(
    rule: Rule,
    values: Mapping[Labels, float | None],
    before: Mapping[Labels, Alert],
    serials: Mapping[Labels, int],
    now: float,
) -> dict[Labels, Alert | None]:
    """What becomes of the alerts of a rule at this tick. None: a pending one is forgotten.

    before: its alerts that are pending or firing. serials: of the latest alert with these labels, ended or not.
    """
    found: dict[Labels, Alert | None] = {}
    room = MOST_OF_A_RULE - len(before)
    for labels in [*values, *(one for one in before if one not in values)]:
        alert, value = before.get(labels), values.get(labels)
        if alert is None:
            if value is None or not holds(rule, value) or room <= 0:
                continue
            room -= 1
            alert = Alert(rule.name, labels, serials.get(labels, 0) + 1, Stage.PENDING, now, now)
        found[labels] = _after(rule, alert, value, now)
    return found


def _after(rule: Rule, alert: Alert, value: float | None, now: float) -> Alert | None:
    if value is None:
        return replace(alert, unknown=True)
    alert = replace(alert, value=value, unknown=False)
    if holds(rule, value):
        alert = replace(alert, held_at=now)
        if alert.stage is Stage.PENDING and now - alert.since >= rule.waits:
            return replace(alert, stage=Stage.FIRING, fired_at=now)
        return alert
    if alert.stage is Stage.PENDING:
        return None
    if now - alert.held_at >= rule.keeps:
        return replace(alert, stage=Stage.RESOLVED, resolved_at=now)
    return alert


@dataclass(frozen=True, slots=True)
class Silence:
    """Alerts of this rule ("" : of any) with these labels are not announced until `ends`."""

    rule: str
    labels: Mapping[str, str]
    ends: float

    def covers(self, alert: Alert, now: float) -> bool:
        known = {"rule": alert.rule, **dict(alert.labels)}
        return (
            now < self.ends
            and self.rule in ("", alert.rule)
            and all(known.get(name) == value for name, value in self.labels.items())
        )


@dataclass(frozen=True, slots=True)
class Announcement:
    """One message: what is announced of which alerts. cause: the component that they have in common, or the rule."""

    cause: str
    alerts: tuple[Alert, ...]


def why_not(
    alert: Alert, alerts: Iterable[Alert], rules: Mapping[str, Rule], silences: Iterable[Silence], now: float
) -> str | None:
    """Why nobody is announced of a firing alert: `silenced`, `inhibited`; None: it is to be announced."""
    if any(silence.covers(alert, now) for silence in silences):
        return "silenced"
    rule = rules.get(alert.rule)
    if rule is None:
        return None
    needed = set(rule.depends)
    for other in alerts:
        cause = rules.get(other.rule)
        if other.stage is Stage.RESOLVED or cause is None or cause.component is None or other.key == alert.key:
            continue
        # A ticket is no reason to keep a page back.
        if rule.severity == "page" and cause.severity != "page":
            continue
        if cause.component in needed or (
            rule.component is not None and rule.component in dependents(cause.component, [rule.component])
        ):
            return "inhibited"
    return None


def announcements(
    alerts: Sequence[Alert],
    rules: Mapping[str, Rule],
    silences: Sequence[Silence],
    now: float,
    *,
    sent_lately: int,
) -> list[Announcement]:
    """The messages of this tick, grouped by cause.

    alerts: all that are pending or firing, and the resolved ones whose end was not announced.
    sent_lately: messages of the last FLOOD_WITHIN seconds.
    """
    wanted: dict[str, list[Alert]] = {}
    for alert in alerts:
        if alert.stage is Stage.FIRING and alert.announced is None and not alert.acknowledged:
            if why_not(alert, alerts, rules, silences, now) is None:
                wanted.setdefault(cause_of(alert, rules), []).append(alert)
        elif alert.stage is Stage.RESOLVED and alert.announced is Stage.FIRING:
            wanted.setdefault(cause_of(alert, rules), []).append(alert)
    room = FLOOD - sent_lately
    groups = [Announcement(cause, tuple(each)) for cause, each in sorted(wanted.items())]
    if room <= 0:
        return []
    if len(groups) > room:
        rest = groups[room - 1 :]
        together = tuple(alert for group in rest for alert in group.alerts)
        groups = [*groups[: room - 1], Announcement(f"{len(rest)} causes", together)]
    return groups


def cause_of(alert: Alert, rules: Mapping[str, Rule]) -> str:
    """What messages are grouped by: the component that its rule is about, or the rule."""
    rule = rules.get(alert.rule)
    return rule.component if rule is not None and rule.component is not None else alert.rule
