"""A circuit breaker: when it opens, who may try meanwhile, and what closes it."""

import time
from collections.abc import Callable

import pytest

from erip.foundation.circuit import Circuit


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let so many seconds pass."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def pass_by(seconds: float) -> None:
        now[0] += seconds

    return pass_by


def test_failures_in_a_row_open_it_and_a_success_forgets_them(later: Callable[[float], None]) -> None:
    circuit = Circuit(3, 10.0)
    assert [circuit.failed(), circuit.failed()] == [False, False]
    circuit.succeeded()
    assert circuit.is_untroubled
    assert [circuit.failed() for _ in range(3)] == [False, False, True]
    assert circuit.is_open
    assert not circuit.allows()


def test_failures_that_are_far_apart_do_not_open_it(later: Callable[[float], None]) -> None:
    circuit = Circuit(2, 10.0, within=5.0)
    circuit.failed()
    later(6.0)
    assert not circuit.failed()
    later(1.0)
    assert circuit.failed()


def test_after_its_rest_one_may_try(later: Callable[[float], None]) -> None:
    circuit = Circuit(1, 10.0)
    circuit.failed()
    later(9.9)
    assert not circuit.may_try()
    later(0.2)
    assert circuit.may_try()
    assert [circuit.allows(), circuit.allows()] == [True, False]
    # It fails: another rest begins.
    circuit.failed()
    later(9.9)
    assert not circuit.allows()
    later(0.2)
    assert circuit.allows()
    # It says nothing: somebody else may try.
    circuit.not_tried()
    assert circuit.allows()
    circuit.succeeded()
    assert circuit.is_untroubled
    assert [circuit.allows(), circuit.allows()] == [True, True]
