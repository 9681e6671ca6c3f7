"""Every broken promise is found, and nothing else is called one."""

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.uptime.compare import Findings, FoundEvent, FoundRun, compare_events, compare_runs
from benchmarks.uptime.ledger import Event, Ledger, Start

#: a machine that is busy with other things takes its time
busy = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def promised(*keys: str, cancels: dict[str, int] | None = None) -> Ledger:
    """Each key has the run `run-<key>`."""
    ledger = Ledger()
    for number, key in enumerate(keys):
        ledger.ask(Start(key, "benchmark-w4", number))
        ledger.accept(key, f"run-{key}")
    for run_id, status in (cancels or {}).items():
        ledger.cancel(run_id, status)
    return ledger


def run(key: str, state: str = "SUCCEEDED", *, id: str | None = None) -> FoundRun:
    return FoundRun(id or f"run-{key}", key, state)


def test_kept_promises_are_no_finding():
    ledger = promised("a", "b", cancels={"run-b": 200})
    assert compare_runs(ledger, [run("a"), run("b", "CANCELLED")]) == Findings()


def test_an_accepted_run_that_is_not_recorded_is_lost():
    assert compare_runs(promised("a", "b"), [run("a")]).lost == ["run-b"]


def test_a_run_that_goes_on_has_not_ended_and_a_failed_one_has_failed():
    found = compare_runs(promised("a", "b"), [run("a", "RUNNING"), run("b", "FAILED")])
    assert (found.unended, found.failed) == (["run-a"], ["run-b FAILED"])


def test_two_runs_of_one_key_are_a_duplicate_even_if_no_client_was_told():
    ledger = promised("a")
    ledger.ask(Start("b", "benchmark-w4", 2))
    found = compare_runs(ledger, [run("a"), run("a", id="other"), run("b"), run("b", id="another")])
    assert sorted(found.duplicated) == ["a", "b"]


def test_another_run_than_the_promised_one_is_both_lost_and_duplicated():
    found = compare_runs(promised("a"), [run("a", id="other")])
    assert (found.lost, found.duplicated) == (["run-a"], ["a"])


def test_a_run_without_an_answer_is_allowed_and_counted():
    ledger = promised("a")
    ledger.ask(Start("b", "benchmark-w4", 2))
    found = compare_runs(ledger, [run("a"), run("b")])
    assert (found.faults, found.unanswered) == ([], 1)


def test_a_confirmed_cancel_that_was_not_carried_out_is_found():
    ledger = promised("a", "b", "c", cancels={"run-a": 200, "run-b": 409, "run-c": 200})
    found = compare_runs(ledger, [run("a"), run("b"), run("c", "CANCELLED")])
    assert found.uncancelled == ["run-a"]


def test_a_run_that_nobody_cancelled_must_not_be_cancelled():
    assert compare_runs(promised("a"), [run("a", "CANCELLED")]).failed == ["run-a CANCELLED"]


def test_a_cancel_without_an_answer_may_have_been_carried_out():
    ledger = promised("a")
    ledger.cancels["run-a"] = 0
    assert compare_runs(ledger, [run("a", "CANCELLED")]).faults == []
    assert compare_runs(ledger, [run("a")]).faults == []


def test_a_confirmed_cancel_stays_one_when_its_repetition_is_refused():
    ledger = promised("a", cancels={"run-a": 200})
    ledger.cancel("run-a", 409)
    assert compare_runs(ledger, [run("a")]).uncancelled == ["run-a"]


def test_another_run_for_a_known_key_is_broken_at_once():
    ledger = promised("a")
    ledger.accept("a", "other")
    assert ledger.broken == ["key a: run other after run run-a"]
    assert ledger.runs == {"a": "run-a"}


def events(key: str, count: int) -> list[Event]:
    return [Event(f"{key}-{seq}", key, seq) for seq in range(count)]


def logged(sent: list[Event], partition: int = 0, start: int = 0) -> list[FoundEvent]:
    return [FoundEvent(event.id, partition, start + place) for place, event in enumerate(sent)]


@busy
@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), st.integers(1, 6), max_size=6), st.randoms())
def test_events_in_order_are_no_finding_however_their_keys_mix(keys, random):
    ledger = Ledger()
    queues = {key: events(key, count) for key, count in keys.items()}
    for sent in queues.values():
        ledger.accept_events(sent)
    mixed = []
    while any(queues.values()):
        mixed.append(queues[random.choice([key for key, left in queues.items() if left])].pop(0))
    assert compare_events(ledger, logged(mixed)) == Findings()


@busy
@given(st.integers(2, 8), st.randoms())
def test_any_two_events_of_a_key_in_the_wrong_order_are_found(count, random):
    ledger, sent = Ledger(), events("a", count)
    ledger.accept_events(sent)
    first, second = random.sample(range(count), 2)
    sent[first], sent[second] = sent[second], sent[first]
    assert compare_events(ledger, logged(sent)).disordered == ["a"]


def test_a_key_in_two_partitions_has_no_order():
    ledger, sent = Ledger(), events("a", 2)
    ledger.accept_events(sent)
    assert compare_events(ledger, [*logged(sent[:1], 0), *logged(sent[1:], 1, 5)]).disordered == ["a"]


def test_lost_and_repeated_events_are_found_and_unanswered_ones_allowed():
    ledger, sent, unknown = Ledger(), events("a", 3), events("b", 1)
    ledger.accept_events(sent)
    ledger.give_up(unknown)
    found = compare_events(ledger, logged([sent[0], sent[1], sent[1], *unknown]))
    assert (found.events_lost, found.events_twice, found.unanswered) == (["a-2"], ["a-1"], 1)


def test_the_ledger_is_in_its_file_as_soon_as_a_promise_was_made(tmp_path):
    ledger = Ledger.at(tmp_path / "ledger.jsonl")
    ledger.ask(Start("a", "benchmark-w4", 1))
    ledger.accept("a", "run-a")
    ledger.accept_events(events("k", 1))
    # Read before it is closed: nothing of it waits in this process.
    lines = [json.loads(line) for line in (tmp_path / "ledger.jsonl").read_text().splitlines()]
    assert lines == [
        {"asked": "a", "workflow": "benchmark-w4", "number": 1},
        {"run": "run-a", "key": "a"},
        {"event": "k-0", "key": "k", "seq": 0},
    ]
    ledger.close()
