"""Note [Publishing] in `starts/dispatch`: what comes in while a message is being sent shares the next ones."""

import threading
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.starts import dispatch
from workflows.store.chunks import TOKEN

LANES = ("critical", "high", "standard", "bulk")
RUNS = st.lists(st.integers(0, 9).map(str), min_size=1, max_size=dispatch.RUNS_PER_MESSAGE, unique=True)
CHUNK = st.integers(1, 9).map(lambda number: [f"{TOKEN}{number}"])


@given(st.lists(st.tuples(st.sampled_from(LANES), RUNS | CHUNK), max_size=60))
def test_each_run_is_named_as_often_as_before_and_each_message_is_one_that_a_worker_takes(
    waiting: list[tuple[str, list[str]]],
) -> None:
    publisher = dispatch.Publisher()
    for lane, named in waiting:
        publisher._waiting.put(dispatch._Message(LANES.index(lane), next(publisher._numbers), lane, named))
    messages = []
    while not publisher._waiting.empty():
        messages.append(publisher._next())
    sent = [(together[0].lane, [one for message in together for one in message.run_ids]) for together in messages]
    assert Counter((lane, one) for lane, named in sent for one in named) == Counter(
        (lane, one) for lane, named in waiting for one in named
    )
    for (lane, named), together in zip(sent, messages, strict=True):
        assert {message.lane for message in together} == {lane}
        assert len(named) <= dispatch.RUNS_PER_MESSAGE
        assert len(together) == 1 or lane != "critical" or len(named) <= 4
        assert len(set(named)) == len(named)
        assert len(named) == 1 or not any(one.startswith(TOKEN) for one in named)
    assert [LANES.index(lane) for lane, _ in sent] == sorted(LANES.index(lane) for lane, _ in sent)


@pytest.mark.parametrize("fails", [False, True])
def test_all_that_share_a_message_learn_what_became_of_it(monkeypatch: pytest.MonkeyPatch, fails: bool) -> None:
    publisher = dispatch.Publisher()
    sent: list[tuple[str, list[str]]] = []
    sending, go_on = threading.Event(), threading.Event()

    def send(lane: str, run_ids: list[str]) -> None:
        sent.append((lane, run_ids))
        sending.set()
        go_on.wait(30)
        if fails:
            raise OSError("away")

    monkeypatch.setattr(publisher, "send", send)
    # A machine that stands still for a while.
    monkeypatch.setattr(dispatch, "PATIENCE", 60.0)
    messages = [publisher._put("standard", ["first"])]
    assert sending.wait(30)
    messages += [publisher._put("standard", [str(number)]) for number in range(5)]
    go_on.set()
    assert [message.result(60) for message in messages] == [not fails] * 6
    assert sent == [("standard", ["first"]), ("standard", ["0", "1", "2", "3", "4"])]
