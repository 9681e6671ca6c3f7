"""One fuzz: what there is to be sent to, and the loop that sends."""

import random
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import redis
from django.conf import settings
from django.contrib.auth import get_user_model
from django.test import Client

from erip.access import keys
from erip.access.scopes import Scope
from tests import workers
from tests.fuzz import files, messages, wire
from tests.fuzz.doors import Doors
from tests.fuzz.platform import Platform
from tests.support.admin_pages import all_pages
from tests.support.api import Api
from workflows import engine

DEFINITION = """\
name: fuzz
input: {type: object}
steps:
  a: {uses: nexus.enrich_threat, with: {cvss_vectors: []}}
  b: {foreach: "${{ [1, 2] }}", uses: nexus.enrich_threat, with: {cvss_vectors: []}}
output: "${{ input }}"
"""
#: requests between two looks at the logs
LOOK_EVERY = 50
#: one in so many is a message to the broker, a command with a file
MESSAGE_EVERY, FILE_EVERY = 40, 400


@dataclass
class Report:
    seed: int
    seconds: float = 0.0
    requests: int = 0
    messages: int = 0
    commands: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    #: requests answered with 500 or more (but for 501, 503 and 505, which say what they mean), or not at all
    errors: list[str] = field(default_factory=list)
    tracebacks: list[str] = field(default_factory=list)
    dead_threads: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return not (self.errors or self.tracebacks or self.dead_threads)

    def document(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "seconds": round(self.seconds, 1),
            "requests": self.requests,
            "broker_messages": self.messages,
            "commands": self.commands,
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
            "server_errors": len(self.errors),
            "tracebacks": len(self.tracebacks),
            "dead_threads": self.dead_threads,
        }


def doors() -> Doors:
    """What can be sent to. Makes a key, a session, a run, a subscription and what else there must be."""
    from erip.foundation.http.documents import _document

    token = keys.create(name=f"fuzz {time.time_ns()}", scope=Scope.ADMIN).token
    user, _ = get_user_model().objects.get_or_create(
        username="fuzz", defaults={"is_staff": True, "is_superuser": True, "email": "fuzz@example.com"}
    )
    client = Client()
    client.force_login(user)
    engine.publish(None, DEFINITION, "yaml", author="fuzz")
    runs = [run.id for run in engine.start_runs("fuzz", [engine.StartRequest({})] * 3, principal="fuzz")]
    api = Api(token)
    subscription = api.post("/subscriptions", {"url": "https://hooks.example.com/x", "types": ["fuzz.*"]}).json()["id"]
    api.send("PUT", "/event-types/fuzz.happened", b'{"schema": {}}')
    api.send("PUT", "/triggers/fuzz", b'{"workflow": "fuzz", "rule": {"event": "fuzz.never", "input": {}}}')
    known = {
        "name": ["fuzz", "fuzz", "breach-response"],
        "id": [*runs, subscription, "1", "2"],
        "step": ["a", "b"],
        "number": ["1", "2"],
        "type": ["fuzz.happened"],
        "position": ["0-0", "1-1"],
    }
    pages = [f"/admin/{model._meta.app_label}/{model._meta.model_name}/" for model in all_pages()]
    return Doors(orjson.loads(_document()), known, token, client.cookies[settings.SESSION_COOKIE_NAME].value, pages)


def fuzz(
    site: Platform, *, seed: int, seconds: float, folder: Path, commands: bool = True, show: bool = False
) -> Report:
    """Send until the time is over."""
    chance = random.Random(seed)
    there = doors()
    site.begin()
    broker = redis.Redis.from_url(settings.ERIP_BROKER_URL)
    report = Report(seed)
    began = time.monotonic()
    environment: Mapping[str, str] = workers.environment()
    count = 0
    while time.monotonic() - began < seconds:
        count += 1
        if commands and count % FILE_EVERY == 0:
            ran = files.try_one(chance, folder, environment)
            report.commands += 1
            if not ran.good:
                report.tracebacks.append(f"manage.py {ran.arguments}: {ran.code}: {ran.output[-1500:]}")
                if show:
                    print(report.tracebacks[-1], flush=True)
        if count % MESSAGE_EVERY == 0:
            broker.lpush(chance.choice(messages.QUEUES), messages.any_message(chance))
            report.messages += 1
        content = there.any(chance)
        waits = wire.awaits_more(content)
        status, answer = wire.exchange(site.port, content, seconds=0.5 if waits else 20.0)
        report.requests += 1
        report.statuses[status] += 1
        if (status == -1 and not waits) or (status >= 500 and status not in (501, 503, 505)):
            report.errors.append(f"{status}: {wire.Sent(content).shown()}\n    {answer[-400:]!r}")
            if show:
                print(report.errors[-1], flush=True)
        if count % LOOK_EVERY == 0:
            _look(site, report, show)
    time.sleep(1)  # the last messages are being read
    _look(site, report, show)
    report.dead_threads = site.dead_threads()
    # A service that died is a fault of the process's health; of threads that begin late that is all there is to see.
    ready, answer = wire.exchange(site.port, wire.request("GET", "/health/ready", [("Host", "localhost")]))
    if ready != 200:
        report.dead_threads.append(f"web: not ready: {answer[-300:]!r}")
    report.seconds = time.monotonic() - began
    return report


def _look(site: Platform, report: Report, show: bool) -> None:
    found = site.faults()
    report.tracebacks += found
    if show:
        for each in found:
            print(f"{each[:60]} … {each[-1_500:]}", flush=True)
