"""`wait`: for a while, until a moment, or for a signal. No worker runs anything for it.

Note [Signals]
A signal has a name, and a payload that must fit the schema of every step of the workflow that waits for that name. It
is given to exactly one step: the first in the order of the graph that waits for it. One that comes before any step
waits is kept, and the first step that waits for it later takes it; if there are several, it takes the one that was kept
first. Giving, keeping and taking happen under the run's lock, so a step never waits beside a signal that was kept for
it.
A signal that does not come in time never counts as received: by default the step fails, and with `on_timeout: continue`
its output says that the wait timed out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Self

import orjson

from erip.foundation.faults import Fault
from workflows.core import formats
from workflows.core.durations import MAX_SECONDS, MIN_SECONDS, OUT_OF_BOUNDS, NotADuration, parse_duration
from workflows.core.format import DURATION
from workflows.core.graph import StepInfo, StepNode
from workflows.core.kind import Kind
from workflows.core.machine import NO_ITEM, Event, StepDue, StepHappening, StepSignalled, StepView
from workflows.core.schema import Schema, SchemaInvalid
from workflows.core.states import StepState
from workflows.core.templates import Template

if TYPE_CHECKING:
    from workflows.core.machine import Deciding
    from workflows.core.reading import StepReading

SIGNAL_NAME = r"^[a-z][a-z0-9_.-]{0,62}$"
#: a wait has exactly one of these
_WAYS = ("for", "until", "signal")
#: these go only with `signal`
_OF_A_SIGNAL = ("schema", "timeout", "on_timeout")

_WAIT: dict[str, Any] = {
    "type": "object",
    "title": "an object with for, until or signal",
    "description": "Go on after a while, at a moment, or when a signal comes.",
    "additionalProperties": False,
    "properties": {
        "for": {
            "title": "a duration (10m, 4h, a number of seconds), or a text that holds ${{ expressions }}",
            "anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string", "minLength": 1, "maxLength": 2000}],
            "description": "Go on so long after the steps that this one needs have ended.",
        },
        "until": {
            "type": "string",
            "minLength": 1,
            "maxLength": 2000,
            "title": "a moment with its time zone, or a text that holds ${{ expressions }}",
            "description": "Go on at this moment, such as 2026-11-30T12:00:00Z; at once if it has passed.",
        },
        "signal": {
            "type": "string",
            "pattern": SIGNAL_NAME,
            "title": "the name of a signal (a lower-case letter, then letters, digits, _, . and -, at most 63)",
            "description": "Go on when this signal is sent to the run; one that came earlier counts.",
        },
        "schema": {
            "type": "object",
            "title": "a JSON Schema",
            "description": "With signal: JSON Schema (2020-12) of its payload. References only within it.",
        },
        "timeout": {**DURATION, "description": "With signal: how long to wait for it. Default: no limit."},
        "on_timeout": {
            "enum": ["fail", "continue"],
            "default": "fail",
            "title": "fail or continue",
            "description": "With timeout: what becomes of the step. continue: its output has timed_out: true.",
        },
    },
}


@dataclass(frozen=True)
class Wait(Kind):
    """Exactly one of `duration`, `until` and `signal` is given."""

    name: ClassVar[str] = "wait"
    marker: ClassVar[str] = "wait"
    keys: ClassVar[Mapping[str, Any]] = {"wait": _WAIT}
    required: ClassVar[tuple[str, ...]] = ("wait",)
    level: ClassVar[int] = 2

    #: what renders to a duration
    duration: Template | None = None
    #: what renders to a moment
    until: Template | None = None
    signal: str | None = None
    #: of the signal's payload; None: any
    schema: Schema | None = None
    #: seconds to wait for the signal; None is no limit
    timeout: float | None = None
    #: what the step does after that: it fails, or goes on
    fails: bool = True

    @property
    def fixed(self) -> bool:  # type: ignore[override]  # the class is frozen: nobody writes it
        return self.until is not None

    @classmethod
    def check(cls, reading: "StepReading") -> Self | None:
        if not reading.sound("wait"):
            return None
        given: dict[str, Any] = reading.step["wait"]
        ways = [way for way in _WAYS if way in given]
        if len(ways) != 1:
            reading.fault("wait", f"has {' and '.join(ways)}: it can have only one of them" if ways else _NOTHING)
        for key in _OF_A_SIGNAL:
            if key in given and "signal" not in given:
                reading.fault(f"wait.{key}", "goes with signal, which this wait does not have")
        if "on_timeout" in given and "timeout" not in given:
            reading.fault("wait.on_timeout", "goes with timeout, which this wait does not have")
        return cls(
            duration=_template(reading, "for", seconds_of),
            until=_template(reading, "until", moment_of),
            signal=given.get("signal"),
            schema=_schema(reading),
            timeout=reading.duration("wait", "timeout"),
            fails=given.get("on_timeout", "fail") == "fail",
        )

    def begin(self, deciding: "Deciding", node: StepNode) -> None:
        due_at: datetime | None = None
        try:
            if self.duration is not None:
                due_at = deciding.now + timedelta(seconds=seconds_of(self.duration.render(deciding.context())))
            elif self.until is not None:
                due_at = moment_of(self.until.render(deciding.context()))
            elif self.timeout is not None:
                due_at = deciding.now + timedelta(seconds=self.timeout)
        except _Unfit as error:
            key = "until" if self.until is not None else "for"
            fault = {"code": "wait_invalid", "message": f"wait.{key}: {error}"}
            deciding.set(node.id, NO_ITEM, StepView(StepState.FAILED), fault)
            return
        if self.until is not None and due_at is not None and due_at <= deciding.now:
            deciding.set(node.id, NO_ITEM, StepView(StepState.SUCCEEDED, output={}), input=self._input(due_at))
            return
        deciding.set(node.id, NO_ITEM, StepView(StepState.WAITING), due_at=due_at, input=self._input(due_at))
        if self.signal is not None:
            deciding.asks.append((node.id, self.signal))

    def happened(self, deciding: "Deciding", node: StepNode, happening: StepHappening) -> None:
        view = deciding.steps.get((happening.step, happening.item))
        if view is None or view.state is not StepState.WAITING:
            deciding.discarded.append(happening)
        elif isinstance(happening, StepSignalled) and happening.signal.name == self.signal:
            signal = happening.signal
            output = {"payload": signal.payload, "by": signal.by, "timed_out": False}
            deciding.set(node.id, NO_ITEM, replace(view, state=StepState.SUCCEEDED, output=output))
            detail = {"signal": signal.name, "id": signal.id, "by": signal.by}
            deciding.events.append(Event("step.signalled", node.id, detail=detail))
        elif isinstance(happening, StepDue):
            self._due(deciding, node, view)
        else:
            deciding.discarded.append(happening)

    def stop(self, deciding: "Deciding", node: StepNode, view: StepView) -> None:
        deciding.set(node.id, NO_ITEM, replace(view, state=StepState.CANCELLED))

    def explain(self, view: StepView, due_at: datetime | None) -> str:
        if view.state is StepState.PAUSED:
            return "is paused with its run"
        moment = due_at.isoformat() if due_at is not None else None
        if self.signal is None:
            return f"waits until {moment}" if moment else "waits for its moment"
        return f'waits for the signal "{self.signal}", {f"until {moment}" if moment else "without a time limit"}'

    def output(self, registered: Mapping[str, StepInfo]) -> Any:
        if self.signal is None:
            return {"type": "object", "additionalProperties": False}
        payload = self.schema.document if self.schema is not None else {}
        # References of the payload's schema are relative to it, so it is followed only if it has none.
        known = payload if isinstance(payload, dict) and b'"$ref"' not in orjson.dumps(payload) else {}
        properties = {"payload": {"anyOf": [known, {"type": "null"}]}, "by": {}, "timed_out": {"type": "boolean"}}
        return {"type": "object", "additionalProperties": False, "properties": properties}

    def signal_faults(self, payload: Any) -> list[Fault]:
        return self.schema.faults(payload, at="payload") if self.schema else []

    def _due(self, deciding: "Deciding", node: StepNode, view: StepView) -> None:
        if self.signal is None:
            deciding.set(node.id, NO_ITEM, replace(view, state=StepState.SUCCEEDED, output={}))
        elif self.fails:
            message = f'the signal "{self.signal}" did not come within {self.timeout:g} s'
            fault = {"code": "signal_timed_out", "message": message}
            deciding.set(node.id, NO_ITEM, replace(view, state=StepState.FAILED), fault)
        else:
            output = {"payload": None, "by": None, "timed_out": True}
            deciding.set(node.id, NO_ITEM, replace(view, state=StepState.SUCCEEDED, output=output))

    def _input(self, due_at: datetime | None) -> dict[str, Any]:
        """What the step waits for, as readers of the run see it."""
        waits: dict[str, Any] = {} if self.signal is None else {"signal": self.signal}
        return waits if due_at is None else {**waits, "until": due_at.isoformat()}


_NOTHING = f"needs one of {', '.join(_WAYS)}"


class _Unfit(ValueError):
    """A value that is not a duration, or not a moment."""


def seconds_of(value: Any) -> float:
    """Seconds. Raises ValueError if it is not a duration, or not an allowed one."""
    try:
        seconds = parse_duration(value)
    except NotADuration as error:
        raise _Unfit(str(error)) from error
    if not MIN_SECONDS <= seconds <= MAX_SECONDS:
        raise _Unfit(OUT_OF_BOUNDS)
    return seconds


def moment_of(value: Any) -> datetime:
    """A moment in UTC; raises ValueError for anything else. A date alone is no moment, because it has no time zone."""
    try:
        if isinstance(value, str) and formats.holds("date-time", value):
            return formats.moment(value)
        if isinstance(value, str) and (moment := datetime.fromisoformat(value)).tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise _Unfit(f"{str(value)[:100]!r} is not a moment with its time zone, such as 2026-11-30T12:00:00Z")


def _template(reading: "StepReading", key: str, parse: Any) -> Template | None:
    if key not in reading.step["wait"]:
        return None
    template = reading.template("wait", key)
    if template is not None and template.constant:
        try:
            parse(template.render({}))
        except _Unfit as error:
            reading.fault(f"wait.{key}", str(error))
    return template


def _schema(reading: "StepReading") -> Schema | None:
    if "schema" not in reading.step["wait"]:
        return None
    try:
        return Schema.compile(reading.step["wait"]["schema"], at=f"{reading.at}.wait.schema")
    except SchemaInvalid as error:
        reading.faults.extend(error.faults)
        return None
