"""A load is sent as its profile says, over real connections, and what comes back is counted as what it is."""

import asyncio
import json
import queue
import signal
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import CommandError, call_command

from benchmarks.client import Client
from benchmarks.errors import Missing
from benchmarks.traffic.measured import Measured
from benchmarks.traffic.playing import Player
from benchmarks.traffic.profile import read
from benchmarks.traffic.watch import NEVER_RIGHT, NO_LONGER_RIGHT, Watch


class Service:
    """An HTTP server with an answer for each path; it notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        self.headers: list[str] = []
        self.polls: Counter[str] = Counter()
        self.at_once = self.most_at_once = 0

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                method, path, _ = head.split(" ", 2)
                length = int(head.lower().partition("content-length: ")[2].partition("\r\n")[0] or 0)
                body = json.loads(await reader.readexactly(length)) if length else None
                self.asked.append((method, path, body))
                self.headers.append(head)
                self.at_once += 1
                self.most_at_once = max(self.most_at_once, self.at_once)
                status, answer = await self.answer(path)
                self.at_once -= 1
                content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                writer.write(f"HTTP/1.1 {status} x\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def answer(self, path: str) -> tuple[int, Any]:
        if path == "/api/v1/runs?limit=2":
            return 200, {"items": [{"id": "old-1"}, {"id": "old 2"}]}
        if path in ("/api/v1/workflows", "/api/v1/workflows?limit=1"):
            return 200, {"items": []}
        if path.endswith("/runs"):
            return 202, {"id": f"new-{len(self.asked)}"}
        if path.startswith("/api/v1/runs/new-"):
            self.polls[path] += 1
            return 200, {"status": "SUCCEEDED" if self.polls[path] > 1 else "RUNNING"}
        if path == "/api/v1/no-json":
            return 200, b"<html>"
        if path == "/api/v1/slow":
            await asyncio.sleep(30)
        if path == "/api/v1/short":
            await asyncio.sleep(0.05)
            return 200, {}
        return (200, {}) if path.startswith("/api/v1/runs/old") else (503, {})


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[Service, str]]:
    service = Service()
    server = await asyncio.start_server(service.talk, "127.0.0.1", 0)
    try:
        yield service, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def play(*requests: dict[str, Any], before: list[Any] = [], **more: Any) -> tuple[Service, Measured]:  # noqa: B006
    """50 sessions of each request."""
    document = {
        "format": 1,
        "host": "127.0.0.1",
        "writes": True,
        "arrivals": "even",
        "phases": [{"seconds": 0.5, "factor": 100}],
        "before": before,
        "requests": [{"rate": 1, "method": "GET", "timeout": 300, **one} for one in requests],
        **more,
    }
    profile = read(yaml.safe_dump(document))

    async def everything() -> tuple[Service, Measured]:
        async with serving() as (service, url):
            client = Client(url, "key", base="")
            try:
                player = Player(profile, client)
                await player.prepare()
                await player.play(lambda _: None)
            finally:
                client.close()
            return service, player.measured

    return asyncio.run(everything())


def latencies(measured: Measured) -> dict[str, int]:
    return {name: len(one.seconds) for name, one in measured.series.items()}


READS = {
    "format": 1,
    "phases": [{"seconds": 1}],
    "requests": [{"name": "l", "method": "GET", "path": "/api/v1/runs", "rate": 40}],
}
OLD = {"name": "old", "method": "GET", "path": "/api/v1/runs?limit=2", "keep": {"old": "items.id"}}


def test_a_session_starts_a_run_asks_until_it_has_ended_and_goes_on() -> None:
    poll = {"every": 0.05, "within": 3_600, "field": "status", "until": ["SUCCEEDED"], "wrong": ["FAILED"]}
    start = {
        "name": "start",
        "method": "POST",
        "path": "/api/v1/workflows/x/runs",
        "headers": {"Idempotency-Key": "${key}", "Content-Type": "application/cloudevents+json"},
        "body": {"input": {"n": "${n}"}},
        "expect": [202],
        "keep": {"run": "id"},
        "then": [{"name": "poll", "method": "GET", "path": "/api/v1/runs/${run}", "timeout": 300, "poll": poll}],
    }
    reads = {"name": "read", "path": "/api/v1/runs/${old}"}

    values = {"n": {"from": 1, "to": 3}, "key": {"unique": "k-"}}
    service, measured = play(start, reads, before=[OLD], values=values)

    begun = latencies(measured)["start"]
    assert latencies(measured) == {
        "start": begun, "poll": 2 * begun, "poll (reached)": begun, "read": 100 - begun,
    }  # fmt: skip
    assert measured.errors == {}
    # Each run was asked for twice, by the session that started it.
    assert set(service.polls.values()) == {2}
    starts = [body for method, _, body in service.asked if method == "POST"]
    assert {body["input"]["n"] for body in starts} == {1, 2, 3}
    heads = [head for head in service.headers if head.startswith("POST")]
    assert len({head.partition("Idempotency-Key: ")[2].split()[0] for head in heads}) == begun
    assert all(head.count("Content-Type: ") == 1 and "application/cloudevents+json" in head for head in heads)
    # A kept value is one part of the path.
    assert {path for _, path, _ in service.asked if "old" in path} == {"/api/v1/runs/old-1", "/api/v1/runs/old%202"}


def test_what_is_not_right_is_an_error_and_ends_its_session() -> None:
    then = [{"name": "after", "method": "GET", "path": "/api/v1/runs/old-1"}]
    slow = {"name": "slow", "path": "/api/v1/slow", "timeout": 0.05}
    lacking = {"name": "lacking", "path": "/api/v1/no-json", "keep": {"x": "id"}}
    none = {"name": "none", "path": "/api/v1/runs/${x}"}
    poll = {"every": 0.05, "within": 0.15, "field": "status", "until": ["SUCCEEDED"]}
    never = [{"name": "never", "method": "GET", "path": "/api/v1/runs/old-1", "timeout": 300, "poll": poll}]

    _, measured = play(
        {"name": "refused", "path": "/api/v1/x", "then": then},
        slow,
        lacking,
        none,
        {"name": "unended", "path": "/api/v1/runs/old-1", "then": never},
        in_flight=10,
    )

    errors = measured.errors
    assert errors.keys() == {"503", "timeout", "200 without x", "nothing kept as x", "not reached within 0.15 s"}
    assert measured.broken_off == errors["503"]
    assert "after" not in latencies(measured)
    # Each session has one error; that of a poll is that it was not reached.
    assert sum(errors.values()) == 250
    assert latencies(measured)["unended"] == errors["not reached within 0.15 s"]


def test_no_more_requests_are_on_their_way_than_the_profile_allows() -> None:
    service, measured = play({"name": "short", "path": "/api/v1/short"}, in_flight=3)

    assert service.most_at_once == 3
    assert latencies(measured) == {"short": 50}
    # 50 times 50 ms, three at once, are 0.83 s, and the last was due after 0.5: waiting for a place counts.
    assert max(measured.series["short"].seconds) > 0.25


@pytest.mark.parametrize(
    ("before", "said"),
    [
        ({**OLD, "path": "/api/v1/x"}, "answered 503"),
        ({**OLD, "path": "/api/v1/workflows"}, "nothing to keep as old"),
        ({**OLD, "path": "/api/v1/no-json"}, "nothing to keep as old"),
        ({**OLD, "path": "/api/v1/slow", "timeout": 0.05}, "no answer: TimeoutError"),
    ],
)
def test_no_load_begins_without_the_values_that_it_needs(before: dict[str, Any], said: str) -> None:
    with pytest.raises(Missing, match=said):
        play({"name": "read", "path": "/api/v1/runs/${old}"}, before=[before])


def test_a_service_that_is_gone_is_an_error_of_each_request() -> None:
    player = Player(read(yaml.safe_dump(READS)), Client("http://127.0.0.1:9", "k", base=""))

    asyncio.run(player.play(lambda _: None))

    assert sum(player.measured.errors.values()) > 10
    assert set(player.measured.errors) <= {"ConnectionRefusedError", "OSError"}


# --- a load that only does harm


def seconds_until_hopeless(watch: Watch, begin: int, *, right: int, wrong: int) -> int | None:
    """So many answers in each second from `begin` on."""
    for second in range(begin, begin + 300):
        if watch.hopeless(second) is not None:
            return second - begin
        for answer in [True] * right + [False] * wrong:
            watch.note(second, right=answer)
    return None


def test_a_load_ends_when_nearly_all_answers_are_wrong_for_long() -> None:
    assert seconds_until_hopeless(Watch(), 5, right=0, wrong=30) == NEVER_RIGHT
    assert seconds_until_hopeless(Watch(), 5, right=1, wrong=30) == NEVER_RIGHT
    # A user among ten gets an answer.
    assert seconds_until_hopeless(Watch(), 5, right=3, wrong=27) is None
    # Few answers decide nothing; many seconds of one each do.
    assert seconds_until_hopeless(Watch(), 5, right=0, wrong=1) == 20
    # A failover is no reason.
    watch = Watch()
    watch.note(0, right=True)
    assert seconds_until_hopeless(watch, 1, right=0, wrong=30) == NO_LONGER_RIGHT
    # Nor are two pauses with answers between them.
    watch = Watch()
    watch.note(0, right=True)
    for begin in range(1, 1_000, 100):
        for second in range(begin, begin + 80):
            watch.note(second, right=False)
            assert watch.hopeless(second) is None
        watch.note(begin + 90, right=True)


def test_a_load_that_is_only_refused_is_stopped_and_fails_whatever_errors_it_allows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("benchmarks.traffic.watch.NEVER_RIGHT", 1)
    poll = {"every": 3_600, "within": 3_600, "field": "status", "until": ["SUCCEEDED"]}
    waits = {"name": "waits", "method": "GET", "path": "/api/v1/runs/old-1", "after": 3_600}
    polls = {"name": "polls", "method": "GET", "path": "/api/v1/runs/old-1", "poll": poll}

    service, measured = play(
        {"name": "refused", "path": "/api/v1/x"},
        # One session of a hundred: it does not wait for its hour.
        {"name": "begins", "path": "/api/v1/runs/old-1", "rate": 0.005, "then": [waits]},
        {"name": "asks", "path": "/api/v1/runs/old-1", "rate": 0.005, "then": [polls]},
        phases=[{"seconds": 120, "factor": 100}],
        thresholds={"errors": 100},
    )

    assert "nearly all answers" in str(measured.stopped)
    assert len(service.asked) < 120 * 100
    whole = [one for one in measured.figures(read(yaml.safe_dump(READS))) if one.name == "traffic.whole"]
    assert [one.verdict for one in whole] == ["missed"]


# --- the command


@contextmanager
def in_a_thread() -> Iterator[tuple[Service, str]]:
    """The service, beside the command that has a loop of its own."""
    ready: queue.Queue[tuple[Service, str]] = queue.Queue()
    loop = asyncio.new_event_loop()
    over = asyncio.Event()

    async def serve() -> None:
        async with serving() as found:
            ready.put(found)
            await over.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        yield ready.get(timeout=60)
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(60)


def command(tmp_path: Path, url: str, **changes: Any) -> tuple[int, dict[str, Any]]:
    """The exit status and the results of `run_benchmarks traffic`."""
    document = {
        "format": 1,
        "host": url.removeprefix("http://"),
        "phases": [{"name": "ramp", "seconds": 0.5, "from": 0, "to": 40}, {"seconds": 0.5, "factor": 40}],
        "before": [OLD],
        "requests": [{"name": "read", "rate": 1, "method": "GET", "path": "/api/v1/runs/${old}", "timeout": 300}],
        **changes,
    }
    document = {key: value for key, value in document.items() if value is not None}
    profile, told, page = tmp_path / "profile.yaml", tmp_path / "now.json", tmp_path / "now.html"
    profile.write_text(yaml.safe_dump(document))
    words = ["--profile", str(profile), "--json", str(told), "--html", str(page)]
    before = signal.getsignal(signal.SIGTERM)
    try:
        call_command("run_benchmarks", "traffic", "--url", url, "--api-key", "k", *words)
        status = 0
    except SystemExit as ended:
        status = int(str(ended.code))
    except CommandError as error:
        return error.returncode, {"said": str(error)}
    finally:
        signal.signal(signal.SIGTERM, before)
    assert page.read_text().startswith("<!doctype html>")
    return status, json.loads(told.read_text())


def test_the_command_plays_a_profile_and_its_thresholds_decide_the_exit_status(tmp_path: Path) -> None:
    with in_a_thread() as (service, url):
        met, results = command(tmp_path, url, thresholds={"p95": 600_000})
        missed, slow = command(tmp_path, url, thresholds={"p95": 0.000_1})
        refused = [{"name": "refused", "rate": 1, "method": "GET", "path": "/api/v1/x", "timeout": 300}]
        errors, _ = command(tmp_path, url, requests=refused)
        sent = len(service.asked)
        other, said = command(tmp_path, url, host="staging.example")
        nowhere, _ = command(tmp_path, url, host=None)
        writing, also = command(tmp_path, url, requests=[{**refused[0], "method": "POST"}])
        assert len(service.asked) == sent

    assert (met, missed, errors, other, nowhere, writing) == (0, 3, 3, 2, 2, 2)
    (load,) = results["loads"]
    assert load["name"] == "traffic"
    figures = {one["name"]: one for one in results["figures"]}
    assert figures["traffic.errors"]["verdict"] == figures["traffic.p95"]["verdict"] == "met"
    phases, requests = load["tables"]
    asked = int(requests["rows"][0][requests["heads"].index("asked")])
    assert load["latencies_ms"]["read"]["count"] == asked > 5
    # Ten in the ramp and twenty after it, so far as chance allows.
    assert [row[phases["heads"].index("sessions planned")] for row in phases["rows"]] == ["10", "20"]
    assert requests["rows"][0][requests["heads"].index("planned")] == "30"
    assert (figures["traffic.asked"]["value"], figures["traffic.asked"]["unit"]) == (asked, "requests")
    # Both of the same requests, however the last seconds of a load went.
    assert load["offered_per_second"] == asked / 1.0
    assert load["achieved_per_second"] <= load["offered_per_second"]
    assert results["environment"]["url"] == url
    assert "Release of the web processes, by PULSE: unknown" in load["method"]
    assert slow["missed"][0].startswith("all requests: p95")
    assert "nothing was sent" in said["said"]
    assert "writes: true" in also["said"]
