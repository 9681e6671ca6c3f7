"""Judges the rules at a tick, in the transaction that writes its frame: whoever wrote the frame has judged it, once."""

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import yaml

from monitoring import store
from monitoring.announcing import say
from monitoring.core.alerts import (
    FLOOD_WITHIN,
    Alert,
    Indexed,
    Labels,
    Silence,
    Stage,
    indexed,
    judge,
    values_of,
)
from monitoring.core.causes import Cause
from monitoring.core.ladders import NOBODY, Roster
from monitoring.core.rules import Rule, read_rules
from monitoring.core.series import Series
from monitoring.impact import Impact
from monitoring.messages import causes_of, impact_of

SHIPPED = Path(__file__).parent / "rules.yaml"


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
    """What is judged by, and what a tick leaves for a time without a database, as it was last.

    open: alerts that are pending or firing.
    """

    def __init__(self) -> None:
        self.rules: Mapping[str, Rule] = shipped()
        self.serials: dict[tuple[str, Labels], int] = {}
        self.silences: Sequence[Silence] = ()
        self.roster: Roster = NOBODY
        self.channels: Mapping[str, store.Channel] = {}
        self.open: Sequence[Alert] = ()

    def learn(self, now: float) -> list[Alert]:
        """Read all of it. Also those learn that judge nothing at this tick: when PostgreSQL is away, each leader judges
        by itself, and must call the same people under the same ids. Returns resolved alerts whose end was not
        announced."""
        moment = datetime.fromtimestamp(now, UTC)
        self.rules = in_force(store.read_own_rules())
        self.serials = store.latest_serials(self.rules)
        self.silences = store.silences(moment)
        self.roster, self.channels = store.read_roster(moment)
        known = store.alerts_at_work()
        self.open = [alert for alert in known if alert.stage is not Stage.RESOLVED]
        return [alert for alert in known if alert.stage is Stage.RESOLVED]

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

        frame: with values as they are stored. at: the end of its tick; now: the moment that silences, waits and turns
        are compared with; both in seconds since the epoch, by the database's clock.
        causes: of what is not well, the likeliest first; asked only if an alert begins to fire or is announced.
        """
        ended = self.learn(now)
        known = {*self.open, *ended}
        found = indexed(frame)
        after, forgotten = judge_all(self.rules, found, self.open, self.serials, at)
        impact = Impact(impact_of(found))
        likely = cache(lambda: tuple(causes()))
        said = say(
            [*after, *ended],
            self.rules,
            self.silences,
            self.roster,
            self.channels,
            lambda alerts: impact.of(alerts, self.rules),
            likely,
            at=at,
            now=now,
            sent_lately=store.sent_lately(FLOOD_WITHIN),
        )
        becomes = [said.changed.get((alert.rule, alert.labels, alert.serial), alert) for alert in [*after, *ended]]
        store.forget_pending(forgotten)
        store.keep_alerts([alert for alert in becomes if alert not in known], self.rules)
        begun = {alert.key for alert in self.open if alert.stage is Stage.FIRING}
        told = {(rule, labels) for rule, labels, _ in said.changed}
        risky = [
            (alert, impact.of([alert], self.rules))
            for alert in becomes
            if alert.stage is Stage.FIRING and (alert.key not in begun or alert.key in told)
        ]
        if risky:
            store.note_impact(risky, causes_of(likely()))
        for alert in after:
            self.serials[alert.key] = alert.serial
        self.open = [alert for alert in becomes if alert.stage is not Stage.RESOLVED]
        store.put_pages([(number, target, body) for number, targets, body in said.messages for target in targets])
        return len(said.messages)
