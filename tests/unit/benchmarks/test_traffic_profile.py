"""A profile is read whole or refused with everything that is wrong with it; what it draws and when follows its seed."""

import copy
import json
import re
from contextlib import suppress
from random import Random
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.errors import Usage
from benchmarks.scenarios.traffic import host_of, refuse, same_host
from benchmarks.session import Options
from benchmarks.traffic.addresses import addresses
from benchmarks.traffic.checking import all_requests
from benchmarks.traffic.filling import NothingKept, Values, fill_body, fill_line, values_at
from benchmarks.traffic.measured import ALL, Measured, reached
from benchmarks.traffic.pace import Phase, moments
from benchmarks.traffic.profile import BadProfile, Profile, read
from erip.ops.stack.state import ROOT
from tests.unit.docs import shell
from workflows.core.schema import Schema

PAGE = (ROOT / "docs" / "how-to" / "load-test.md").read_text()
SHIPPED = ROOT / "workflows" / "library" / "definitions"
EXAMPLE = re.search(r"^```text\n(format: 1\n.*?)^```", PAGE, re.DOTALL | re.MULTILINE)[1]  # type: ignore[index]


def profile(**changes: Any) -> dict[str, Any]:
    """The least that is a profile."""
    one = {"name": "list", "method": "GET", "path": "/api/v1/runs", "rate": 2}
    return {"format": 1, "phases": [{"seconds": 10}], "requests": [one], **changes}


def made(**changes: Any) -> Profile:
    return read(yaml.safe_dump(profile(**changes)))


def faults(text: str | bytes | dict[str, Any]) -> dict[str, str]:
    with pytest.raises(BadProfile) as refused:
        read(yaml.safe_dump(text) if isinstance(text, dict) else text)
    found: dict[str, str] = {}
    for fault in refused.value.faults:
        found[fault.path] = f"{found[fault.path]}; {fault.message}" if fault.path in found else fault.message
    return found


def test_the_example_of_the_documentation_is_a_profile() -> None:
    found = read(EXAMPLE)

    assert found.writes
    assert found.host
    assert found.rate > 0
    # A start, its polls, and what they reach.
    assert any(one.poll for begun in found.begun for one in begun.then)
    # Its requests are those of the API, and the input is what the workflow takes.
    for asked in [*found.before, *(one for begun in found.begun for one in (begun.first, *begun.then))]:
        address = addresses().find(asked.method, asked.path)
        assert address is not None, asked.path
        if asked.has_body:
            body = fill_body(asked.body, Values(found.values, found.seed).session(1))
            assert shell.request_fault(asked.method, asked.path, json.dumps(body)) is None
            workflow = yaml.safe_load((SHIPPED / f"{asked.path.split('/')[4]}.yaml").read_text())
            assert Schema.compile(workflow["input"]).faults(body["input"], at="input") == []


def test_every_fault_is_named_at_once_with_its_path() -> None:
    start = {
        "name": "start",
        "method": "POST",
        "path": "/api/v1/workflows/${workflw}/runs x",
        "share": 1,
        "body": {"input": ["${Name}", "FILL IN: the vendor"]},
        "headers": {"Prefer": "a\r\nHost: evil"},
        "then": [{"name": "start", "method": "GET", "path": "/elsewhere", "body": 1}],
    }
    document = profile(
        requests=[start, {"name": "l", "method": "BREW", "path": "/api/v1/events/stream", "share": 1, "rate": 1}],
        values={"workflow": {"one_of": ["a"], "weights": [1, 2]}, "x": {"from": 3, "to": 1}, "y": {}},
        phases=[{"seconds": 10, "factor": 1, "from": 0}, {"secs": 1}],
        thresholds={"p42": 1},
        hots="x",
    )

    found = faults(document)

    assert found["hots"] == 'unknown key (did you mean "host"?)'
    assert "unknown key" in found["thresholds.p42"]
    assert "is required" in found["phases[1].seconds"]
    assert "BREW" in found["requests[1].method"]
    assert "writes: true" in found["requests[0].method"]
    assert 'did you mean "workflow"' in found["requests[0].path"]
    assert "without spaces" in found["requests[0].path"]
    assert "stream" in found["requests[1].path"]
    assert "no placeholder" in found["requests[0].body.input[0]"]
    assert found["requests[0].body.input[1]"] == "is to be filled in: FILL IN: the vendor"
    assert "printable ASCII" in found["requests[0].headers.Prefer"]
    assert "begins with one of" in found["requests[0].then[0].path"]
    assert "GET has none" in found["requests[0].then[0].body"]
    assert "name of another request" in found["requests[0].then[0].name"]
    assert "one for each" in found["values.workflow.weights"]
    assert found["values.x"] == "`from` is above `to`"
    assert found["values.y"].startswith("has one of")
    assert "is required: requests have a `share` of it" in found["rate"]
    assert "either a `share`" in found["requests[1]"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"\xff", "not UTF-8"),
        ("- 1", "is an object"),
        ("a: &x [1]\nb: *x\n", "aliases"),
        ("x: " + "[" * 100_000, "nested"),
        ("# " + "x" * 300_000, "at most 256 KiB"),
        ("format: 1\nformat: 1\n", "is there twice"),
        ("a: !!python/object/apply:os.system [id]\n", "tag"),
        ("", "is an object"),
    ],
)
def test_a_text_that_is_no_profile_is_refused_whatever_it_is(text: str | bytes, said: str) -> None:
    found = faults(text)
    assert said in "; ".join(found.values())
    # The rest of the text may be wrong, too.
    assert "nothing else was checked" in found[""]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 9) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(data=st.data())
def test_no_document_is_anything_but_a_profile_or_faults(data: st.DataObject) -> None:
    """Any part of the example, replaced by anything."""
    document: Any = yaml.safe_load(EXAMPLE)
    part = document
    while True:
        keys = list(part) if isinstance(part, dict) else list(range(len(part)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(part[key], dict | list) or not part[key] or data.draw(st.booleans()):
            break
        part = part[key]
    part[key] = data.draw(_JSON)
    with suppress(BadProfile):
        assert read(yaml.safe_dump(document)).rate > 0


def test_too_much_load_is_refused() -> None:
    peak = [{"seconds": 10}, {"seconds": 9, "factor": 900}]
    fast = {"name": "l", "method": "GET", "path": "/api/v1/runs", "rate": 50}
    assert "45,000 requests a second" in faults(profile(phases=peak, requests=[fast]))["phases"]
    assert "s in all" in faults(profile(phases=[{"seconds": 80_000}, {"seconds": 80_000}]))["phases"]
    assert "requests in all" in faults(profile(phases=[{"seconds": 80_000, "factor": 2}], requests=[fast]))["phases"]
    # What follows in a session is sent, too.
    then = [{"name": f"t{n}", "method": "GET", "path": "/api/v1/runs"} for n in range(9)]
    rates = [{**fast, "rate": 300, "then": then}, {**fast, "name": "m", "rate": 1_000}]
    shares = [{**fast, "share": 3, "then": then}, {**fast, "name": "m", "share": 10}]
    for one in shares:
        del one["rate"]
    assert made(requests=rates).rate == made(requests=shares, rate=1_300).rate == 1_300
    for more in ({"requests": rates}, {"requests": shares, "rate": 1_300}):
        long = [{"seconds": 10, "factor": 2}]
        assert "8,000 requests a second" in faults(profile(phases=long, **more))["phases"]
    poll = {"every": 0.001, "within": 3_600, "field": "status", "until": ["SUCCEEDED"]}
    often = [{**fast, "then": [{**then[0], "poll": poll}]}]
    assert "0.05" in faults(profile(requests=often))["requests[0].then[0].poll.every"]
    assert faults(profile(phases=[{"seconds": 10, "factor": 0}]))["phases"] == "no request would be sent"


def test_no_more_requests_are_looked_at_than_a_profile_may_have() -> None:
    """Nobody waits for minutes until 20,000 requests, each with its names, are refused."""
    one = {"method": "GET", "path": "/x", "keep": {"x": "id"}}
    lists = {
        "before": [{**one, "name": f"b{n}"} for n in range(60)],
        "requests": [{**one, "name": f"r{n}", "then": [one] * 11} for n in range(210)],
    }
    for part, most in (("before", 50), ("requests", 200)):
        document = profile(**{part: copy.deepcopy(lists[part])})
        looked = [location for location, _ in all_requests(document) if location[0] == part]
        assert {location[1] for location in looked} == set(range(most))
        assert all(location[3] < 10 for location in looked if len(location) > 2)
        assert part in faults(json.dumps(document))


def test_a_key_of_a_body_has_no_placeholder() -> None:
    body = {"input": [{"${x}": 1}, {"plain": "${x}", "${{ input.x }}": 1}]}
    write = {"name": "w", "method": "POST", "path": "/api/v1/runs/bulk", "rate": 1, "body": body}

    found = faults(profile(requests=[write], writes=True, host="h", values={"x": {"one_of": ["a"]}}))

    assert list(found.values()) == ["a key has no placeholders: only values are filled"]
    assert next(iter(found)).startswith("requests[0].body.input[0]")


# --- writing


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_whatever_may_change_something_is_asked_for_and_names_its_host(method: str) -> None:
    write = {"name": "w", "method": method, "path": "/api/v1/runs/bulk"}
    doors = [
        {"requests": [{**write, "rate": 1}]},
        {"requests": [{"name": "r", "method": "GET", "path": "/api/v1/runs", "rate": 1, "then": [write]}]},
        {"before": [{**write, "keep": {"x": "id"}}]},
    ]
    for door in doors:
        refused = faults(profile(**door))
        assert [path for path in refused if path.endswith("method")], refused
        assert "writes: true" in next(iter(refused.values()))
        assert faults(profile(writes=True, **door)).keys() == {"host"}
        assert made(writes=True, host="staging.example", **door).host == "staging.example"


def test_a_profile_for_one_host_is_not_used_on_another() -> None:
    options = Options(profile=made(host="staging.example:8443"))

    refuse(options, "https://Staging.example:8443/erip")
    refuse(options, None)
    for url in ("https://erip.example", "https://staging.example", "https://staging.example:8443@erip.example"):
        with pytest.raises(Usage, match="nothing was sent"):
            refuse(options, url)
    with pytest.raises(Usage, match="--profile"):
        refuse(Options(), "https://staging.example")
    assert host_of("https://u:p@[::1]:443/x") == "[::1]"


def test_a_profile_that_names_no_host_is_used_on_a_private_stack_alone() -> None:
    options = Options(profile=made())

    refuse(options, None)
    with pytest.raises(Usage, match=r"names no `host`.*erip\.example: nothing was sent"):
        refuse(options, "https://erip.example")


def test_the_deployment_that_is_recorded_is_recognised_however_its_host_is_written() -> None:
    for host in ("erip.example", "ERIP.example:443", "erip.example.", "erip.example:80"):
        for url in (
            "https://erip.example/",
            "http://erip.example",
            "https://u:p@Erip.example:443",
            "http://erip.example.",
        ):
            assert same_host(url, host), (url, host)
    for host in ("staging.example", "erip.example:8443", "erip.example.evil"):
        assert not same_host("https://erip.example", host)
    assert not same_host("http://[", "erip.example")


# --- values


def test_a_name_has_one_value_in_a_session_and_the_seed_repeats_it() -> None:
    read_ = made(
        values={
            "vendor": {"one_of": ["a", "b", "c"], "weights": [1, 1, 0.001]},
            "score": {"from": 1, "to": 9},
            "part": {"from": 0.5, "to": 0.75, "decimals": 2},
            "key": {"unique": "load-"},
        }
    )
    body = {"v": "${vendor}", "s": "${score}", "text": "${vendor}: ${score} ${{ input.x }}", "n": 5, "${vendor}": None}

    def filled(number: int) -> Any:
        return fill_body(body, Values(read_.values, 7).session(number))

    one = filled(3)
    assert one == filled(3)
    assert any(filled(number) != one for number in range(20))
    assert isinstance(one["s"], int)
    assert one["text"] == f"{one['v']}: {one['s']} ${{{{ input.x }}}}"
    assert "${vendor}" in one
    values = Values(read_.values, 7)
    assert 0.5 <= values.session(1).value("part") <= 0.75
    # What has to be new is new for each session, and for each call with the same seed.
    keys = [v.session(n).value("key") for v in (values, Values(read_.values, 7)) for n in (1, 2)]
    assert len(set(keys)) == 4


@given(st.text(min_size=1, max_size=50))
def test_no_value_leaves_its_part_of_a_request(text: str) -> None:
    """Whatever an answer gave: no line ends, no part of the path and no parameter is added."""
    session = Values({}, 1).session(1)
    assert session.keep({"run": "id"}, {"id": text}) == []

    line = fill_line("/api/v1/runs/${run}/explain?a=${run}", session)

    assert re.fullmatch(r"/api/v1/runs/[A-Za-z0-9%._~-]+/explain\?a=[A-Za-z0-9%._~-]+", line)


def test_values_are_kept_from_answers_and_shared_with_other_sessions() -> None:
    values = Values({}, 1)
    with pytest.raises(NothingKept):
        values.session(1).value("run")

    first = values.session(2)
    page = {"items": [{"id": "a"}, {"id": None}, {"id": {"x": 1}}, {"id": "x" * 1_000}, {"id": 7}, {}]}
    assert first.keep({"run": "items.id", "other": "next"}, page) == ["other"]

    assert first.value("run") == 7
    assert {values.session(number).value("run") for number in range(30)} == {"a", 7}
    assert values_at([[{"a": [{"b": 1}]}]], "a.b") == []  # a list in a list is no place
    assert first.keep({"run": "id"}, None) == ["run"]


# --- when


@given(
    st.lists(st.tuples(st.floats(0.5, 60), st.floats(0, 5), st.floats(0, 5), st.booleans()), min_size=1, max_size=5),
    st.floats(0.5, 50),
    st.booleans(),
)
def test_sessions_begin_within_their_phases_in_order_and_as_many_as_the_rate_says(
    parts: list[tuple[float, float, float, bool]], rate: float, even: bool
) -> None:
    phases = [Phase("p", seconds, low, low if flat else high) for seconds, low, high, flat in parts]
    found = list(moments(phases, rate, None if even else Random(1)))
    begins = [sum(one.seconds for one in phases[:place]) for place in range(len(phases))]

    assert [at for at, _ in found] == sorted(at for at, _ in found)
    for at, place in found:
        assert begins[place] - 1e-6 <= at <= begins[place] + phases[place].seconds + 1e-6
    expected = rate * sum(one.load for one in phases)
    assert abs(len(found) - expected) <= (1 if even else 8 * expected**0.5 + 8)


def test_a_ramp_has_its_load_at_its_end() -> None:
    found = [at for at, _ in moments([Phase("ramp", 100, 0, 1)], 10, None)]

    assert len(found) == 500
    # A quarter of the load in the first half.
    assert 123 <= sum(at < 50 for at in found) <= 127


# --- figures


def test_thresholds_decide_and_what_was_never_answered_has_met_none() -> None:
    begun = copy.deepcopy(profile()["requests"][0])
    poll = {"every": 1, "within": 9, "field": "state", "until": ["SUCCEEDED"], "thresholds": {"p50": 100}}
    begun["thresholds"] = {"p95": 50}
    begun["then"] = [{"name": "poll", "method": "GET", "path": "/api/v1/runs", "poll": poll}]
    read_ = made(requests=[begun], thresholds={"p99": 1_000})
    measured = Measured()
    for milliseconds in range(1, 101):
        measured.right("list", 0, milliseconds / 1_000)
    measured.wrong("list", 0, "503")

    figures = {one.name: one for one in measured.figures(read_)}

    assert figures["traffic.list.p95"].verdict == "missed"
    assert figures["traffic.p99"].verdict == "met"
    # 1 of 101 is below 1 %, which holds unless the profile says otherwise.
    assert figures["traffic.errors"].verdict == "met"
    assert figures["traffic.errors"].note == "503: 1"
    assert figures[f"traffic.{reached('poll')}.answered"].verdict == "missed"
    assert measured.latencies(read_)[ALL].count == 100
    phases, requests = measured.grids(read_)
    assert phases.rows[0][phases.heads.index("asked")] == "101"
    assert [row[0] for row in requests.rows] == ["list", "poll", reached("poll")]
    # A service that refuses everything, quickly.
    refused = Measured()
    refused.wrong("list", 0, "401")
    assert {one.name for one in refused.figures(made()) if one.verdict == "missed"} >= {
        "traffic.errors",
        "traffic.answered",
    }
