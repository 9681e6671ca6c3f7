from workflows.worker.hints import Hints


def test_the_most_urgent_message_is_taken_and_the_oldest_of_its_lane_first() -> None:
    hints = Hints()
    for lane, run in [("bulk", "b1"), ("standard", "s1"), ("critical", "c1"), ("bulk", "b2"), ("critical", "c2")]:
        hints.put(lane, [run])
    taken = [hints.take(["own"])[0] for _ in range(6)]
    assert taken == ["c1", "c2", "s1", "b1", "b2", "own"]


def test_a_message_from_no_lane_is_only_taken_by_its_own_thread() -> None:
    hints = Hints()
    hints.put("celery", ["x"])
    assert hints.take(["own"]) == ["own"]
