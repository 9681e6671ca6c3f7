"""Sends messages about alerts: signed webhooks (Standard Webhooks) and e-mail.

Note [Pages]
A message is a row, written in the transaction that judged the frame. Any leader claims it for a while, sends it, and
notes that; one that is killed in between leaves it to be claimed again, and it is sent twice under the same id
(`webhook-id`, or `Message-ID`). So no message is lost, and receivers know doubles.

While PostgreSQL is away nothing can be judged or claimed there. Then each leader judges the rules about the servers
that it looks at itself, with the rules, serials and silences that it knew last, and sends at once. Two leaders then
send the same message under the same id. When PostgreSQL is back, the alert is recorded, and resolved as any other.
"""

import base64
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

import orjson
import structlog
from django.conf import settings
from django.core.mail import EmailMessage
from django.db import IntegrityError

from erip.foundation.outbound.addresses import Refused, Unresolved
from erip.foundation.outbound.webhook import DeliveryFailed, Target, post
from erip.foundation.process.background import database_service
from erip.foundation.service import Service, once
from monitoring import store
from monitoring.alerting import Judging, body_of, judge_all, message_id
from monitoring.conf import conf
from monitoring.core.alerts import Alert, Labels, Stage, announcements, indexed
from monitoring.core.causes import rank
from monitoring.core.changes import merged
from monitoring.core.components import UP, State, of_observation
from monitoring.core.rules import Rule
from monitoring.core.series import Series, series
from monitoring.reporting import may_wait
from monitoring.store.alerts import ATTEMPTS, LONGEST_WAIT
from monitoring.watching import watching

log = structlog.get_logger(__name__)

#: seconds between two looks for messages that others left, or that are due again: a tick that made some wakes the
#: sender. And seconds between two looks at whether PostgreSQL is away, which cost no statement.
EVERY, LOOK_EVERY = 5.0, 1.0


class NotSent(Exception):
    """A message was not taken. lasting: another attempt would fare no better."""

    def __init__(self, text: str, *, lasting: bool = False, after: float | None = None) -> None:
        super().__init__(text)
        self.lasting, self.after = lasting, after


def send(target: str, message: UUID, body: Mapping[str, Any]) -> None:
    """Send one message to one target. Raises NotSent."""
    kind, _, where = target.partition(":")
    if kind == "mail":
        _mail(where, message, body)
        return
    secret = conf().webhook_secret
    if not secret_is_good(secret):
        raise NotSent("ERIP_ALERT_WEBHOOK_SECRET is no secret of Standard Webhooks (whsec_ and base64)")
    try:
        post(
            where,
            orjson.dumps(body).decode(),
            message_id=str(message),
            secret=secret,
            now=datetime.now(UTC),
            allow_private=settings.ERIP_WEBHOOK_ALLOW_PRIVATE,
        )
    except DeliveryFailed as error:
        raise NotSent(str(error), lasting=not error.retryable, after=error.retry_after) from error
    except Unresolved as error:
        raise NotSent(str(error)) from error
    except Refused as error:
        raise NotSent(_without(where, error), lasting=True) from error


def unusable() -> list[str]:
    """Why webhooks that are set can never be called: what is found out at the first alert is found out too late."""
    faults = []
    for number, target in enumerate((one for one in conf().targets if one.startswith("webhook:")), 1):
        url = target.removeprefix("webhook:")
        try:
            Target.of(url, allow_private=settings.ERIP_WEBHOOK_ALLOW_PRIVATE)
        except Refused as error:
            faults.append(f"webhook {number}: {_without(url, error)}")
    return faults


def _without(url: str, error: Refused) -> str:
    """What is said of a URL, without it: whoever knows the path of a webhook's URL can often post there."""
    return str(error).replace(repr(url), "the URL").replace(url, "the URL")


def secret_is_good(secret: str) -> bool:
    """Whether webhooks can be signed with it."""
    try:
        return secret.startswith("whsec_") and len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) >= 16
    except ValueError:
        return False


def _mail(address: str, message: UUID, body: Mapping[str, Any]) -> None:
    lines = [str(body["title"]), ""]
    for alert in body["alerts"]:
        labels = ", ".join(f"{name} {value}" for name, value in alert["labels"].items())
        lines += [f"- {alert['state']}: {alert['summary']} {f'[{labels}]' if labels else ''}".rstrip()]
        lines += [f"  rule {alert['rule']}, value {alert['value']}, since {alert['since']}"]
        if alert["runbook"]:
            lines += [f"  what to do: {alert['runbook']}"]
    for cause in body.get("causes", ()):
        lines += (
            ["", f"Likely cause: {cause['component']}"] if cause is body["causes"][0] else [f"Or: {cause['component']}"]
        )
        lines += [f"  {sentence}" for sentence in cause["evidence"]]
    impact = body["impact"]
    lines += ["", f"Steps that wait: {impact.get('waiting_steps')}"]
    lines += [f"Deadlines within an hour: {impact.get('deadlines_within_an_hour')}"]
    # A summary of a rule may hold a line break, which is no subject.
    subject = f"[ERIP {body['severity']}] {' '.join(str(body['title']).split())}"[:200]
    mail = EmailMessage(subject, "\n".join(lines), None, [address], headers={"Message-ID": f"<{message}@erip>"})
    try:
        sent = mail.send()
    except (OSError, ValueError) as error:
        raise NotSent(f"{type(error).__name__}: {error}"[:300]) from error
    if not sent:
        raise NotSent("no mail server is set (ERIP_EMAIL_URL)", lasting=True)


def send_due() -> int:
    """Send what is due. Returns how many messages were taken by their targets.

    A target that does not answer may take all of a message's time. The other messages to it are put off, so that those
    to other targets do not wait for it, and no claim ends while its message waits here.
    """
    count = 0
    away: set[str] = set()
    for number, message, target, body, attempts in store.claim_pages():
        if target in away:
            store.page_failed(number, "waits: its target did not take the one before", wait=_wait(attempts))
            continue
        try:
            send(target, message, body)
        except NotSent as error:
            if not error.lasting:
                away.add(target)
            lasting = error.lasting or attempts >= ATTEMPTS
            store.page_failed(number, str(error), wait=None if lasting else error.after or _wait(attempts))
            log.error("page_not_sent", kind=target.partition(":")[0], message=str(message), given_up=lasting)
        except Exception as error:
            # A fault of ours with one message must not keep the others back.
            store.page_failed(number, f"failed to send: {type(error).__name__}", wait=60.0)
            log.exception("page_failed", kind=target.partition(":")[0], message=str(message))
        else:
            store.page_sent(number)
            count += 1
    return count


def _wait(attempts: int) -> float:
    return min(LONGEST_WAIT, 2.0 ** min(attempts, 20))


class Outage:
    """Alerts that are judged without a database. One thread looks, another one hands over."""

    def __init__(self, judging: Judging) -> None:
        self._judging = judging
        self._alerts: dict[tuple[str, Labels], Alert] = {}
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
            return
        frame: dict[Series, float | None] = {
            series("erip_component_up", component=name): UP.get(one.state)
            for name, one in seen.items()
            if now - one.at <= one.good_for
        }
        rules = {name: rule for name, rule in self._judging.rules.items() if _needs_no_database(rule)}
        open_ = [alert for alert in self._alerts.values() if alert.stage is not Stage.RESOLVED]
        after, forgotten = judge_all(rules, indexed(frame), open_, self._judging.serials, now)
        said = announcements(after, rules, self._judging.silences, now, sent_lately=0)
        verdicts = {name: of_observation(one, now) for name, one in seen.items()}
        causes = rank(merged(watching.changes()), verdicts, now) if said else ()
        for one in said:
            body = body_of(one, rules, {"database": "away: what waits is unknown"}, now, causes)
            for target in conf().targets:
                once("page", partial(_send_now, target, message_id(one), body))
        announced = {alert.key: alert.stage for one in said for alert in one.alerts}
        for key in forgotten:
            self._alerts.pop(key, None)
        for alert in after:
            self._alerts[alert.key] = replace(alert, announced=announced.get(alert.key, alert.announced))
            if alert.stage is not Stage.PENDING:
                self._judging.serials[alert.key] = alert.serial

    def hand_over(self) -> None:
        """PostgreSQL is back: record what was announced meanwhile, so that its end is announced too.

        Raises django.db.Error if it is not back after all; nothing is lost then.
        """
        with self._lock:
            for key, alert in list(self._alerts.items()):
                if alert.announced is not None:
                    try:
                        store.keep_alerts([alert], self._judging.rules)
                    except IntegrityError:
                        # An alert of this rule was open already, of which nobody here knew.
                        log.warning("alert_not_recorded", rule=alert.rule)
                    del self._alerts[key]


def _needs_no_database(rule: Rule) -> bool:
    return all(one.metric == "erip_component_up" for one in rule.selectors)


def _send_now(target: str, message: UUID, body: Mapping[str, Any]) -> None:
    for attempt in range(3):
        try:
            send(target, message, body)
            return
        except NotSent as error:
            log.error("page_not_sent", kind=target.partition(":")[0], message=str(message), error=error)
            if error.lasting:
                return
            time.sleep(2.0**attempt)


def begin(judging: Judging) -> tuple[Service, Outage]:
    """Send in this process from now on, and judge while PostgreSQL is away."""
    if any(target.startswith("webhook:") for target in conf().targets) and not secret_is_good(conf().webhook_secret):
        log.error("alert_webhooks_cannot_be_signed", setting="ERIP_ALERT_WEBHOOK_SECRET")
    for fault in unusable():
        log.error("alert_webhook_cannot_be_called", setting="ERIP_ALERT_WEBHOOKS", fault=fault)
    outage = Outage(judging)
    sender = database_service("page", send_due, keeps=False, every=EVERY, back_off=(1.0, 5.0), expected=may_wait)
    Service("page-without-database", outage.look, every=LOOK_EVERY).start()
    return sender.start(), outage
