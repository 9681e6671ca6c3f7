"""Sends messages about alerts.

Note [Pages]
A message is a row, written in the transaction that judged the frame. Any leader claims it for a while, sends it, and
notes that; one that is killed in between leaves it to be claimed again, and it is sent twice under the same id
(`webhook-id`, or `Message-ID`). So no message is lost, and receivers know doubles.

While PostgreSQL is away nothing can be judged or claimed there. Then each leader judges the rules about the servers
that it looks at itself, with the rules, serials, silences and on-call plan that it knew last (Note [Memory]), and sends
at once. Alerts that were open go on, their ladders too, until somebody takes them on (`monitoring.taken`). Two leaders
then send the same message under the same id. When PostgreSQL is back, the alert is recorded, and resolved as any other.
"""

import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from django.db import IntegrityError

from erip.foundation.outbound.posting import TIMEOUT_SECONDS
from erip.foundation.process.background import database_service
from erip.foundation.service import Service, once
from monitoring import buffering, store
from monitoring.alerting import Judging, judge_all
from monitoring.announcing import say
from monitoring.channels import NotSent, deliver
from monitoring.conf import conf
from monitoring.core.alerts import Alert, Labels, Stage, indexed
from monitoring.core.changes import merged
from monitoring.core.components import UP, State, of_observation
from monitoring.core.fingerprints import Error, Source
from monitoring.core.groups import Link
from monitoring.core.rules import Rule
from monitoring.core.series import Series, series
from monitoring.health import likely_causes
from monitoring.memory import Memory
from monitoring.reaching import destination, kind_of, unusable
from monitoring.reporting import may_wait
from monitoring.store.alerts import ATTEMPTS, CLAIMED_FOR, LONGEST_WAIT
from monitoring.taken import TakenFile
from monitoring.watching import watching

log = structlog.get_logger(__name__)

#: seconds between two looks for messages that others left, or that are due again: a tick that made some wakes the
#: sender. And seconds between two looks at whether PostgreSQL is away, which cost no statement.
EVERY, LOOK_EVERY = 2.0, 1.0
#: seconds between two attempts while PostgreSQL is away, at most
LONGEST_WAIT_NOW = 60.0


def send(target: str, message: UUID, body: Mapping[str, Any], known: Mapping[str, store.Channel]) -> None:
    """Send one message to one target. known: the channels that there are. Raises NotSent."""
    deliver(destination(target, known), message, body)


def send_due(*, claimed_for: float = CLAIMED_FOR) -> int:
    """Send what is due. Returns how many messages were taken by their targets.

    A target that does not answer may take all of a message's time. The other messages to it are put off, so that those
    to other targets do not wait for it. A message whose claim ends soon is left to others, who claim it then.
    """
    count = 0
    away: set[str] = set()
    began = time.monotonic()
    claimed = store.claim_pages()
    known = store.channels() if any(target.startswith("channel:") for _, _, target, _, _ in claimed) else {}
    for number, message, target, body, attempts in claimed:
        if time.monotonic() - began > claimed_for - TIMEOUT_SECONDS:
            # This process stood still, or targets did not answer.
            log.warning("pages_left_to_others", message=str(message))
            break
        if target in away:
            store.page_failed(number, "waits: its target did not take the one before", wait=_wait(attempts))
            continue
        try:
            send(target, message, body, known)
        except NotSent as error:
            if not error.lasting:
                away.add(target)
            lasting = error.lasting or attempts >= ATTEMPTS
            store.page_failed(number, str(error), wait=None if lasting else error.after or _wait(attempts))
            log.error("page_not_sent", target=kind_of(target), message=str(message), given_up=lasting)
            if lasting:
                link = Link("alert", str(message), datetime.now(UTC))
                buffering.add(Error(Source.ALERT, kind_of(target), "not_sent", "", str(error)), link)
        except Exception as error:
            # A fault of ours with one message must not keep the others back.
            store.page_failed(number, f"failed to send: {type(error).__name__}", wait=60.0)
            log.exception("page_failed", target=kind_of(target), message=str(message))
        else:
            store.page_sent(number)
            count += 1
    return count


def _wait(attempts: int) -> float:
    return min(LONGEST_WAIT, 2.0 ** min(attempts, 20))


class Outage:
    """Alerts that are judged without a database. One thread looks, another one hands over."""

    def __init__(self, judging: Judging, memory: Memory, taken: TakenFile) -> None:
        self._judging = judging
        self._memory = memory
        self._taken = taken
        memory.recall(judging)
        self._lasts = False
        self._alerts: dict[tuple[str, Labels], Alert] = {}
        #: as they were when it began
        self._before: frozenset[Alert] = frozenset()
        #: messages that no target has taken yet
        self._on_the_way: set[tuple[UUID, str]] = set()
        self._lock = threading.Lock()

    def look(self) -> None:
        """Judge what this process sees by itself, while PostgreSQL is away."""
        with self._lock:
            self._look()

    def _look(self) -> None:
        seen = {one.component: one for one in watching.observations()}
        database, now = seen.get("postgresql"), time.time()
        if database is None or database.state is not State.DOWN or now - database.at > database.good_for:
            # Nobody heard of these, and the next outage is another one.
            self._alerts = {key: alert for key, alert in self._alerts.items() if alert.announced is not None}
            self._lasts = False
            return
        rules = {name: rule for name, rule in self._judging.rules.items() if _needs_no_database(rule)}
        if not self._lasts:
            # What was open goes on: under the same serials, from the same rungs.
            self._lasts = True
            self._alerts = {**{one.key: one for one in self._judging.open if one.rule in rules}, **self._alerts}
            self._before = frozenset(self._alerts.values())
        frame: dict[Series, float | None] = {
            series("erip_component_up", component=name): UP.get(one.state)
            for name, one in seen.items()
            if now - one.at <= one.good_for
        }
        taken = self._taken.read()
        open_ = [
            replace(alert, acknowledged=True) if taken is not None and taken.covers(alert) else alert
            for alert in self._alerts.values()
            if alert.stage is not Stage.RESOLVED
        ]
        after, forgotten = judge_all(rules, indexed(frame), open_, self._judging.serials, now)
        said = say(
            after,
            rules,
            self._judging.silences,
            self._judging.roster,
            self._judging.channels,
            lambda _: {"database": "away: what waits is unknown"},
            lambda: likely_causes(
                lambda: merged(watching.changes()),
                {name: of_observation(one, now) for name, one in seen.items()},
                now,
            ),
            at=now,
            now=now,
            sent_lately=0,
        )
        for number, targets, body in said.messages:
            for target in targets:
                self._on_the_way.add((number, target))
                once("page", partial(self._send, target, number, body))
        for key in forgotten:
            self._alerts.pop(key, None)
        for alert in after:
            self._alerts[alert.key] = said.changed.get((alert.rule, alert.labels, alert.serial), alert)
            if alert.stage is not Stage.PENDING:
                self._judging.serials[alert.key] = alert.serial
        # Only what was taken is known to be said: if this process is killed, the rest is sent again, under its id.
        if not self._on_the_way:
            self._memory.keep(self._judging, self._alerts.values())

    def _send(self, target: str, message: UUID, body: Mapping[str, Any]) -> None:
        try:
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    send(target, message, body, self._judging.channels)
                    return
                except NotSent as error:
                    log.error("page_not_sent", target=kind_of(target), message=str(message), error=error)
                    if error.lasting:
                        return
                    time.sleep(min(LONGEST_WAIT_NOW, error.after or _wait(attempt)))
        finally:
            with self._lock:
                self._on_the_way.discard((message, target))

    def remember(self) -> None:
        """PostgreSQL is there: keep what was read from it for a process that is started while it is away."""
        with self._lock:
            if not self._lasts:
                self._memory.keep(self._judging, self._judging.open)

    def hand_over(self) -> None:
        """PostgreSQL is back: record what was announced meanwhile, so that its end is announced too.

        Raises django.db.Error if it is not back after all; nothing is lost then.
        """
        with self._lock:
            if self._lasts:
                # By what this process saw last it is away: what is handed over now would be judged, and sent, anew.
                return
            for key, alert in list(self._alerts.items()):
                if alert.announced is not None:
                    if alert not in self._before:
                        try:
                            store.keep_alerts([alert], self._judging.rules)
                            if alert.acknowledged:
                                taken = self._taken.read()
                                by, note = (taken.by, taken.note) if taken is not None else ("somebody", "")
                                store.note_taken(alert, by=by, note=note)
                        except IntegrityError:
                            # An alert of this rule was open already, of which nobody here knew.
                            log.warning("alert_not_recorded", rule=alert.rule)
                    del self._alerts[key]


def _needs_no_database(rule: Rule) -> bool:
    return all(one.metric == "erip_component_up" for one in rule.selectors)


def begin(judging: Judging) -> tuple[Service, Outage]:
    """Send in this process from now on, and judge while PostgreSQL is away."""
    for fault in unusable():
        log.error("alert_target_cannot_be_reached", fault=fault)
    folder = conf().disk / "pulse"
    outage = Outage(judging, Memory(folder / "memory.json"), TakenFile(folder))
    sender = database_service("page", send_due, keeps=False, every=EVERY, back_off=(1.0, 5.0), expected=may_wait)
    Service("page-without-database", outage.look, every=LOOK_EVERY).start()
    return sender.start(), outage
