"""A recording says how often each operation was asked for, and nothing of what was asked: whatever a log holds."""

import io
import json
import re
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.errors import Missing
from benchmarks.traffic import frames, logs
from benchmarks.traffic.addresses import addresses
from benchmarks.traffic.profile import BadProfile, read
from benchmarks.traffic.recording import MOST_MINUTES, NothingSeen, Seen, Wanted, as_yaml, profile_of
from erip.ops.stack.state import ROOT

AT = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
MINUTE = int(AT.timestamp()) // 60
ID = "0193b3c0-1111-7000-8000-00000000abcd"
#: what must never be in a profile
SECRETS = ("jane@bank.example", "erip_live_s3cr3t", ID, "acme-merger", "198.51.100.7", "DE89370400440532013000")


def line(request: str, code: int = 200, minute: int = 0, **more: Any) -> str:
    at = datetime.fromtimestamp((MINUTE + minute) * 60, UTC).isoformat().replace("+00:00", "Z")
    return json.dumps({"event": "request_finished", "request": request, "code": code, "timestamp": at, **more})


def haproxy(method: str, path: str, status: int = 200, minute: int = 0) -> str:
    return (
        f"Nov 23 08:00:00 lb haproxy[7]: 198.51.100.7:51234 [23/Nov/2026:08:{minute:02d}:01.123] web web/web-1 "
        f"0/0/0/12/12 {status} 512 ---- 4/4/0/0/0 0/0 {method} {path}"
    )


def seen_in(text: str | bytes) -> Seen:
    seen = Seen(addresses())
    content = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    for one in logs.lines(io.BytesIO(content)):
        if one is None:
            seen.left_out[logs.NO_REQUEST] += 1
        else:
            seen.add(one.minute, one.method, one.path, one.status)
    seen.fill()
    return seen


def recorded(seen: Seen, **wanted: Any) -> tuple[dict[str, Any], str]:
    document, left_out = profile_of(seen, Wanted(**wanted))
    return document, as_yaml(document, "a test", left_out)


@pytest.mark.parametrize("shape", ["json", "haproxy"])
def test_rates_by_operation_become_shares_and_their_course_phases(shape: str) -> None:
    def one(method: str, path: str, minute: int) -> str:
        return line(f"{method} {path}", minute=minute) if shape == "json" else haproxy(method, path, minute=minute)

    rows = [one("GET", f"/api/v1/runs/{ID[:-2]}{number:02d}", minute) for minute in (0, 3) for number in range(60)]
    rows += [one("GET", "/api/v1/runs?limit=9", 1) for _ in range(40)]
    rows += [one("GET", "/api/v1/workflows/acme-merger", 0) for _ in range(20)]

    document, text = recorded(seen_in("\n".join(rows)))

    assert document["rate"] == 0.75  # 180 in four minutes
    assert [(one["name"], one["share"]) for one in document["requests"]] == [
        ("getRun", 66.67), ("listRuns", 22.22), ("getWorkflow", 11.11),
    ]  # fmt: skip
    # The third minute had none.
    assert [(one["seconds"], one["factor"]) for one in document["phases"]] == [
        (60, 1.778), (60, 0.8889), (60, 0), (60, 1.333),
    ]  # fmt: skip
    assert document["before"] == [
        {"name": "before-listRuns", "method": "GET", "path": "/api/v1/runs", "keep": {"runs_id": "items.id"}},
        {"name": "before-listWorkflows", "method": "GET", "path": "/api/v1/workflows",
         "keep": {"workflows_name": "items.name"}},
    ]  # fmt: skip
    assert document["requests"][0]["path"] == "/api/v1/runs/${runs_id}"
    # It can be used as it is.
    assert abs(read(text).rate - 0.75) < 1e-6
    other = recorded(seen_in("\n".join(rows)), minutes=2, scale=4)[0]
    assert (sum(one["seconds"] for one in other["phases"]), other["rate"]) == (120, 3)


HOSTILE = [
    f"GET /api/v1/runs/{ID}",
    "GET /api/v1/runs?business_key=jane@bank.example&cursor=erip_live_s3cr3t",
    "GET /api/v1/workflows/acme-merger",
    "GET /api/v1/metrics/query?metric=erip_live_s3cr3t",
    "GET /api/v1/secrets/erip_live_s3cr3t",
    f"GET /api/v1/runs/{ID}/steps/acme-merger/items",
    "GET /jane@bank.example",
    "GET /api/v1/runs/jane@bank.example%0a%0aevil",
    "POST /api/v1/workflows/acme-merger/runs",
    f"POST /api/v1/runs/{ID}/signals/DE89370400440532013000",
    "POST /api/v1/keys/1/revoke",
    "DELETE /api/v1/flags/acme-merger",
    "POST /api/v1/keys",
    "POST /api/v1/privacy/erasures",
    "jane@bank.example /api/v1/runs",
    "GET /api/v1/runs\u0000jane@bank.example",
]


def test_no_value_of_a_log_gets_into_a_profile_and_only_harmless_writes_do() -> None:
    extra = {"user_id": "jane@bank.example", "ip": "198.51.100.7", "user_agent": "erip_live_s3cr3t", "acme-merger": 1}
    rows = [line(request, **extra) for request in HOSTILE]
    rows += [haproxy(*request.replace("\u0000", "").split(" ", 1)) for request in HOSTILE if " /" in request]

    for wanted in ({}, {"writes": True, "host": "staging.example"}):
        document, text = recorded(seen_in("\n".join(rows)), **wanted)

        for secret in SECRETS:
            assert secret not in text
        methods = {one["method"] for one in document["requests"]}
        assert methods == ({"GET", "POST"} if wanted else {"GET"})
        names = {one["name"] for one in document["requests"]}
        assert not names & {"deleteFlag", "makeKey", "erasePerson", "revokeKey"}
        # What is not known is named, and no load begins with it.
        with pytest.raises(BadProfile) as refused:
            read(text)
        assert all("FILL IN" in fault.message for fault in refused.value.faults)
        assert "values.steps_step" in {fault.path for fault in refused.value.faults}
        assert "/api/v1/metrics/query?metric=${query_metric}" in text
        assert "query_metric: items.metric" in text
    assert {"startRun", "signalRun"} <= names
    assert "add them by hand: erasePerson" in text


def test_lines_that_are_no_request_are_counted_and_the_rest_is_used() -> None:
    good = line("GET /api/v1/runs")
    odd = [
        "",
        "not json",
        good[:-5],
        "{" * 100_000,
        "[" * 30_000,
        json.dumps({"event": "request_finished"}),
        json.dumps({"event": "step_failed", "request": "GET /api/v1/runs"}),
        json.dumps(["request_finished"]),
        line("GET /api/v1/runs", code=True),  # type: ignore[arg-type]
        line("GET /api/v1/runs", code=10**30),
        good.replace("2026", "99999"),
        good.replace('"GET /api/v1/runs"', "7"),
        haproxy("GET", "/api/v1/runs").replace("Nov/2026", "Xyz/2026"),
        haproxy("GET", "/api/v1/runs").replace("[23/", "[43/"),
        line("GET /" + "x" * 200_000),
        "\x1b[31m\x07\x00",
        "\udcff\udcfe",
    ]
    seen = seen_in("\n".join([good, *odd, good.replace("\n", ""), "x" * 70_000]))

    assert seen.left_out[logs.NO_REQUEST] == len(odd)  # without the empty line, with the last one
    document, _ = recorded(seen)
    assert [one["name"] for one in document["requests"]] == ["listRuns"]


@given(st.binary(max_size=300))
def test_no_line_stops_the_recording(content: bytes) -> None:
    for found in logs.lines(io.BytesIO(content)):
        if found is not None:
            Seen(addresses()).add(found.minute, found.method, found.path, found.status)


def test_memory_is_bounded_by_operations_and_minutes_however_many_paths_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = Seen(addresses())
    tracemalloc.start()
    for number in range(20_000):
        seen.add(MINUTE + number % 4_000, "GET", f"/api/v1/runs/{number}/explain", 200)
        seen.add(MINUTE, f"M{number}", f"/nowhere/{number}", 200)
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()

    assert held < 1_000_000
    monkeypatch.setattr("benchmarks.traffic.recording.MOST_HELD", 4_000)
    for number in range(1_000):
        seen.add(MINUTE + 4_000 + number, "GET", "/api/v1/runs", 200)
    for number in range(5_000):
        seen.know(MINUTE + number)
    assert len(seen.known) == 4_000
    assert sum(count for why, count in seen.left_out.items() if "held at once" in why) == 1_000
    seen.fill()
    assert len(seen.known) == MOST_MINUTES
    assert {address.name for address, _ in seen.counts} == {"explainRun"}
    lost = sum(count for why, count in seen.left_out.items() if "busiest" in why)
    assert lost == 20_000 - sum(seen.counts[next(iter(seen.counts))].values())


def test_the_busiest_day_of_a_log_is_recorded_in_whatever_order_its_lines_come() -> None:
    day = 1_440
    # One request at night, a day of one each hour, another of two each hour, and one three days later.
    minutes = [-900, *range(0, day, 60), *[one for one in range(day, 2 * day, 60) for _ in range(2)], 5 * day]
    rows = [line("GET /api/v1/runs", minute=minute) for minute in minutes]

    document, text = recorded(seen_in("\n".join(rows)))

    assert (document, text) == recorded(seen_in("\n".join(reversed(rows))))
    assert sum(one["seconds"] for one in document["phases"]) == (day - 59) * 60
    assert abs(read(text).rate * (day - 59) * 60 - 48) < 0.1
    # 2026-11-23 08:00 is minute 0.
    dropped = "outside of the busiest 1,440 minutes"
    assert f"# - 25 requests were of 2026-11-22 17:00 UTC to 2026-11-24 07:01 UTC, {dropped}" in text
    assert f"# - 1 requests were of 2026-11-28 08:00 UTC to 2026-11-28 08:01 UTC, {dropped}" in text


@pytest.mark.parametrize("minutes", [1, 99, 100, 101, 360, 1_000, 1_440])
def test_the_highest_minute_of_a_recording_is_a_phase_of_its_own(minutes: int) -> None:
    for peak in {0, minutes // 3, minutes - 1}:
        seen = Seen(addresses())
        for minute in range(minutes):
            seen.add(minute, "GET", "/api/v1/runs", 200, count=900 if minute == peak else 60)
            seen.know(minute)

        document, text = recorded(seen)

        phases = document["phases"]
        assert len(phases) <= 100
        assert sum(one["seconds"] for one in phases) == 60 * minutes
        highest = max(phases, key=lambda one: one["factor"])
        assert highest["seconds"] == 60
        assert abs(highest["factor"] * document["rate"] - 15) < 0.1
        assert abs(read(text).rate - document["rate"]) < 1e-6


def test_a_day_with_all_its_requests_in_one_minute_is_a_profile() -> None:
    seen = seen_in("\n".join(line("GET /api/v1/runs", minute=minute) for minute in [0, 1_439] + [700] * 5_000))

    assert max(phase.begin for phase in read(recorded(seen)[1]).phases) > 1_400


# --- PULSE


AT_0 = MINUTE * 60
ROUTES = {"runs": "GET /api/v1/runs", "run": "GET /api/v1/runs/{id}", "explain": "GET /api/v1/runs/{id}/explain"}


def answer(*lines: tuple[str, str, list[list[float]]], step: int = 60) -> dict[str, Any]:
    return {
        "step": step,
        "lines": [{"labels": {"route": route, "status": status}, "points": points} for route, status, points in lines],
    }


def test_rates_of_pulse_become_a_profile_with_the_starts_that_were_asked_for() -> None:
    at = AT_0 + 60
    seen = Seen(addresses())
    frames.read(
        answer(
            ("POST /api/v1/workflows/{name}/runs", "2xx", [[at, 3.0, 3, 3], [at + 60, 1.0, 1, 1]]),
            ("POST /api/v1/workflows/{name}/runs (waits)", "2xx", [[at + 60, 2.0, 2, 2]]),
            ("GET /api/v1/runs/{id}", "2xx", [[at, 4.0, 4, 4], [at + 120, 0.0, 0, 0]]),
            ("GET /api/v1/runs/{id}", "4xx", [[at, 5.0, 5, 5]]),
            ("GET /admin/", "2xx", [[at, 1.0, 1, 1]]),
            ("GET /api/v1/events/stream", "2xx", [[at, 1.0, 1, 1]]),
            ("other", "2xx", [[at, 1.0, 1, 1]]),
        ),
        seen,
        AT_0,
        AT_0 + 180,
    )

    document, text = recorded(
        seen, writes=True, host="staging.example", starts=("breach-response", "my-own"), minutes=None
    )

    assert document["rate"] == 3.333  # 600 in three minutes
    shares = {one["name"]: one["share"] for one in document["requests"]}
    assert shares == {
        "startRun-breach-response": 20, "startRun-my-own": 20, "getRun": 40,
        "startRun-waits-breach-response": 10, "startRun-waits-my-own": 10,
    }  # fmt: skip
    starts = {one["name"]: one for one in document["requests"]}
    assert starts["startRun-breach-response"]["path"] == "/api/v1/workflows/breach-response/runs"
    assert starts["startRun-breach-response"]["body"]["input"]["cves"]
    assert starts["startRun-waits-my-own"]["headers"] == {"Prefer": "wait=10"}
    with pytest.raises(BadProfile) as refused:
        read(text)
    assert {fault.message for fault in refused.value.faults} == {"is to be filled in: FILL IN: the input of my-own"}
    for why in (
        "300 requests were refused",
        "60 requests were none of the API",
        "60 requests were of routes beyond",
        "60 streams",
    ):
        assert why in text


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        [],
        answer(("GET /api/v1/runs", "2xx", [[1, 1]]), step=0),
        answer(("GET /api/v1/runs", "2xx", [[1, 1]]), step=10**12),
        answer(("GET /api/v1/runs", "2xx", [[1, float("nan")]])),
        answer(("GET /api/v1/runs", "2xx", [[1, float("inf")]])),
        answer(("GET /api/v1/runs", "2xx", [[1, -1]])),
        answer(("GET /api/v1/runs", "2xx", [[600, 1]])),
        {"step": 60, "lines": [{"labels": 1, "points": []}]},
        answer(("GET /api/v1/runs", "2xx", [[]])),
        answer(("GET /api/v1/runs", "2xx", [[1, "many"]])),
        answer(("GET /api/v1/runs", "2xx", [[1, 1], [1e30, 1]])),
    ],
)
def test_an_answer_of_another_shape_is_said_to_be_one(wrong: Any) -> None:
    with pytest.raises(Missing, match="shape"):
        frames.read(wrong, Seen(addresses()), 0, 300)


class Pulse:
    """An address that answers as `GET /api/v1/metrics/query` does, from one frame every ten seconds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, rates: dict[int, dict[str, float]], now: float) -> None:
        """rates: moment → route → requests a second in the ten seconds before it."""
        self.rates, self.now = rates, now
        #: (seconds, points) of each query
        self.asked: list[tuple[int, int]] = []
        monkeypatch.setattr(frames, "ask", self.ask)

    def ask(self, url: str, key: str, asked: dict[str, str]) -> dict[str, Any]:
        until = datetime.fromisoformat(asked["end"]).timestamp() if "end" in asked else self.now
        span = int(asked["range"][:-1])
        assert span >= 60, "the API takes no less"
        lines = []
        for route in ROUTES.values():
            points = [
                [float(at), routes[route], 0.0, 0.0]
                for at, routes in sorted(self.rates.items())
                if until - span < at <= until and route in routes
            ]
            lines.append((route, "2xx", points))
        self.asked.append((span, max(len(points) for _, _, points in lines)))
        return {**answer(*lines, step=10), "until": datetime.fromtimestamp(until, UTC).isoformat()}


@given(
    seconds=st.integers(6, 8_640).map(lambda number: number * 10),
    now=st.floats(0, 100),
    frames_of=st.dictionaries(
        st.integers(-300, 10).map(lambda number: AT_0 + number * 10),
        st.dictionaries(st.sampled_from(list(ROUTES.values())), st.integers(0, 900).map(lambda count: count / 10)),
        max_size=60,
    ),
)
def test_a_recording_has_as_many_requests_as_there_were_in_the_seconds_that_are_known(
    seconds: int, now: float, frames_of: dict[int, dict[str, float]]
) -> None:
    seen, until = Seen(addresses()), int(AT_0 + now) // 10 * 10
    inside = {at: routes for at, routes in frames_of.items() if until - seconds < at <= until}
    with pytest.MonkeyPatch.context() as patch:
        pulse = Pulse(patch, frames_of, AT_0 + now)

        frames.record("http://x", "k", seen, seconds=seconds, end=None)

    assert max(points for _, points in pulse.asked) <= 1_000
    assert sum(span for span, _ in pulse.asked[1:]) == seconds
    counted = sum(sum(counts.values()) for counts in seen.counts.values())
    assert counted == pytest.approx(10 * sum(sum(routes.values()) for routes in inside.values()))
    known = 10 * sum(bool(routes) for routes in inside.values())
    assert sum(seen.known.values()) == known
    assert sum(seen.left_out.values()) == seconds - known
    if counted:
        document, text = recorded(seen)
        played = sum(one["seconds"] * one["factor"] for one in document["phases"]) * document["rate"]
        assert played == pytest.approx(counted, rel=0.01)
        assert read(text).seconds == pytest.approx(known, rel=0.01)


def test_of_a_route_that_is_new_and_a_minute_that_is_not_over_only_what_there_was_is_recorded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given a route that was asked for ten seconds before now, and another all the time.
    rates = {AT_0 - back: {ROUTES["runs"]: 1.0} for back in range(0, 90, 10)}
    rates[AT_0][ROUTES["explain"]] = 2.0
    Pulse(monkeypatch, rates, AT_0 + 3)
    seen = Seen(addresses())

    frames.record("http://x", "k", seen, seconds=600, end=None)

    document, text = recorded(seen)
    assert document["rate"] == round(110 / 90, 3)
    assert [(one["seconds"], one["factor"]) for one in document["phases"]] == [
        (30, round(90 / 110, 4)), (60, round(80 / 60 * 90 / 110, 3)),
    ]  # fmt: skip
    assert "# - 510 seconds of the range are unknown: PULSE has no frames of them" in text
    assert yaml.safe_load(text)["requests"][1]["share"] == round(100 * 20 / 110, 2)


def test_a_recording_of_nothing_says_what_there_was() -> None:
    seen = seen_in(line("POST /api/v1/keys/1/revoke"))
    with pytest.raises(NothingSeen, match="no request") as nothing:
        profile_of(seen, Wanted())
    assert "--writes" in " ".join(nothing.value.args[1])


def test_every_operation_is_found_by_its_route_and_nothing_else_is() -> None:
    from erip.foundation.http.timing import name_of

    known = addresses()
    assert known.find("GET", "/api/v1/runs/bulk") is not None  # as an id
    assert known.find("POST", "/api/v1/runs/bulk").name == "startRuns"  # type: ignore[union-attr]
    method, _, route = name_of("GET", "api/v1/runs/<uuid:id>").partition(" ")
    assert known.find(method, route).name == "getRun"  # type: ignore[union-attr]
    assert known.find("GET", "/api/v1/runs/1/2/3/4/5") is None
    assert known.find("GET", "/" * 100_000) is None
    assert known.lister("/api/v1/approvals/{number}", "number") == ("/api/v1/approvals", "items.id")
    assert known.lister("/api/v1/runs/{id}/steps/{step}/items", "step") is None


# --- the command


def run(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    call_command("traffic", *words)
    return capsys.readouterr().out


def test_the_commands_of_the_page_make_a_profile_and_check_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (ROOT / "docs" / "how-to" / "load-test.md").read_text()
    monkeypatch.chdir(tmp_path)
    (words,) = re.findall(r"^python manage.py traffic (record --logs .*)$", page, re.MULTILINE)
    (tmp_path / "haproxy.log").write_text("\n".join(haproxy("GET", f"/api/v1/runs/{n}") for n in range(9)))

    run(capsys, *words.split())

    assert yaml.safe_load((tmp_path / "profile.yaml").read_text())["phases"] == [{"seconds": 1200, "factor": 1}]
    assert "only reads" in run(capsys, "check", "profile.yaml")


def test_whoever_records_logs_is_reminded_of_the_host_that_is_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "l").write_text(line("GET /api/v1/runs"))
    call_command("traffic", "record", "--logs", str(tmp_path / "l"), "--host", "staging.example")
    out, err = capsys.readouterr()
    assert "will be sent to staging.example: check that the logs are not of this host" in err
    assert yaml.safe_load(out)["host"] == "staging.example"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["record"], "either from --url"),
        (["record", "--logs", "l", "--url", "http://x", "--api-key", "k"], "either from --url"),
        (["record", "--url", "http://x"], "go together"),
        (["record", "--logs", "l", "--writes"], "--host is required"),
        (["record", "--logs", "l"], "--host is required"),
        (["record", "--url", "http://x", "--api-key", "k"], "--host is required"),
        (["record", "--url", "https://x", "--api-key", "k", "--host", "X:443"], "is the deployment that is recorded"),
        (
            ["record", "--url", "http://127.0.0.1:9", "--api-key", "k", "--host", "127.0.0.1:9", "--same-host"],
            "does not answer",
        ),
        (["record", "--logs", "l", "--host", "h", "--start", "x"], "--start goes with --writes"),
        (["record", "--logs", "none", "--host", "h"], "cannot be read"),
        (["record", "--logs", "l", "--host", "a b/c"], "host"),
        (["record", "--logs", "l", "--writes", "--host", "h", "--start", "../x y"], "requests[1].path"),
        (["record", "--url", "http://127.0.0.1:9", "--api-key", "k", "--host", "h"], "does not answer"),
        (["record", "--url", "no address", "--api-key", "k", "--host", "h"], "does not answer"),
        (["record", "--url", "http://[", "--api-key", "k", "--host", "h"], "does not answer"),
        (["record", "--url", "http://x", "--api-key", "k\r\n", "--host", "h"], "--api-key is no key"),
        (["check", "none.yaml"], "cannot be read"),
        (["check", "l"], "not YAML"),
    ],
)
def test_a_wrong_call_is_refused(words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ERIP_API_KEY", raising=False)
    (tmp_path / "l").write_text(line("POST /api/v1/workflows/x/runs") + "\n" + line("GET /api/v1/runs"))
    with pytest.raises(CommandError) as refused:
        call_command("traffic", *words)
    assert said in str(refused.value)


def test_the_key_of_the_environment_is_taken_and_no_odd_one_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []

    def record(url: str, key: str, seen: Seen, **_: Any) -> None:
        taken.append(key)
        seen.add(1, "GET", "/api/v1/runs", 200)
        seen.know(1)

    monkeypatch.setattr(frames, "record", record)
    monkeypatch.setenv("ERIP_API_KEY", "erip_env")
    call_command("traffic", "record", "--url", "http://x", "--host", "h")
    call_command("traffic", "record", "--url", "http://x", "--host", "h", "--api-key", "erip_given")
    assert taken == ["erip_env", "erip_given"]

    monkeypatch.setenv("ERIP_API_KEY", "erip_s3cr3t with blanks")
    monkeypatch.setattr("signal.signal", lambda *_: None)  # that of this process stays
    for words in (["traffic", "record", "--host", "h"], ["run_benchmarks", "traffic"]):
        with pytest.raises(CommandError, match="ERIP_API_KEY is no key") as refused:
            call_command(*words, "--url", "http://x")
        assert "s3cr3t" not in str(refused.value)
