"""Streams: clients hear at once what is logged, miss nothing and hear nothing twice, however often they reconnect."""

import http.client
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode, urlsplit

import orjson
import pytest
from django.db import connection, connections

from erip.access import granting, keys
from erip.access.models import ApiKey, Space
from erip.access.scopes import Scope
from erip.foundation.process import draining
from tests.definitions import one_step, publish
from tests.support.api import DEFINITION, key
from tests.support.events import accept, consuming, event
from tests.support.server import serving
from tests.workers import until
from workflows import engine
from workflows.core import cursors
from workflows.engine.spaces import move
from workflows.events import interest
from workflows.events.conf import conf
from workflows.events.models import Event, StreamedType
from workflows.events.streaming import hub as hubs
from workflows.events.streaming import listening
from workflows.events.streaming.announcing import StreamsEffect

pytestmark = pytest.mark.django_db(transaction=True)


class Listener:
    """A client that keeps what it receives."""

    def __init__(self, url: str, token: str, last: str | None = None, **query: Any) -> None:
        self.web = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
        headers = {"Authorization": f"Bearer {token}", **({"Last-Event-ID": last} if last else {})}
        self.web.request("GET", f"/api/v1/events/stream?{urlencode(query, doseq=True)}", headers=headers)
        self.answer = self.web.getresponse()
        self.last = last
        self.events: list[dict[str, Any]] = []
        self.comments: list[str] = []
        self.end: dict[str, Any] | None = None
        self.over = False
        if self.answer.status == 200:
            self.thread = threading.Thread(target=self._read, daemon=True)
            self.thread.start()

    def _read(self) -> None:
        fields: dict[str, str] = {}
        try:
            for raw in self.answer:
                line = raw.decode().rstrip("\n")
                if line.startswith(":"):
                    self.comments.append(line)
                elif line:
                    name, _, value = line.partition(": ")
                    fields[name] = value
                else:
                    self._hear(fields)
                    fields = {}
        except (OSError, http.client.HTTPException, ValueError, AttributeError):
            pass  # closed
        self.over = True

    def _hear(self, fields: dict[str, str]) -> None:
        if fields.get("event") == "end":
            self.end = orjson.loads(fields["data"])
        elif "data" in fields:
            self.events.append(orjson.loads(fields["data"]))
        self.last = fields.get("id", self.last)

    @property
    def ids(self) -> list[str]:
        return [one["id"] for one in self.events]

    def close(self) -> None:
        """Cut the connection, whatever is on its way."""
        import socket

        sock = self.web.sock or self.answer.fp.raw._sock  # type: ignore[union-attr]
        sock.shutdown(socket.SHUT_RDWR)
        self.thread.join(timeout=10)
        self.web.close()


@pytest.fixture
def token() -> str:
    keys.forget_cached()
    return key(Scope.VIEWER, "listener")


@pytest.fixture
def tuned(settings: Any) -> Iterator[Any]:
    """Set settings of the streams."""

    def change(**values: Any) -> None:
        for name, value in values.items():
            setattr(settings, name, value)
        conf.cache_clear()

    yield change
    conf.cache_clear()


@pytest.fixture
def bus() -> Iterator[str]:
    """The URL of a web process, with a consumer behind it."""
    with consuming(StreamsEffect()), serving() as url:
        yield url
    draining.forget()
    listening.forget()
    connections.close_all()


@contextmanager
def listener(url: str, token: str, last: str | None = None, **query: Any) -> Iterator[Listener]:
    made = Listener(url, token, last, **query)
    assert made.answer.status == 200, made.answer.read()
    try:
        until(lambda: listening.hub()._mailboxes, what="it has joined")
        yield made
    finally:
        made.close()


def numbered(first: int, count: int, **attributes: Any) -> list[dict[str, Any]]:
    return [event(id=str(number), subject=f"s-{number % 5}", **attributes) for number in range(first, first + count)]


def test_who_listens_in_a_space_hears_what_its_workflows_announce(bus: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "ASK_EVERY", 0.2)
    for name in ("mine", "theirs"):
        Space.objects.create(name=name)
        engine.publish(None, DEFINITION.replace("look-up", f"{name}-flow", 1), "yaml", author="test")
        move(f"{name}-flow", name)
    made = keys.create(name="of mine", scope="")
    granting.grant("viewer", "key:of mine", space="mine", by="test")
    keys.forget_cached()

    def announce(first: int) -> None:
        sources = ["/erip/workflows/theirs-flow", "/tests", "/erip/workflows/mine-flow"]
        accept([event(id=str(first + place), subject="s", source=source) for place, source in enumerate(sources)])

    with listener(bus, made.token) as heard:
        announce(0)
        until(lambda: heard.ids == ["2"])
        last = heard.last
    announce(3)
    with listener(bus, made.token, last) as again:
        # What it missed, and what comes from now on.
        announce(6)
        until(lambda: again.ids == ["5", "8"])
        move("mine-flow", "theirs")
        move("theirs-flow", "mine")
        until(lambda: {one.filter.sources for one in listening.hub()._mailboxes} == {_SOURCES_NOW})
        announce(9)
        until(lambda: again.ids == ["5", "8", "9"])
        granting.take_away("viewer", "key:of mine", space="mine")
        until(lambda: again.end is not None)
        assert again.end == {"reason": "access_ended", "message": again.end["message"]}


_SOURCES_NOW = frozenset({"/erip/workflows/theirs-flow"})


def test_events_are_heard_in_the_order_of_their_subjects_and_only_those_that_are_asked_for(
    bus: str, token: str
) -> None:
    with listener(bus, token, type=["nexus.threat.*", "x"], source="/a") as heard:
        accept(numbered(0, 40, type="nexus.threat.detected", source="/a"))
        accept(numbered(40, 5, type="nexus.threat.detected", source="/b"))
        accept(numbered(50, 5, type="atlas.vulnerability.discovered", source="/a"))
        accept([event(id="last", type="x", source="/a")])
        until(lambda: "last" in heard.ids)
        until(lambda: len(heard.ids) >= 41)

    assert heard.answer.headers["Content-Type"].startswith("text/event-stream")
    assert sorted(heard.ids) == sorted([*map(str, range(40)), "last"])
    for subject in range(5):
        own = [int(one["id"]) for one in heard.events if one.get("subject") == f"s-{subject}"]
        assert own == sorted(own)


def test_nothing_is_missed_and_nothing_comes_twice_however_often_the_connection_is_cut(bus: str, token: str) -> None:
    total = 1500
    draw = random.Random(7)
    heard: list[str] = []
    last: str | None = None
    cuts = 0
    with listener(bus, token, type="nexus.*") as first:
        accept([event(id="first")])
        until(lambda: first.ids == ["first"])
        last = first.last

    def send() -> None:
        try:
            for start in range(0, total, 10):
                accept(numbered(start, 10))
                accept([event(type="other.noise")])
                time.sleep(0.004)
        finally:
            connections.close_all()

    sender = threading.Thread(target=send)
    sender.start()
    deadline = time.monotonic() + 90
    while len(heard) < total and time.monotonic() < deadline:
        with listener(bus, token, last, type="nexus.*") as one:
            wanted = draw.randrange(0, 150)
            moment = time.monotonic() + 5
            while len(one.ids) < wanted and len(heard) + len(one.ids) < total and time.monotonic() < moment:
                time.sleep(0.001)
        # A client has not received an event until it has read it to its end.
        heard += one.ids
        last = one.last
        cuts += 1
    sender.join()

    assert cuts > 5
    assert sorted(map(int, heard)) == list(range(total))
    for subject in range(5):
        own = [number for number in map(int, heard) if number % 5 == subject]
        assert own == sorted(own)


def test_a_listener_hears_of_a_run_that_is_started_while_it_listens(bus: str, token: str) -> None:
    publish(one_step("sample.echo"))
    with listener(bus, token, type="workflow.run.*") as heard:
        until(lambda: StreamedType.objects.filter(type="workflow.run.started").exists())
        interest.refresh()
        run = engine.start_runs("one", [engine.StartRequest({})], principal="t")[0]
        until(lambda: heard.events)

    assert [(one["type"], one["subject"]) for one in heard.events] == [("workflow.run.started", run.id)]
    assert "workflow.step.started" not in interest.wanted_types()


def test_heartbeats_move_the_id_past_what_is_not_for_the_listener(bus: str, token: str, tuned: Any) -> None:
    tuned(ERIP_EVENT_STREAM_HEARTBEAT_SECONDS=0.2)
    with listener(bus, token, type="nobody.sends.this") as heard:
        accept(numbered(0, 20))
        until(lambda: Event.objects.count() == 20)
        until(lambda: heard.last and sum(cursors.decode(heard.last).values()) == 20)
        assert heard.comments
        last = heard.last
    with listener(bus, token, last, type="*") as again:
        accept([event(id="next")])
        until(lambda: again.ids)
    assert again.ids == ["next"]


def test_who_comes_back_after_a_while_reads_what_was_logged_meanwhile(bus: str, token: str, tuned: Any) -> None:
    tuned(ERIP_EVENT_STREAM_BUFFER=50)
    with listener(bus, token) as heard:
        accept([event(id="first")])
        until(lambda: heard.ids)
        last = heard.last
    accept(numbered(0, 2500))
    until(lambda: Event.objects.count() == 2501)
    with listener(bus, token, last, type="nexus.*") as again:
        until(lambda: len(again.ids) >= 2500)
        accept([event(id="after")])
        until(lambda: again.ids[-1:] == ["after"])
    assert sorted(again.ids[:-1], key=int) == [str(number) for number in range(2500)]


def test_an_id_that_is_older_than_the_log_or_none_of_its_is_refused(bus: str, token: str) -> None:
    with listener(bus, token) as heard:
        accept(numbered(0, 30))
        until(lambda: len(heard.ids) == 30)
        last = heard.last
    assert last
    future = cursors.encode({number: position + 5 for number, position in cursors.decode(last).items()})
    past = cursors.encode(dict.fromkeys(cursors.decode(last), 0))
    assert code(Listener(bus, token, "nonsense!")) == (400, "unknown-event-id")
    assert code(Listener(bus, token, future)) == (400, "unknown-event-id")
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM events_event WHERE position < 3")
    assert code(Listener(bus, token, past)) == (410, "event-id-too-old")
    with listener(bus, token, last) as again:
        assert again.answer.status == 200


def code(refused: Listener) -> tuple[int, str]:
    return refused.answer.status, orjson.loads(refused.answer.read())["code"]


def test_queries_with_faults_are_refused_with_all_of_them(bus: str, token: str) -> None:
    refused = Listener(bus, token, type="a*b", subject=["x", "y"], colour="red")

    assert refused.answer.status == 400
    faults = orjson.loads(refused.answer.read())["faults"]
    assert sorted(fault["path"] for fault in faults) == ["colour", "subject", "type"]
    assert Listener(bus, "erip_nobody").answer.status == 401


def test_a_caller_has_so_many_streams_and_no_more(bus: str, token: str, tuned: Any) -> None:
    tuned(ERIP_EVENT_STREAMS_PER_CALLER=2, ERIP_EVENT_STREAMS=3)
    other, third = key(Scope.VIEWER, "other"), key(Scope.VIEWER, "third")
    with listener(bus, token), listener(bus, token):
        refused = Listener(bus, token)
        assert refused.answer.headers["Retry-After"]
        assert code(refused) == (429, "too-many-streams")
        with listener(bus, other):
            assert code(Listener(bus, third)) == (429, "too-many-streams")
    until(lambda: not listening.hub()._open)
    with listener(bus, token):
        pass


def test_listeners_have_neither_threads_nor_connections_of_their_own(bus: str, token: str, tuned: Any) -> None:
    tuned(ERIP_EVENT_STREAMS_PER_CALLER=100)
    with listener(bus, token):
        accept([event()])

        def threads() -> int:
            # The clients' own, in this process, do not count.
            return sum("_read" not in thread.name for thread in threading.enumerate())

        def sessions() -> int:
            with connection.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
                return int(cursor.fetchone()[0])

        before = threads(), sessions()
        others = [Listener(bus, token) for _ in range(40)]
        until(lambda: len(listening.hub()._mailboxes) == 41)
        try:
            # asyncio's own pool has a handful, however many listen.
            until(lambda: threads() <= before[0] + 8 and sessions() <= before[1] + 2, what="all is given back")
            accept([event(id="all")])
            until(lambda: all("all" in one.ids for one in others))
        finally:
            for one in others:
                one.close()


def test_a_listener_that_is_too_slow_is_told_and_can_go_on(bus: str, token: str, tuned: Any) -> None:
    tuned(ERIP_EVENT_STREAM_BUFFER=20)
    with listener(bus, token, type="big") as heard:
        accept([event(id="first", type="big")])
        until(lambda: heard.ids)
        (mailbox,) = listening.hub()._mailboxes
        # More at once than fit: the listener's loop runs only after all of them have arrived.
        with listening.hub()._lock:
            mailbox.send([hubs.message(line(n), cursors.encode({0: n})) for n in range(50)])
        until(lambda: heard.end)
        assert heard.end
        assert heard.end["reason"] == "too_slow"
        until(lambda: heard.over)
        assert len(heard.ids) == 21


def line(number: int) -> Any:
    from workflows.events.store.streams import Line

    return Line(0, number, "big", "/x", None, orjson.dumps(event(id=str(number), type="big")).decode())


def test_a_listener_that_takes_nothing_at_all_is_cut_off(
    bus: str, token: str, tuned: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    tuned(ERIP_EVENT_STREAM_BUFFER=10)
    monkeypatch.setattr(hubs, "GRACE", 0.2)
    with socket.create_connection(urlsplit(bus).netloc.split(":")) as deaf:
        deaf.sendall(f"GET /api/v1/events/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
        until(lambda: listening.hub()._mailboxes)
        # More than the sockets' buffers hold.
        for _ in range(60):
            accept([event(data="x" * 500_000)])
        until(lambda: not listening.hub()._open, what="it is cut off")


def test_a_revoked_key_ends_its_streams(bus: str, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "ASK_EVERY", 0.1)
    with listener(bus, token) as heard, listener(bus, key(Scope.VIEWER, "other")) as other:
        keys.revoke(ApiKey.objects.get(name="listener").prefix)
        until(lambda: heard.over)
        assert heard.end
        assert heard.end["reason"] == "access_ended"
        assert not other.over


def test_streams_end_when_the_process_does(bus: str, token: str) -> None:
    with listener(bus, token) as heard:
        draining.begin()
        until(lambda: heard.over)
        assert heard.end
        assert heard.end["reason"] == "shutting_down"
    late = Listener(bus, token)
    until(lambda: late.over)
    assert late.end == heard.end


def test_the_hub_goes_on_where_it_was_when_its_connections_break(bus: str, token: str) -> None:
    with listener(bus, token) as heard:
        accept(numbered(0, 10))
        until(lambda: len(heard.ids) == 10)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
                "AND pid <> pg_backend_pid() AND (query LIKE 'LISTEN erip_logged%%' OR query LIKE '%%events_event l%%')"
            )
            assert cursor.rowcount >= 1
        accept(numbered(10, 10))
        until(lambda: len(heard.ids) >= 20)

    assert sorted(map(int, heard.ids)) == list(range(20))


def test_who_comes_from_a_process_that_was_ahead_hears_nothing_twice(bus: str, token: str) -> None:
    with listener(bus, token) as heard:
        accept(numbered(0, 10))
        until(lambda: len(heard.ids) == 10)
        last, here = heard.last, listening.hub()
        with here._lock:
            # As if this process had not looked yet.
            here._positions = dict.fromkeys(here._positions, 0)
        with listener(bus, token, last) as again:
            accept([event(id="next")])
            until(lambda: again.ids)
            until(lambda: "next" in again.ids)
    assert again.ids == ["next"]
