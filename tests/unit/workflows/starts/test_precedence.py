import time

import pytest

from workflows.core.states import Lane
from workflows.starts import precedence


def test_a_start_gives_way_to_more_urgent_ones_only_and_not_for_ever() -> None:
    with precedence.starting("bulk") as bulk, precedence.starting("high") as high:
        assert high.give_way()
        before = time.monotonic()
        assert not bulk.give_way()
        assert time.monotonic() - before >= precedence.LONGEST_PAUSE * 0.9
    with precedence.starting("bulk") as bulk:
        assert bulk.give_way()


@pytest.mark.parametrize("lane", Lane)
def test_a_start_that_is_alone_never_waits_for_itself(lane: str) -> None:
    with precedence.starting(lane) as own:
        assert own.give_way()
