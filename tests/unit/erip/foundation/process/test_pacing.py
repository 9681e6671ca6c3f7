"""A search that finds nothing rests for longer than it took, and one that finds something does not."""

import time

import pytest

from erip.foundation.process.pacing import Pace
from workflows import store
from workflows.core.lanes import LaneLoad
from workflows.store import chunks, lacking
from workflows.worker.ageing import LaneWatch


def test_a_search_that_finds_nothing_rests() -> None:
    pace, looks = Pace(), 0

    def look() -> list[int]:
        nonlocal looks
        looks += 1
        time.sleep(0.02)
        return [1] if looks <= 2 else []

    assert [list(pace.search(look)) for _ in range(9)] == [[1], [1], *[[]] * 7]
    assert looks == 3
    time.sleep(0.02 * (Pace.REST + 5))
    pace.search(look)
    assert looks == 4


@pytest.mark.parametrize(("lacks", "looks"), [(True, 1), (False, 5)])
def test_a_worker_that_lacks_steps_does_not_search_past_them_all_the_time(
    monkeypatch: pytest.MonkeyPatch, lacks: bool, looks: int
) -> None:
    made = []

    def slow(*_: object, **__: object) -> list[str]:
        made.append(1)
        time.sleep(0.02)
        return []

    monkeypatch.setattr(store, "stale_ready_runs", slow)
    monkeypatch.setattr(chunks, "stale", lambda *_, **__: None)
    watch = LaneWatch(["standard"])
    monkeypatch.setattr(store, "lane_loads", lambda *_, **__: {"standard": LaneLoad(5, 60.0, None)})
    watch.look()
    if lacks:
        lacking.note_one(1, "only", "x")
    try:
        for _ in range(5):
            assert watch.stale(9, older_than=0.0) == []
    finally:
        lacking.note(1, {})
    assert len(made) == looks
