"""How errors are shown: whatever a row holds, it is text on a page."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from workflows.core.machine import NO_ITEM

#: characters of an error in a list
IN_A_LIST = 160


@dataclass(frozen=True, slots=True)
class Told:
    """An error: its code, its whole message, and the step that it comes from."""

    code: str
    message: str
    step: str = ""


def told(error: Any) -> Told | None:
    """The error of a run or a step. Of a step that failed its run, the step's own error, which says more."""
    if error is None:
        return None
    if not isinstance(error, Mapping):
        return Told("error", str(error))
    cause = error.get("cause")
    step = str(error.get("step") or "")
    if isinstance(cause, Mapping) and cause:
        return Told(_text(cause, "code", "error"), _text(cause, "message", str(dict(cause))), step)
    return Told(_text(error, "code", "error"), _text(error, "message", str(dict(error))), step)


def in_a_list(error: Any) -> str:
    """One line: the step, the code, and the beginning of the message."""
    found = told(error)
    if found is None:
        return ""
    line = " ".join(f"{found.step + ' · ' if found.step else ''}{found.code}: {found.message}".split())
    return line if len(line) <= IN_A_LIST else line[: IN_A_LIST - 1] + "…"


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed attempt, with what it left behind (Note [Traces] in `worker/traces`)."""

    at: Any
    title: str
    error: Told | None
    traceback: str
    lines: tuple[str, ...]
    left_out: int
    retry_at: str


_FAILURES = {"step.attempt_failed", "step.unknown", "step.lost"}


def failures(events: list[dict[str, Any]]) -> Iterator[Failure]:
    """The failed attempts among a run's events, the last one first."""
    for event in reversed(events):
        if event["type"] not in _FAILURES:
            continue
        detail = event["detail"] if isinstance(event["detail"], Mapping) else {}
        trace = detail.get("trace")
        trace = trace if isinstance(trace, Mapping) else {}
        lines = trace.get("lines")
        lines = tuple(str(line) for line in lines) if isinstance(lines, list) else ()
        left_out = trace.get("left_out")
        yield Failure(
            event["at"],
            f"{named(event['step'], event['item'])}, attempt {event['attempt']}",
            told(detail.get("error")),
            str(trace.get("traceback") or ""),
            lines,
            left_out if isinstance(left_out, int) else 0,
            str(detail.get("retry_at") or ""),
        )


def named(step: Any, item: int | None) -> str:
    """`notify`, or `notify[3]` for an item."""
    return str(step) if item is None or item == NO_ITEM else f"{step}[{item}]"


def _text(error: Mapping[str, Any], key: str, otherwise: str) -> str:
    value = error.get(key)
    return otherwise if value is None or value == "" else str(value)
