"""The same timelines in PULSE and in the real Alertmanager: whoever is told hears the same of both.

The timelines are those of Alertmanager's own acceptance suite (inhibiting, batching, resolved, silencing,
deduplication), told with the shipped rules. Alertmanager has no clock that could be moved, so all timelines run beside
each other, each under a label of its own; and a step is over when a canary that was sent after it has arrived, twice:
every group has been flushed by then.
"""

import json
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from erip.ops.stack.ports import any_free
from monitoring.alerting import judge_all, shipped
from monitoring.core.alerts import Alert, Silence, Stage, announcements, indexed
from monitoring.core.promql import alerting_rule, cause_of, inhibit_rules
from monitoring.core.rules import Rule
from monitoring.core.series import series
from tests.support.prometheus import tool
from tests.workers import until

CANARY = "canary"
#: what somebody is told: (rule, labels) and whether it fires
News = dict[str, set[tuple[str, str, bool]]]


@dataclass
class Step:
    """fires: rules that fire in this step, as `rule` or `rule/value` for one of several alerts of a rule.
    silenced: rules that are silenced in it. twice: each alert is sent twice, as by two evaluators."""

    fires: set[str] = field(default_factory=set)
    silenced: set[str] = field(default_factory=set)
    twice: bool = False


def timeline(*steps: set[str] | Step) -> list[Step]:
    return [one if isinstance(one, Step) else Step(one) for one in steps]


TIMELINES = {
    "inhibited, and told when it outlasts its cause": timeline(
        {"postgresql-down"}, {"postgresql-down", "no-worker"}, {"no-worker"}, set()
    ),
    "inhibited, and over before its cause": timeline(
        {"postgresql-down"}, {"postgresql-down", "no-worker"}, {"postgresql-down"}, set()
    ),
    "cause and symptoms at once": timeline({"postgresql-down", "no-worker", "no-web", "deadline-missed"}, set()),
    "through a chain": timeline({"etcd-down"}, {"etcd-down", "postgresql-down", "no-web"}, {"no-web"}, set()),
    "a ticket keeps no page back": timeline({"redis-down"}, {"redis-down", "no-worker", "worker-silent"}, set()),
    "what does not depend on it": timeline({"redis-down"}, {"redis-down", "no-web", "disk-filling"}, set()),
    "grouped by cause": timeline(
        {"no-worker/a", "no-worker/b", "critical-work-late/a"},
        {"no-worker/a", "no-worker/b", "critical-work-late/a"},
        set(),
    ),
    "a group that grows and shrinks": timeline({"no-web/a"}, {"no-web/a", "no-web/b"}, {"no-web/b"}, set()),
    "resolved, and again": timeline({"haproxy-down"}, set(), {"haproxy-down"}, set()),
    "silenced from the first": timeline(
        Step({"haproxy-down"}, {"haproxy-down"}), Step({"haproxy-down"}, {"haproxy-down"}), {"haproxy-down"}, set()
    ),
    "silenced, and over before the silence": timeline(
        Step({"haproxy-down"}, {"haproxy-down"}), Step(set(), {"haproxy-down"}), set()
    ),
    "silenced after it was told": timeline(
        {"haproxy-down"}, Step({"haproxy-down"}, {"haproxy-down"}), {"haproxy-down"}, set()
    ),
    "a silenced cause still explains": timeline(
        Step({"postgresql-down"}, {"postgresql-down"}),
        Step({"postgresql-down", "no-worker"}, {"postgresql-down"}),
        set(),
    ),
    "sent by two": timeline(
        Step({"no-web"}, twice=True), Step({"no-web"}, twice=True), Step({"no-web", "no-web/b"}, twice=True), set()
    ),
}
NOTHING_IS_TOLD = {"silenced, and over before the silence", "a silenced cause still explains"}
#: where the two differ: it was told, and ended in a silence
ENDS_IN_SILENCE = timeline({"haproxy-down"}, Step(set(), {"haproxy-down"}), set(), set())


def rules() -> dict[str, Rule]:
    """The shipped rules, each about a metric of its own, and at once: when they fire is compared elsewhere."""
    return {
        name: rule.model_copy(
            update={
                "metric": f"test_{number}", "where": {}, "by": ["who"], "divide_by": None, "above": 0.0, "below": None,
                "for_": "0s", "keep_firing_for": "0s",
            }
        )
        for number, (name, rule) in enumerate(shipped().items())
    }  # fmt: skip


# --- PULSE ------------------------------------------------------------------------------------------------


def told_by_pulse(steps: list[Step]) -> list[News]:
    """What PULSE announces in each step. As `Judging.tick` does it, without a database."""
    known, open_, serials, told = rules(), [], {}, []
    ended: list[Alert] = []
    now = 0.0
    for step in steps:
        news: News = {}
        for _ in range(2):
            now += 10.0
            frame = {
                series(rule.metric, who=who): float(_named(name, who) in step.fires)
                for name, rule in known.items()
                for who in ("", "a", "b")
            }
            silences = [Silence(name, {}, now + 1.0) for name in step.silenced]
            after, forgotten = judge_all(known, indexed(frame), open_, serials, now)
            assert not forgotten
            both = [*after, *ended]
            said = announcements(both, known, silences, now, sent_lately=0)
            announced = {alert.key: alert.stage for one in said for alert in one.alerts}
            both = [replace(alert, announced=announced.get(alert.key, alert.announced)) for alert in both]
            open_ = [alert for alert in both if alert.stage is not Stage.RESOLVED]
            ended = [alert for alert in both if alert.stage is Stage.RESOLVED and alert.announced is Stage.FIRING]
            serials.update({alert.key: alert.serial for alert in after})
            for one in said:
                news.setdefault(one.cause, set()).update(
                    (alert.rule, dict(alert.labels)["who"], alert.stage is Stage.FIRING) for alert in one.alerts
                )
        told.append(news)
    return told


def _named(rule: str, who: str) -> str:
    return f"{rule}/{who}" if who else rule


# --- Alertmanager -----------------------------------------------------------------------------------------


class Receiver:
    """A webhook. Remembers, of each timeline, what it was told that it did not know."""

    def __init__(self) -> None:
        self.messages: list[Mapping[str, Any]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.end_headers()
                receiver.messages.append(body)

            def log_message(self, *_: Any) -> None:
                """Not to the test's output."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/"

    def heard(self, canary: str) -> bool:
        return any(one["commonLabels"].get("who") == canary for one in list(self.messages))


@contextmanager
def running(folder: Path, receiver: Receiver) -> Iterator[str]:
    """The real Alertmanager, with what is exported from the rules and short times. Yields the URL of its API."""
    config = {
        "route": {
            "receiver": "test", "group_by": ["timeline", "cause"],
            "group_wait": "300ms", "group_interval": "300ms", "repeat_interval": "4h",
        },
        "receivers": [{"name": "test", "webhook_configs": [{"url": receiver.url, "send_resolved": True}]}],
        "inhibit_rules": [{**one, "equal": ["timeline"]} for one in inhibit_rules(rules().values())],
    }  # fmt: skip
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{any_free()}"
    command = [
        tool("prometheus-alertmanager"), f"--config.file={folder / 'alertmanager.yml'}", f"--storage.path={folder}",
        f"--web.listen-address={address}", "--cluster.listen-address=",
    ]  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            until(lambda: _ready(f"http://{address}/-/ready"), what=f"Alertmanager answers; log: {folder / 'log'}")
            yield f"http://{address}/api/v2"
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def _ready(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.HTTPError:
        return False


def told_by_alertmanager(
    timelines: Mapping[str, list[Step]], expected: Mapping[str, list[News]], folder: Path
) -> dict[str, list[News]]:
    """What it tells in each step. A step lasts until its canaries have come, and, on a busy machine, until what is
    expected in it has come, too: what is late is not wrong. What comes beyond that is seen in the next step."""
    known = rules()
    receiver = Receiver()
    found: dict[str, list[News]] = {name: [] for name in timelines}
    learned: dict[tuple[str, str, str], bool] = {}
    silences: dict[tuple[str, str], str] = {}
    fired: dict[tuple[str, str], datetime] = {}
    read, differing = 0, False
    with running(folder, receiver) as api:
        for number in range(max(map(len, timelines.values()))):
            alerts: list[dict[str, Any]] = []
            for name, steps in timelines.items():
                step = steps[number] if number < len(steps) else Step()
                _silence(api, name, step.silenced, silences)
                now = datetime.now(UTC)
                for one in step.fires:
                    fired.setdefault((name, one), now)
                for key, since in list(fired.items()):
                    if key[0] == name:
                        over = key[1] not in step.fires
                        alerts += [_alert(known, *key, since, now if over else now + timedelta(hours=1))] * (
                            1 + step.twice
                        )
                        if over:
                            del fired[key]
            httpx.post(f"{api}/alerts", json=alerts).raise_for_status()
            # Not before: a group may be flushed in between, and what ends in this step would still fire, unsilenced.
            for name, steps in timelines.items():
                _end_silences(api, name, steps[number].silenced if number < len(steps) else set(), silences)
            for turn in range(2):
                canary = f"{number}-{turn}"
                mark = {"alertname": CANARY, "timeline": CANARY, "cause": canary, "who": canary}
                httpx.post(f"{api}/alerts", json=[{"labels": mark}]).raise_for_status()
                until(lambda canary=canary: receiver.heard(canary), what=f"canary {canary}")  # type: ignore[misc]
            heard: dict[str, News] = {name: {} for name in timelines}
            late = {name for name, told in expected.items() if number < len(told)}

            def all_came(number: int = number, heard: dict[str, News] = heard, late: set[str] = late) -> bool:
                nonlocal read
                messages = receiver.messages[read:]
                read += len(messages)
                for name, news in heard.items():
                    for cause, told in _news(messages, name, learned).items():
                        news.setdefault(cause, set()).update(told)
                return all(heard[name] == expected[name][number] for name in late)

            with suppress(AssertionError):
                until(all_came, seconds=0.0 if differing else 60.0)
            differing = differing or not all_came()
            for name, news in heard.items():
                found[name].append(news)
    receiver.server.shutdown()
    return found


def _news(messages: list[Mapping[str, Any]], name: str, learned: dict[tuple[str, str, str], bool]) -> News:
    """What these messages say of a timeline that was not known: Alertmanager tells the whole group at each change."""
    news: News = {}
    for message in messages:
        for alert in message["alerts"]:
            labels = alert["labels"]
            if labels["timeline"] != name:
                continue
            rule, who, fires = labels["alertname"], labels.get("who", ""), alert["status"] == "firing"
            if learned.get((name, rule, who), False) != fires:
                learned[name, rule, who] = fires
                news.setdefault(labels["cause"], set()).add((rule, who, fires))
    return news


def _alert(known: Mapping[str, Rule], name: str, one: str, since: datetime, until_: datetime) -> dict[str, Any]:
    rule, _, who = one.partition("/")
    written = alerting_rule(known[rule])
    labels = {**written["labels"], "alertname": rule, "timeline": name, "who": who}
    assert labels["cause"] == cause_of(known[rule])
    return {
        "labels": {key: value for key, value in labels.items() if value},
        "annotations": written["annotations"],
        "startsAt": since.isoformat(),
        "endsAt": until_.isoformat(),
    }


def _silence(api: str, name: str, wanted: set[str], silences: dict[tuple[str, str], str]) -> None:
    for rule in wanted:
        if (name, rule) not in silences:
            now = datetime.now(UTC)
            matchers = [
                {"name": key, "value": value, "isRegex": False, "isEqual": True}
                for key, value in (("timeline", name), ("alertname", rule))
            ]
            body = {
                "matchers": matchers, "startsAt": now.isoformat(), "endsAt": (now + timedelta(hours=1)).isoformat(),
                "createdBy": "test", "comment": "test",
            }  # fmt: skip
            silences[name, rule] = httpx.post(f"{api}/silences", json=body).raise_for_status().json()["silenceID"]


def _end_silences(api: str, name: str, wanted: set[str], silences: dict[tuple[str, str], str]) -> None:
    for key in [one for one in silences if one[0] == name and one[1] not in wanted]:
        httpx.delete(f"{api}/silence/{silences.pop(key)}").raise_for_status()


# --- both -------------------------------------------------------------------------------------------------


def test_pulse_tells_what_alertmanager_tells(tmp_path: Path) -> None:
    ours = {name: told_by_pulse(steps) for name, steps in TIMELINES.items()}
    fires, over = {"haproxy": {("haproxy-down", "", True)}}, {"haproxy": {("haproxy-down", "", False)}}

    theirs = told_by_alertmanager({**TIMELINES, "differs": ENDS_IN_SILENCE}, {**ours, "differs": [fires]}, tmp_path)

    assert {name: theirs[name][: len(steps)] for name, steps in TIMELINES.items()} == ours
    assert {name for name in TIMELINES if not any(theirs[name])} == NOTHING_IS_TOLD
    assert not any(later for name, steps in TIMELINES.items() for later in theirs[name][len(steps) :])
    # Alertmanager leaves its receivers believing that it fires.
    assert told_by_pulse(ENDS_IN_SILENCE) == [fires, over, {}, {}]
    assert theirs["differs"] == [fires, {}, {}, {}]


@pytest.mark.parametrize("name", TIMELINES)
def test_every_timeline_ends_with_nothing_open(name: str) -> None:
    """So that what is told at the end is compared, too."""
    open_: set[tuple[str, str]] = set()
    for news in told_by_pulse(TIMELINES[name]):
        for rule, who, fires in (one for each in news.values() for one in each):
            (open_.add if fires else open_.discard)((rule, who))
    assert not open_
