"""Whether a load still measures anything: one that is answered wrongly again and again only does harm.

A deployment that was right before may be failing over, which takes it tens of seconds; one that never was has a wrong
key, or is another one than was meant.
"""

from typing import Final

#: seconds of wrong answers after which a load ends: of a deployment that has never been right, and of any other
NEVER_RIGHT, NO_LONGER_RIGHT = 10, 90
#: answers on which this is decided, at least
_ENOUGH: Final = 20
#: the part of a second's answers that is wrong, so that the second counts as wrong
_NEARLY_ALL: Final = 0.95


class Watch:
    """Counts answers by the second in which they came. Seconds are whole numbers, and never go back by much."""

    def __init__(self) -> None:
        self._second: int | None = None
        self._right = self._wrong = 0
        #: the first of the seconds in a row that were wrong, and the wrong answers in them
        self._since: int | None = None
        self._row = 0
        self._ever_right = False

    def note(self, second: int, *, right: bool) -> None:
        self._close(second)
        if right:
            self._right += 1
        else:
            self._wrong += 1

    def hopeless(self, second: int) -> str | None:
        """Why the load is to end; None: it goes on."""
        self._close(second)
        limit = NO_LONGER_RIGHT if self._ever_right else NEVER_RIGHT
        if self._since is None or second - self._since < limit or self._row < _ENOUGH:
            return None
        return f"nearly all answers of {second - self._since} s were wrong, so it was stopped"

    def _close(self, second: int) -> None:
        """A new second: judge the last one. One without answers says nothing."""
        if second == self._second:
            return
        if self._second is not None and (whole := self._right + self._wrong):
            if self._wrong >= _NEARLY_ALL * whole:
                self._since = self._second if self._since is None else self._since
                self._row += self._wrong
            else:
                self._since, self._row, self._ever_right = None, 0, True
        self._second, self._right, self._wrong = second, 0, 0
