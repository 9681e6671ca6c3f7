"""What a failed attempt leaves behind besides its error: its traceback, and the last lines that its body logged.

Note [Traces]
They are kept in the detail of the event that records the failure, so they cost no write of their own, are archived and
dropped with the run, and are read by those who may read the run. An attempt that succeeds keeps nothing. What is kept
is bounded: MAX_TRACEBACK characters; the last MAX_LINES lines, each of MAX_LINE characters; and in each worker the
traces of the first ITEMS_OF_A_RUN failed attempts of a run's items, because a fan-out may have a hundred thousand.

Lines are taken from the standard library's root logger, where structlog sends its own: what the body logs in its thread
or on the event loop, at the levels that the log shows. Lines of threads that the body starts itself are not seen.
"""

import logging
import sys
import threading
import traceback
from collections import deque
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from cachetools import LRUCache

from erip.foundation.json_values import storable
from erip.foundation.logs import working_on
from erip.foundation.process import spans
from erip.foundation.redacting import Struck
from workflows.core.claim import Claim
from workflows.core.machine import NO_ITEM, Happening, StepFailed

MAX_TRACEBACK: Final = 8_000
#: innermost frames of each exception in it
MAX_FRAMES: Final = 25
MAX_LINES: Final = 50
MAX_LINE: Final = 300
ITEMS_OF_A_RUN: Final = 20

Trace = dict[str, Any]

#: what structlog adds to each line, and the lines' form shows anyway
_SHOWN: Final = frozenset({"event", "timestamp", "level", "logger", "logger_name"})


class Lines:
    """What one attempt logs. Made for each attempt, so it does nothing until there is a line."""

    __slots__ = ("_kept", "claim", "logged", "sealed", "span", "struck", "thread")

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self._kept: deque[str] | None = None
        self.logged = 0
        #: the secrets that the body was given; None: it was given none
        self.struck: Struck | None = None
        #: those of them that are sensitive data of the run
        self.sealed: Struck | None = None
        #: where a `def` body runs
        self.thread = threading.get_ident()
        #: what whoever traces this attempt wants of it; None: nobody does
        self.span = spans.begin(claim.run_id)

    def add(self, line: str) -> None:
        if self._kept is None:
            self._kept = deque(maxlen=MAX_LINES)
        self._kept.append(line)
        self.logged += 1

    def log_fields(self) -> dict[str, object]:
        """What each line says besides (`erip.foundation.logs.working_on`)."""
        return self.claim.log_fields()

    def kept(self) -> list[str]:
        return list(self._kept or ())


class _Listener(logging.Handler):
    """Puts each record into the lines of the attempt that logs it."""

    def emit(self, record: logging.LogRecord) -> None:
        lines = working_on.get()
        if not isinstance(lines, Lines):
            return
        try:
            lines.add(_line(record, lines.claim, lines.struck))
        except Exception:
            # What a value says of itself is the body's code. It must not cost us the attempt.
            lines.add(f"{record.levelname.lower()} {record.name}: a line that cannot be shown")


_listener = _Listener()


def listen() -> None:
    """Take lines from now on: called by each worker process, once or more often."""
    root = logging.getLogger()
    if _listener not in root.handlers:
        root.addHandler(_listener)


def tell(lines: Lines, uses: str, happening: Happening, seconds: float) -> None:
    """Tell whoever traces this attempt of its end: what it was and the code of its failure, and no more, since inputs,
    outputs and messages are data."""
    tracer = spans.tracer()
    if tracer is None:
        return
    claim = lines.claim
    error = ""
    if isinstance(happening, StepFailed):
        error = str(happening.error.get("code") or "failed")[:200]
    fields = {
        "erip.run.id": claim.run_id,
        "erip.workflow": claim.workflow,
        "erip.step": claim.step,
        "erip.item": None if claim.item == NO_ITEM else claim.item,
        "erip.attempt": claim.attempt,
        "erip.uses": uses,
        "erip.lane": str(claim.lane),
    }
    tracer.attempt(lines.span, fields, error=error, seconds=seconds)


def of_error(claim: Claim, error: BaseException, lines: Lines | None) -> Trace | None:
    """The trace of an attempt that raised. None if it is not kept."""
    if not _wanted(claim):
        return None
    try:
        told = traceback.TracebackException(type(error), error, error.__traceback__, limit=-MAX_FRAMES, compact=True)
        _without_ours(told)
        text = "".join(told.format())
    except Exception:
        text = type(error).__name__
    return _trace(text, lines)


def of_stuck(claim: Claim, lines: Lines) -> Trace | None:
    """The trace of a `def` body that runs too long: where its thread is now. None if it is not kept."""
    if not _wanted(claim):
        return None
    frame = sys._current_frames().get(lines.thread)
    if frame is None:
        return _trace("", lines)
    stack = traceback.StackSummary.extract(traceback.walk_stack(frame), limit=MAX_FRAMES)
    stack.reverse()
    ours = [index for index, one in enumerate(stack) if _is_ours(one.filename)]
    text = "".join(traceback.format_list(stack[ours[-1] + 1 if ours else 0 :]))
    return _trace("When its time was over, the body was here (most recent call last):\n" + text, lines)


def _trace(text: str, lines: Lines | None) -> Trace:
    if lines is not None and lines.struck is not None:
        # Before it is cut: half a secret would not be found.
        text = lines.struck.text(text)
    trace: Trace = {"traceback": storable(_shortened(text))}
    if lines is not None and lines.logged:
        kept = lines.kept()
        trace |= {"lines": [storable(line) for line in kept], "left_out": lines.logged - len(kept)}
    return trace


def _wanted(claim: Claim) -> bool:
    if claim.item == NO_ITEM:
        return True
    with _lock:
        kept = _of_items.get(claim.run_id, 0)
        _of_items[claim.run_id] = kept + 1
    return kept < ITEMS_OF_A_RUN


_of_items: LRUCache[str, int] = LRUCache(maxsize=1_000)
_lock = threading.Lock()


def _without_ours(told: traceback.TracebackException) -> None:
    """Begin with the body: the frames that called it are the same in each trace."""
    if told.stack and _is_ours(told.stack[0].filename):
        del told.stack[0]


def _is_ours(filename: str) -> bool:
    return filename.endswith(("workflows/worker/bodies.py", "workflows\\worker\\bodies.py"))


def _shortened(text: str) -> str:
    """The beginning and the end: where it began, and what it was."""
    if len(text) <= MAX_TRACEBACK:
        return text
    head = MAX_TRACEBACK // 4
    return f"{text[:head]}\n… {len(text) - MAX_TRACEBACK:,} characters left out …\n{text[head - MAX_TRACEBACK :]}"


def _line(record: logging.LogRecord, claim: Claim, struck: Struck | None) -> str:
    at = datetime.fromtimestamp(record.created, UTC)
    if isinstance(record.msg, dict):
        # What all lines of the attempt say alike says nothing here.
        bound = {**structlog.contextvars.get_contextvars(), **claim.log_fields()}
        values = {
            name: value
            for name, value in record.msg.items()
            if name not in _SHOWN and not (name in bound and bound[name] == value)
        }
        said = " ".join([str(record.msg.get("event", "")), *(f"{name}={value}" for name, value in values.items())])
    else:
        said = record.getMessage()
    if record.exc_info and record.exc_info[1] is not None:
        said += f" ({type(record.exc_info[1]).__name__}: {record.exc_info[1]})"
    if struck is not None:
        said = struck.text(said)
    line = f"{at:%H:%M:%S}.{at.microsecond // 1000:03d} {record.levelname.lower()} {record.name}: {said}"
    return line if len(line) <= MAX_LINE else line[: MAX_LINE - 1] + "…"
