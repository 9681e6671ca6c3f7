"""The clients' retries, against a server that behaves as the test says."""

import asyncio
import time
from random import Random

import pytest

from benchmarks.client import Answer
from benchmarks.uptime.fleet import put_on
from benchmarks.uptime.operations import PAGE, Operation, list_fault
from benchmarks.uptime.retries import BREATH, BUDGET, TRIES, pause_before, persist
from benchmarks.uptime.samples import Sample, Try


def answer(status: int, **headers: str) -> Answer:
    told = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    return Answer(status, b"{}", told, time.perf_counter())


def ask(*answers: Answer | Exception):
    """What a client makes of these answers; and how many seconds each try was given."""
    given: list[float] = []

    async def send(seconds: float) -> Answer:
        given.append(seconds)
        told = answers[len(given) - 1]
        if isinstance(told, Exception):
            raise told
        return told

    tries = asyncio.run(persist(send, lambda one: None if one.status == 200 else str(one.status), Random(1)))
    return tries, given


def test_a_right_answer_is_not_asked_for_again():
    tries, _ = ask(answer(200))
    assert [one.error for one in tries] == [None]


def test_a_wrong_answer_is_the_services_answer():
    tries, _ = ask(answer(404))
    assert [one.error for one in tries] == ["404"]


def test_no_answer_and_not_now_are_asked_again():
    tries, given = ask(ConnectionError("closed"), answer(200))
    assert [one.error for one in tries] == ["ConnectionError", None]
    assert all(seconds <= BUDGET for seconds in given)


def test_retry_after_is_waited_for():
    tries, _ = ask(answer(429, retry_after="1"), answer(200))
    assert tries[1].began - tries[0].ended >= 1.0


def test_a_client_gives_up_where_retry_after_is_past_its_budget():
    tries, _ = ask(answer(503, retry_after="30"))
    assert [one.error for one in tries] == ["503"]


@pytest.mark.parametrize("took", [0.0, 0.3, 1.75])
@pytest.mark.parametrize("made", range(1, TRIES))
def test_tries_are_spread_and_never_follow_each_other_at_once(made, took):
    assert pause_before(made, took, None, 1.0) >= BREATH
    assert pause_before(made, took, 2.0, 1.0) >= 2.0


def page(*ids: str) -> dict:
    return {"items": [{"id": one, "workflow": "w"} for one in ids]}


def test_a_list_that_misses_a_run_accepted_before_is_wrong():
    assert list_fault(page("3", "2", "1"), "w", "2") is None
    assert list_fault(page("3", "1"), "w", "2") == "own run is missing"
    assert list_fault(page(), "w", "2") == "own run is missing"


def test_a_run_older_than_a_full_page_is_on_the_next():
    full = [f"{number:04d}" for number in range(PAGE + 10, 10, -1)]
    assert list_fault(page(*full), "w", "0001") is None
    assert list_fault(page(*full[:-5], "0001"[:0] + "0012", *full[-4:]), "w", "0015") is not None


def test_a_list_in_another_order_or_of_another_workflow_is_wrong():
    assert list_fault(page("1", "2"), "w", None) == "not newest first"
    assert list_fault(page("2", "2"), "w", None) == "not newest first"
    assert list_fault(page("2"), "other", None) == "not the list that was asked for"


def test_what_one_operation_took_is_not_there_for_the_next_though_both_are_late() -> None:
    """The fleet is behind its schedule: it begins all that is due at once."""

    class Rare:
        name = "rare"

        def __init__(self) -> None:
            self.left = 2

        def ready(self) -> bool:
            return self.left > 0

        async def ask(self) -> tuple[Try, ...]:
            assert self.left > 0, "there was nothing left to ask for"
            self.left -= 1
            await asyncio.sleep(0.01)
            return ()

    class Common(Rare):
        name = "common"

        def ready(self) -> bool:
            return True

        async def ask(self) -> tuple[Try, ...]:
            return ()

    samples: list[Sample] = []
    operations: dict[Operation, int] = {Rare(): 1_000, Common(): 1}
    asyncio.run(
        put_on(operations, rate=100_000.0, seconds=0.0005, random=Random(1), samples=samples, done=lambda _: None)
    )
    assert [one.operation for one in samples].count("rare") == 2
    assert len(samples) == 50
