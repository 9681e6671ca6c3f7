"""Whom an alert calls, one after the other, until somebody takes it on. Pure: the moment is passed in.

Note [Ladders]
The message that announces an alert is the first call: it goes to the first rung of the ladder too. While nobody takes
the alert on, the next rung is called, each after the wait of the one before it. That counts from the moment at which
the one before was called, not from the beginning: after an hour in which nobody judged, the second rung is called, and
not all at once. What was called stands with the alert, written in the transaction that makes the call; so whoever
judges next goes on where the last one stopped, and a call has the same id whoever makes it.

An alert calls nobody while it is silenced or inhibited, and goes on when it is not any more. Alerts that were announced
in one message are taken on together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from monitoring.core.alerts import Alert, Silence, Stage, why_not
from monitoring.core.oncall import DEFAULT, Ladder, Override, Plan
from monitoring.core.rotations import next_on_call, on_call
from monitoring.core.rules import Rule


@dataclass(frozen=True, slots=True)
class Roster:
    """Who can be called. channels: those that there are."""

    plan: Plan
    overrides: Sequence[Override]
    channels: frozenset[str]


NOBODY = Roster(Plan(), (), frozenset())


@dataclass(frozen=True, slots=True)
class Call:
    """The call of a rung about alerts that were announced together. rung: from 0; of: how many there are in all."""

    ladder: str
    rung: int
    of: int
    alerts: tuple[Alert, ...]
    targets: tuple[str, ...]


def ladder_of(rule: Rule | None, plan: Plan) -> tuple[str, Ladder] | None:
    """The ladder that a rule names; the default one for pages that name none, and where the named one is gone."""
    if rule is None:
        return None
    if rule.ladder is not None and rule.ladder in plan.ladders:
        return rule.ladder, plan.ladders[rule.ladder]
    if (rule.ladder is not None or rule.severity == "page") and DEFAULT in plan.ladders:
        return DEFAULT, plan.ladders[DEFAULT]
    return None


def targets_of(roster: Roster, ladder: Ladder, rung: int, at: float) -> tuple[str, ...]:
    """Where a call goes, each once. at: seconds since the epoch."""
    found: dict[str, None] = {}
    for to in ladder.rung(rung).to:
        found.update(dict.fromkeys(f"channel:{name}" for name in _channels(roster, to, at) if name in roster.channels))
    return tuple(found)


def _channels(roster: Roster, to: str, at: float) -> list[str]:
    kind, _, name = to.partition("/")
    if kind == "channel":
        return [name]
    plan = roster.plan
    if name not in plan.rotations:
        return []
    moment = datetime.fromtimestamp(at, UTC)
    if kind == "on-call":
        people = [on_call(plan, roster.overrides, name, moment)]
    elif kind == "next":
        people = [next_on_call(plan, roster.overrides, name, moment)]
    else:
        people = list(plan.rotations[name].people)
    return [channel for person in people for channel in plan.people.get(person, ())]


def calls(
    alerts: Sequence[Alert], rules: Mapping[str, Rule], silences: Sequence[Silence], roster: Roster, now: float
) -> list[Call]:
    """The calls that are due. alerts: all that are pending or firing."""
    taken = {alert.group for alert in alerts if alert.acknowledged and alert.group is not None}
    due: dict[tuple[str | None, str, int], list[Alert]] = {}
    for alert in alerts:
        found = ladder_of(rules.get(alert.rule), roster.plan)
        if (
            found is None
            or alert.stage is not Stage.FIRING
            or alert.announced is not Stage.FIRING
            or alert.acknowledged
            or alert.group in taken
            or alert.rung_at is None
            or not 0 < alert.rung < found[1].calls
            or now - alert.rung_at < found[1].rung(alert.rung - 1).seconds
            or why_not(alert, alerts, rules, silences, now) is not None
        ):
            continue
        due.setdefault((alert.group, found[0], alert.rung), []).append(alert)
    return [
        Call(
            name,
            rung,
            roster.plan.ladders[name].calls,
            tuple(each),
            targets_of(roster, roster.plan.ladders[name], rung, now),
        )
        for (_, name, rung), each in due.items()
    ]
