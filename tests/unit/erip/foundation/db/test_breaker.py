"""The breaker round connecting: what it takes for an outage, and what not."""

import time

from erip.foundation.db.breaker import Breaker


def _failing() -> None:
    raise OSError("away")


def test_connects_that_began_before_another_succeeded_do_not_open_it_again():
    breaker = Breaker("tested", _failing, period=5, longest=60)
    # Given connects that hang, and one that began later and succeeded
    began = time.monotonic()
    breaker.succeeded()
    # When those fail at last
    for _ in range(5):
        breaker.failed(OSError("timeout expired"), began)
    # Then it stays closed; but it opens for those that begin now
    assert not breaker.is_open
    for _ in range(3):
        breaker.failed(OSError("refused"), time.monotonic())
    assert breaker.is_open
    breaker.succeeded()
