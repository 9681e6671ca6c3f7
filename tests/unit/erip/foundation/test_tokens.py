"""A value that a token invalidates: loaded once for each token, looked at once in a while, kept through an outage."""

import time
from collections.abc import Callable

import pytest

from erip.foundation.tokens import Tokened


class Source:
    def __init__(self) -> None:
        self.token, self.looks, self.loads = 1, 0, 0
        self.error: Exception | None = None

    def read_token(self) -> int:
        self.looks += 1
        if self.error is not None:
            raise self.error
        return self.token

    def load(self) -> str:
        self.loads += 1
        return f"value of {self.token}"


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def pass_by(seconds: float) -> None:
        now[0] += seconds

    return pass_by


def test_it_is_loaded_again_only_when_the_token_changed(later: Callable[[float], None]) -> None:
    source = Source()
    known = Tokened(source.read_token, source.load, every=1.0)
    assert [known.current(), known.current()] == ["value of 1", "value of 1"]
    assert (source.looks, source.loads) == (1, 1)
    later(1.1)
    known.current()
    assert (source.looks, source.loads) == (2, 1)
    source.token = 2
    assert known.current() == "value of 1", "within the second"
    later(1.1)
    assert known.current() == "value of 2"


def test_whoever_changed_something_sees_it_at_once(later: Callable[[float], None]) -> None:
    source = Source()
    known = Tokened(source.read_token, source.load, every=60.0)
    known.current()
    source.token = 2
    known.forget()
    assert known.current() == "value of 2"


def test_an_outage_leaves_what_is_known_and_another_error_does_not(later: Callable[[float], None]) -> None:
    source = Source()
    known = Tokened(source.read_token, source.load, every=1.0, outage=lambda error: isinstance(error, OSError))
    source.error = OSError("away")
    with pytest.raises(OSError, match="away"):
        known.current()
    source.error = None
    known.current()
    later(2.0)
    source.error = OSError("away")
    assert known.current() == "value of 1"
    later(2.0)
    source.error = ValueError("broken")
    with pytest.raises(ValueError, match="broken"):
        known.current()
