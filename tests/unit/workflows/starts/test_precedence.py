import time

from workflows.starts import precedence


def test_a_start_gives_way_to_more_urgent_ones_only_and_not_for_ever() -> None:
    with precedence.starting("high"):
        assert precedence.give_way("high")
        assert precedence.give_way("critical")
        before = time.monotonic()
        assert not precedence.give_way("bulk")
        assert time.monotonic() - before >= precedence.LONGEST_PAUSE * 0.9
    assert precedence.give_way("bulk")
