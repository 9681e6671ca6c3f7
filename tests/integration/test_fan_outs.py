"""Fan-outs on a real database, with an executor in this process or with claims and reports by hand."""

import re
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings
from django.core import mail
from django.db import IntegrityError, connection, connections, transaction

from tests.definitions import publish
from tests.integration.conftest import LANES
from workflows import engine, store
from workflows.core import machine
from workflows.graphs import graph_of
from workflows.models import StepRun, WorkflowRun
from workflows.store import Claim, Known, Report
from workflows.worker.writer import Writer, _Work

pytestmark = pytest.mark.django_db(transaction=True)


def fan_out(uses: str = "sample.echo", with_: str = '{value: "${{ item }}"}', extra: str = "") -> str:
    """Publish a fan-out over the run's `items`, with a step after it."""
    return publish(f"""
name: fan
steps:
  each: {{uses: {uses}, foreach: "${{{{ input.items }}}}", with: {with_}{extra}}}
  after: {{uses: sample.echo, needs: [each], with: {{value: "${{{{ steps.each.output.total }}}}"}}}}
output:
  each: ${{{{ steps.each.output }}}}
  after: ${{{{ steps.after.output.value }}}}
""")


def items(run_id: object) -> list[StepRun]:
    return list(StepRun.objects.filter(run_id=run_id, step="each", item__gte=0).order_by("item"))


def states(run_id: object) -> Counter[str]:
    return Counter(row.state for row in items(run_id))


def row_of(run_id: object) -> StepRun:
    return StepRun.objects.get(run_id=run_id, step="each", item=machine.NO_ITEM)


class Hand:
    """A worker whose claims and reports a test makes itself."""

    def __init__(self, name: str = "hand") -> None:
        self.id = store.register_worker(name, "here", 1, LANES)
        self.known: dict[str, Known] = {}

    def claim(self, run_id: str) -> list[Claim]:
        return store.claim([run_id], worker_id=self.id, lanes=LANES, known=self.known)

    def succeed(self, *claims: Claim) -> store.Applied:
        reports = [Report(one.run_id, machine.StepSucceeded(one.step, one.attempt, {}, one.item)) for one in claims]
        return self.report(*reports)

    def report(self, *reports: Report) -> store.Applied:
        return store.apply(reports, graph_of=graph_of, reporter=self.id, go_on=True, known=self.known)


@pytest.fixture
def hand(transactional_db: None) -> Hand:
    return Hand()


def start(items: list[object]) -> str:
    return engine.start_runs("fan", [engine.StartRequest({"items": items})], principal="t")[0].id


# --- from start to end ---


def test_every_item_is_done_once_and_the_join_has_the_outputs_in_order(run_to_end) -> None:
    fan_out()
    run = run_to_end("fan", {"items": list(range(1_000))})
    assert run.state == "SUCCEEDED"
    assert run.output["after"] == 1_000
    assert [one["value"] for one in run.output["each"]["results"]] == list(range(1_000))
    assert [one["key"] for one in run.output["each"]["results"]] == [f"{run.pk}:each:{n}" for n in range(1_000)]
    assert run.output["each"]["failures"] == []
    assert {(row.state, row.attempt, row.lost) for row in items(run.pk)} == {("SUCCEEDED", 1, 0)}
    assert row_of(run.pk).items == 1_000


def test_ten_thousand_items_are_done_once(run_to_end) -> None:
    fan_out()
    run = run_to_end("fan", {"items": list(range(10_000))})
    assert run.output["after"] == 10_000
    assert [one["value"] for one in run.output["each"]["results"]] == list(range(10_000))
    assert {(row.state, row.attempt) for row in items(run.pk)} == {("SUCCEEDED", 1)}


def test_a_fan_out_after_another_step_goes_on_with_what_that_one_gave(run_to_end) -> None:
    publish("""
name: later
steps:
  list: {uses: sample.echo, with: {value: ["a", "b", "c"]}}
  each:
    uses: sample.echo
    needs: [list]
    foreach: ${{ steps.list.output.value }}
    max_parallel: 2
    with: {value: "${{ index }}${{ item }}${{ size(steps.list.output.value) }}"}
output: ${{ steps.each.output.results }}
""")
    assert [one["value"] for one in run_to_end("later").output] == ["0a3", "1b3", "2c3"]


def test_async_and_transactional_items_are_done_once(run_to_end) -> None:
    fan_out("sample.rest", "{seconds: 0.01}", ", max_parallel: 20")
    assert run_to_end("fan", {"items": list(range(60))}).output["each"]["succeeded"] == 60
    fan_out("sample.book", "{seconds: 0}", ", max_parallel: 7")
    run = run_to_end("fan", {"items": list(range(60))})
    assert run.output["each"]["succeeded"] == 60
    from tests.sample.models import Effect

    assert sorted(Effect.objects.values_list("key", flat=True)) == sorted(f"{run.pk}:each:{n}" for n in range(60))


def test_a_fan_out_that_is_not_essential_goes_on_after_the_outcome(run_to_end) -> None:
    publish("""
name: late
lane: high
steps:
  main: {uses: sample.echo, with: {value: 1}}
  each:
    uses: sample.flaky
    needs: [main]
    essential: false
    foreach: [0, 9, 1]
    max_parallel: 1
    tolerated_failures: 1
    with: {times: "${{ item }}"}
""")
    run = run_to_end("late")
    assert run.state == "SUCCEEDED"
    assert states(run.pk) == {"SUCCEEDED": 2, "FAILED": 1}
    assert {row.lane for row in items(run.pk)} == {"standard"}
    assert row_of(run.pk).state == "SUCCEEDED"
    assert row_of(run.pk).finished_at > run.finished_at


def test_an_empty_list_succeeds_at_once(run_to_end) -> None:
    fan_out()
    run = run_to_end("fan", {"items": []})
    assert run.state == "SUCCEEDED"
    assert run.output["each"] == {"results": [], "total": 0, "succeeded": 0, "failed": 0, "failures": []}


@pytest.mark.parametrize(("given", "code"), [("text", "foreach_not_a_list"), (list(range(10_001)), "foreach_too_many")])
def test_what_is_no_list_or_too_long_fails_the_step_with_its_reason(run_to_end, given: object, code: str) -> None:
    fan_out()
    run = run_to_end("fan", {"items": given})
    assert run.state == "FAILED"
    assert run.error["cause"]["code"] == code
    assert items(run.pk) == []


def test_the_example_of_the_documentation_runs(run_to_end) -> None:
    text = (Path(__file__).parents[2] / "docs" / "reference" / "definitions.md").read_text("utf-8")
    example = re.search(r"```yaml\n(name: ask-vendors.*?)```", text, re.DOTALL)
    assert example
    publish(example[1])
    vendors = [{"name": name, "email": f"{name}@example.org"} for name in ("acme", "globex")]
    run = run_to_end("ask-vendors", {"vendors": vendors})
    assert run.output == "2 of 2 were asked"
    asked = StepRun.objects.filter(run=run, step="ask", item__gte=0).order_by("item")
    assert [row.output["deliveries"][0]["target"] for row in asked] == ["acme@example.org", "globex@example.org"]
    assert sorted(sent.subject for sent in mail.outbox) == ["Is acme affected?", "Is globex affected?"]


# --- failures ---


def test_an_item_is_tried_again_by_itself(run_to_end) -> None:
    fan_out("sample.flaky", '{times: "${{ item }}"}', ", max_parallel: 2")
    run = run_to_end("fan", {"items": [0, 2, 0, 1, 0]})
    assert run.state == "SUCCEEDED"
    assert [one["attempt"] for one in run.output["each"]["results"]] == [1, 3, 1, 2, 1]


def test_failed_items_fail_the_step_after_all_were_tried_and_the_results_are_kept(run_to_end) -> None:
    fan_out("sample.flaky", '{times: "${{ item }}", permanent: true}')
    run = run_to_end("fan", {"items": [0, 9, 0, 9]})
    assert run.state == "FAILED"
    assert run.error["cause"] == {
        "code": "items_failed",
        "message": "2 of 4 items failed: item 1: it will never work; item 3: it will never work",
    }
    assert states(run.pk) == {"SUCCEEDED": 2, "FAILED": 2}
    output = row_of(run.pk).output
    assert [one and one["attempt"] for one in output["results"]] == [1, None, 1, None]
    assert output["failures"][0] == {"item": 1, "code": "hopeless", "message": "it will never work"}
    assert not StepRun.objects.filter(run=run, step="after", state="SUCCEEDED").exists()


@pytest.mark.parametrize(
    ("tolerated", "state"), [("2", "SUCCEEDED"), ("1", "FAILED"), ("50%", "SUCCEEDED"), ("49%", "FAILED")]
)
def test_tolerated_failures_decide(run_to_end, tolerated: str, state: str) -> None:
    fan_out("sample.flaky", '{times: "${{ item }}", permanent: true}', f", tolerated_failures: {tolerated}")
    run = run_to_end("fan", {"items": [0, 9, 0, 9]})
    assert run.state == state
    assert row_of(run.pk).output["failed"] == 2


def test_an_item_whose_input_cannot_be_rendered_is_a_failed_item(run_to_end) -> None:
    fan_out(with_='{value: "${{ item.a }}"}', extra=", tolerated_failures: 1")
    run = run_to_end("fan", {"items": [{"a": 1}, {"b": 2}]})
    assert run.state == "SUCCEEDED"
    assert run.output["each"]["failures"][0]["code"] == "expression_error"
    run = run_to_end("fan", {"items": [{"b": 1}, {"b": 2}]})
    assert run.state == "FAILED"
    assert run.error["cause"]["code"] == "items_failed"


def test_outputs_that_are_too_large_together_fail_the_step_and_can_be_read_one_by_one(run_to_end) -> None:
    fan_out(with_='{value: "${{ input.text }}"}')
    run = run_to_end("fan", {"items": list(range(20)), "text": "x" * 500_000})
    assert run.error["cause"]["code"] == "output_too_large"
    assert states(run.pk) == {"SUCCEEDED": 20}
    assert len(items(run.pk)[7].output["value"]) == 500_000


# --- by hand ---


def test_no_more_items_are_open_than_max_parallel_and_each_that_ends_lets_one_in(hand: Hand) -> None:
    fan_out(extra=", max_parallel: 3")
    run_id = start(list(range(8)))
    assert states(run_id) == {"READY": 3, "PENDING": 5}
    mine = hand.claim(run_id)
    assert [one.item for one in mine] == [0, 1, 2]
    given = hand.succeed(mine[0]).claims
    assert [(one.item, one.attempt, one.input) for one in given] == [(3, 1, {"value": 3})]
    assert states(run_id) == {"RUNNING": 3, "PENDING": 4, "SUCCEEDED": 1}
    given = hand.succeed(*mine[1:]).claims
    assert [one.item for one in given] == [4, 5]
    assert run_id in hand.known, "the worker goes on without reading"


def test_a_claim_takes_a_portion_and_the_next_one_another(hand: Hand) -> None:
    fan_out()
    run_id = start(list(range(150)))
    first, second, third = hand.claim(run_id), Hand("other").claim(run_id), hand.claim(run_id)
    assert [len(first), len(second), len(third)] == [store.PORTION, store.PORTION, 0]
    assert not {one.item for one in first} & {one.item for one in second}


def test_an_item_that_rests_gives_its_place_away_and_waits_for_one_when_it_is_due(hand: Hand) -> None:
    fan_out(extra=", max_parallel: 1")
    run_id = start([0, 1])
    hand.claim(run_id)
    failed = machine.StepFailed("each", 1, {"code": "x", "message": "y"}, True, 0.0, item=0)
    (second,) = hand.report(Report(run_id, failed)).claims
    assert (second.item, states(run_id)) == (1, {"WAITING": 1, "RUNNING": 1})
    hand.report(Report(run_id, machine.StepDue("each", 0)))
    assert states(run_id) == {"PENDING": 1, "RUNNING": 1}
    (again,) = hand.succeed(second).claims
    assert (again.item, again.attempt) == (0, 2)
    assert StepRun.objects.get(run_id=run_id, step="each", item=0).failures == 1
    hand.succeed(again)
    assert row_of(run_id).state == "SUCCEEDED"


def test_an_item_of_unknown_outcome_holds_the_join_up_until_a_person_says_how_it_ended(hand: Hand) -> None:
    fan_out("sample.block_once", "{seconds: 0}", ", max_parallel: 2")
    run_id = start([0, 1])
    lost, other = hand.claim(run_id)
    hand.report(Report(run_id, machine.StepLost("each", lost.attempt, 3, lost.item)))
    hand.succeed(other)
    assert states(run_id) == {"UNKNOWN": 1, "SUCCEEDED": 1}
    assert WorkflowRun.objects.get(pk=run_id).state == "WAITING"
    engine.resolve_step(run_id, "each", item=lost.item, outcome="succeeded", output={"key": "by hand"}, principal="ann")
    assert row_of(run_id).output["results"][0]["key"] == "by hand"
    assert StepRun.objects.get(run_id=run_id, step="after").state == "READY"


@pytest.mark.parametrize("stop", [machine.RunCancelled("ann"), machine.RunTimedOut()])
def test_a_run_that_is_stopped_cancels_what_of_its_items_has_not_ended(hand: Hand, stop: machine.Happening) -> None:
    fan_out(extra=", max_parallel: 4")
    run_id = start(list(range(10)))
    mine = hand.claim(run_id)
    hand.succeed(mine[0])
    hand.report(Report(run_id, stop))
    assert states(run_id) == {"SUCCEEDED": 1, "CANCELLED": 9}
    assert row_of(run_id).state == "CANCELLED"
    assert len(hand.succeed(mine[1]).discarded) == 1, "a late result does not count"


def test_a_running_item_that_must_not_be_repeated_is_still_recorded_after_a_cancel(hand: Hand) -> None:
    fan_out("sample.block_once", "{seconds: 0}", ", max_parallel: 2")
    run_id = start(list(range(4)))
    mine = hand.claim(run_id)
    hand.report(Report(run_id, machine.RunCancelled("ann")))
    assert states(run_id) == {"RUNNING": 2, "CANCELLED": 2}
    assert hand.succeed(*mine).discarded == ()
    assert states(run_id) == {"SUCCEEDED": 2, "CANCELLED": 2}
    assert row_of(run_id).state == "CANCELLED"


def test_the_failure_of_another_branch_stops_a_fan_out_that_began_with_it(hand: Hand) -> None:
    publish("""
name: fan
steps:
  list: {uses: sample.echo, with: {value: [1, 2, 3]}}
  bad:  {uses: sample.echo, with: {value: 1}}
  each: {uses: sample.echo, needs: [list], foreach: "${{ steps.list.output.value }}", with: {value: "${{ item }}"}}
""")
    run_id = engine.start_runs("fan", [engine.StartRequest({})], principal="t")[0].id
    bad, first = hand.claim(run_id)
    failed = machine.StepFailed(bad.step, 1, {"code": "x", "message": "y"}, False, 0.0)
    listed = machine.StepSucceeded(first.step, 1, {"value": [1, 2, 3]})
    applied = hand.report(Report(run_id, listed), Report(run_id, failed))
    assert applied.claims == ()
    assert states(run_id) == {"CANCELLED": 3}
    assert row_of(run_id).state == "CANCELLED"


def test_the_join_fires_once_when_two_writers_report_the_last_items(hand: Hand) -> None:
    fan_out(extra=", max_parallel: 100")
    other = Hand("other")
    for _ in range(15):
        run_id = start(list(range(100)))
        shares = [(hand, hand.claim(run_id)), (other, other.claim(run_id))]
        for who, claims in shares:
            who.succeed(*claims[5:])
        applied = together(
            [lambda who=who, claims=claims: [who.succeed(one) for one in claims[:5]] for who, claims in shares]
        )
        assert not any(one.discarded for one in applied)
        assert states(run_id) == {"SUCCEEDED": 100}
        assert row_of(run_id).state == "SUCCEEDED"
        (after,) = [claim for one in applied for claim in one.claims]
        assert (after.step, after.attempt, after.input) == ("after", 1, {"value": 100})


def test_claims_that_race_take_all_there_is_and_nothing_twice(hand: Hand) -> None:
    fan_out(extra=", max_parallel: 200")
    workers = [Hand(f"w{n}") for n in range(4)]
    for _ in range(10):
        run_id = start(list(range(200)))
        claimed = together([lambda who=who, run_id=run_id: who.claim(run_id) for who in workers])
        assert sorted(one.item for one in claimed) == list(range(200))


def together(works: list[Callable[[], list[Any]]]) -> list[Any]:
    """Make these calls at the same moment, each on its own connection. Returns all their results."""
    barrier, given = threading.Barrier(len(works)), []

    def do(work: Callable[[], list[Any]]) -> None:
        barrier.wait()
        try:
            given.extend(work())
        finally:
            connections.close_all()

    threads = [threading.Thread(target=do, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
        assert not thread.is_alive()
    return given


def test_workers_are_told_of_a_fan_out_once_for_each_portion(transactional_db: None) -> None:
    broker = redis.Redis.from_url(settings.ERIP_BROKER_URL)
    broker.delete("standard")
    fan_out(extra=", max_parallel: 120")
    start(list(range(500)))
    assert broker.llen("standard") == 3
    broker.delete("standard")


def test_two_messages_of_a_run_that_one_worker_takes_together_get_a_portion_each(hand: Hand) -> None:
    fan_out(extra=", max_parallel: 120")
    run_id = start(list(range(120)))
    found = store.claim([run_id, run_id], worker_id=hand.id, lanes=LANES)
    assert len(found) == 2 * store.PORTION
    group = [_Work(run_ids=(run_id,)), _Work(run_ids=(run_id,))]
    claims: list[list[Claim]] = [[], []]
    Writer._share(found, group, claims, portion=store.PORTION)
    assert [[one.item for one in own] for own in claims] == [list(range(50)), list(range(50, 100))]


def test_those_who_report_together_get_as_many_items_as_each_reported(hand: Hand) -> None:
    fan_out(extra=", max_parallel: 6")
    run_id = start(list(range(20)))
    mine = [Report(run_id, machine.StepSucceeded("each", 1, {}, one.item)) for one in hand.claim(run_id)]
    group = [_Work(reports=tuple(mine[:2])), _Work(reports=tuple(mine[2:]))]
    claims: list[list[Claim]] = [[], []]
    Writer._share(hand.report(*mine).claims, group, claims)
    assert [[one.item for one in own] for own in claims] == [[6, 7], [8, 9, 10, 11]]


# --- what PostgreSQL refuses, and how the message reads ---


def test_only_the_row_of_a_fan_out_may_run_without_an_owner(hand: Hand) -> None:
    fan_out()
    run_id = start([1])
    item = StepRun.objects.filter(run_id=run_id, step="each", item=0)
    with pytest.raises(IntegrityError, match="step_running_is_owned"), transaction.atomic():
        item.update(state="RUNNING")
    with pytest.raises(IntegrityError, match="step_items"), transaction.atomic():
        item.update(items=1)


def test_a_lost_worker_leaves_the_row_of_its_fan_out_alone(hand: Hand) -> None:
    fan_out()
    run_id = start([1, 2])
    hand.claim(run_id)
    store.stop_worker(hand.id)
    assert sorted(item for _, _, _, item, _ in store.orphaned_steps(limit=9)) == [0, 1]


def test_a_claim_of_steps_that_are_no_items_does_not_look_for_portions(hand: Hand) -> None:
    publish("name: plain\nsteps: {only: {uses: sample.echo, with: {value: 1}}}")
    run = engine.start_runs("plain", [engine.StartRequest({})], principal="t")[0]
    parameters = {"runs": [run.id], "worker": hand.id, "lanes": LANES, "portion": store.PORTION}
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {claims_sql()}", parameters)
        plan = "\n".join(row[0] for row in cursor.fetchall())
    portion = plan[plan.index("CTE portion") : plan.index("CTE claimed")]
    assert "actual rows" not in portion
    assert "never executed" in portion
    assert StepRun.objects.get(run_id=run.id).state == "RUNNING", "the plan is that of a claim"


def claims_sql() -> str:
    from workflows.store.claims import _CLAIM

    return _CLAIM.format(skip="", started_by="", told="", known="")


def test_two_fan_outs_of_a_run_that_fail_in_one_report_end_it_once(hand: Hand) -> None:
    publish(
        "name: twins\nsteps:\n"
        '  left: {uses: sample.echo, foreach: [1, 2], with: {value: "${{ item }}"}}\n'
        '  right: {uses: sample.echo, foreach: [1, 2], with: {value: "${{ item }}"}}\n'
    )
    run = engine.start_runs("twins", [engine.StartRequest({})], principal="t")[0].id
    lost = [Report(run, machine.StepLost(one.step, one.attempt, 1, one.item)) for one in hand.claim(run)]
    assert len(lost) == 4
    engine.report(lost)
    assert WorkflowRun.objects.get(pk=run).state == "FAILED"
    assert set(StepRun.objects.filter(run=run, item=-1).values_list("state", flat=True)) <= {"FAILED", "CANCELLED"}


def test_inputs_that_are_too_large_together_fail_the_step_before_anything_is_stored(run_to_end) -> None:
    fan_out(with_='{value: "${{ input.text }}"}')
    run = run_to_end("fan", {"items": list(range(400)), "text": "x" * 60_000})
    assert run.state == "FAILED"
    assert run.error["cause"]["code"] == "foreach_too_large"
    assert items(run.pk) == []
