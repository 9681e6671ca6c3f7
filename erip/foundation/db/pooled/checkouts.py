"""Who holds a connection: what the pool keeps of each that it handed out."""

import sys
import threading
import time
import weakref
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Any

from sqlalchemy.pool import PoolProxiedConnection

from erip.foundation.db.deadlines import Clock

#: frames of a stack that are kept
DEPTH = 25
#: code of the layers between who asked and the pool, left out of the stacks
_OWN = ("/erip/foundation/db/pooled/", "/django/db/", "/django/utils/asyncio", "/sqlalchemy/pool/")


@dataclass(eq=False, slots=True, weakref_slot=True)
class Checkout:
    """A connection in the hands of a thread."""

    held: PoolProxiedConnection
    #: the psycopg2 connection
    real: Any
    clock: Clock
    #: of the pool, when the connection was opened
    generation: int
    #: the thread holds it for as long as it lives
    kept: bool
    #: Django's wrapper that it was handed to
    owner: "weakref.ref[Any]"
    stack: tuple[tuple[CodeType, int], ...]
    thread: int = field(default_factory=threading.get_ident)
    thread_name: str = field(default_factory=lambda: threading.current_thread().name)
    #: on the monotonic clock
    since: float = field(default_factory=time.monotonic)
    #: not to be used again
    broken: bool = False
    #: as a leak
    reported: bool = False
    #: its thread has ended, and rubbish was collected for that
    collected: bool = False

    def quiet_for(self, now: float) -> float:
        """Seconds without a statement since it was handed out; 0 while one is under way."""
        return 0.0 if self.clock.since is not None else now - max(self.since, self.clock.ended)


def calling_stack() -> tuple[tuple[CodeType, int], ...]:
    """Where we are, as code and line numbers: a few µs, where formatting it would cost more than the checkout."""
    frame: FrameType | None = sys._getframe(1)
    found: list[tuple[CodeType, int]] = []
    while frame is not None and len(found) < DEPTH:
        found.append((frame.f_code, frame.f_lineno))
        frame = frame.f_back
    return tuple(found)


def current_stack(thread: int) -> tuple[tuple[CodeType, int], ...]:
    """Where another thread is right now; nothing if it has ended."""
    frame = sys._current_frames().get(thread)
    found: list[tuple[CodeType, int]] = []
    while frame is not None and len(found) < DEPTH:
        found.append((frame.f_code, frame.f_lineno))
        frame = frame.f_back
    return tuple(found)


def told(stack: tuple[tuple[CodeType, int], ...]) -> list[str]:
    """`file:line function`, innermost first, without the database's own layers."""
    return [
        f"{code.co_filename}:{line} {code.co_qualname if sys.version_info >= (3, 11) else code.co_name}"
        for code, line in stack
        if not any(part in code.co_filename for part in _OWN)
    ]
