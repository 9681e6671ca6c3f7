"""What a run did as OTLP takes it."""

import json
import uuid
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from erip.foundation.ids import new_run_id
from monitoring.core.spans import MOST_STATEMENTS, MOST_TEXT, Attempt, Run, document, trace_id, wanted
from tests.support.otlp import attributes, spans

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RUN = "0190aaaa-bbbb-7ccc-8ddd-eeeeeeeeeeee"


def attempt(step: str = "a", number: int = 1, item: int | None = None, error: str = "") -> Attempt:
    fields = {"erip.step": step, "erip.attempt": number, "erip.item": item}
    return Attempt(RUN, attributes=fields, ended=NOW.timestamp(), seconds=2.5, error=error)


def made(*found: Attempt | Run) -> list[dict]:
    body = json.loads(json.dumps(document(found, version="1.2", process={"erip.process": "worker"})))
    assert attributes(body["resourceSpans"][0]["resource"]) == {
        "service.name": "erip", "service.version": "1.2", "erip.process": "worker",
    }  # fmt: skip
    return spans([({}, body)])


def test_attempts_are_children_of_their_run_and_statements_of_their_attempt() -> None:
    one = attempt()
    one.add("  select 1 where x = %s", NOW.timestamp() - 1, 0.25, "")
    one.add("", NOW.timestamp() - 1, 0.25, "OperationalError")
    run = Run(RUN, "w", "SUCCEEDED", NOW - timedelta(seconds=10), NOW)
    step, first, second, whole = made(one, run)
    assert {span["traceId"] for span in (step, first, second, whole)} == {"0190aaaabbbb7ccc8dddeeeeeeeeeeee"}
    assert step["parentSpanId"] == whole["spanId"]
    assert first["parentSpanId"] == second["parentSpanId"] == step["spanId"]
    assert "parentSpanId" not in whole
    assert (first["name"], first["kind"], second["name"]) == ("SELECT", 3, "SQL")
    assert attributes(first)["db.query.text"] == "  select 1 where x = %s"
    assert "status" not in first
    assert (second["status"], attributes(second)["error.type"]) == ({"code": 2}, "OperationalError")
    assert int(step["endTimeUnixNano"]) - int(step["startTimeUnixNano"]) == 2_500_000_000
    assert int(whole["endTimeUnixNano"]) - int(whole["startTimeUnixNano"]) == 10_000_000_000


def test_each_attempt_and_item_is_a_span_of_its_own_and_the_same_one_wherever_it_is_made() -> None:
    ids = [
        span["spanId"] for span in made(attempt(), attempt("b"), attempt(number=2), attempt(item=0), attempt(item=1))
    ]
    assert len(set(ids)) == 5
    assert [span["spanId"] for span in made(attempt())] == ids[:1]
    assert all(len(one) == 16 and int(one, 16) for one in ids)


def test_the_statements_of_an_attempt_are_bounded_and_what_is_left_out_is_counted() -> None:
    one = attempt()
    for _ in range(MOST_STATEMENTS + 7):
        one.add("x" * 5_000, 0.0, 0.1, "")
    step, *rest = made(one)
    assert len(rest) == MOST_STATEMENTS == one.weight - 1
    assert attributes(step)["erip.statements_left_out"] == "7"
    assert len(attributes(rest[0])["db.query.text"]) == MOST_TEXT


def test_only_failures_are_errors() -> None:
    ends = [Run(RUN, "w", outcome, NOW, NOW) for outcome in ("SUCCEEDED", "CANCELLED", "FAILED", "TIMED_OUT")]
    assert ["status" in span for span in made(*ends, attempt(error="step_raised"))] == [False, False, True, True, True]


def test_a_run_that_seems_to_end_before_it_began_has_no_negative_length() -> None:
    [span] = made(Run(RUN, "w", "FAILED", NOW, NOW - timedelta(seconds=3)))
    assert int(span["endTimeUnixNano"]) >= int(span["startTimeUnixNano"])


@given(st.uuids(), st.floats(0, 1))
def test_a_trace_id_is_one_and_a_larger_share_has_the_runs_of_a_smaller_one(number: uuid.UUID, share: float) -> None:
    assert trace_id(str(number)) == number.hex
    assert wanted(str(number), 1.0)
    assert not wanted(str(number), 0.0)
    assert not wanted(str(number), share) or wanted(str(number), min(1.0, share * 1.5))


def test_a_share_of_the_runs_is_about_that_share() -> None:
    ids = [new_run_id() for _ in range(4_000)]
    # Ten standard deviations.
    assert abs(sum(wanted(one, 0.25) for one in ids) - 1_000) < 280
