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
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Self

import orjson

from erip.foundation.faults import Fault
from workflows.core import formats, sensitive
from workflows.core.durations import MAX_SECONDS, MIN_SECONDS, OUT_OF_BOUNDS, NotADuration, parse_duration
from workflows.core.expressions import Expression, ExpressionError
from workflows.core.graph import StepInfo, StepNode
from workflows.core.kind import Kind
from workflows.core.kinds.several import Group, Part, Progress, Several
from workflows.core.kinds.wait_format import GO_WITH, MAX_IN_ALL, WAIT, WAYS, WAYS_OF_A_PART
from workflows.core.machine import NO_ITEM, Event, Signal, StepDue, StepHappening, StepSignalled, StepView
from workflows.core.schema import Schema, SchemaInvalid, place
from workflows.core.sensitive import NOTHING, Parts
from workflows.core.states import StepState
from workflows.core.templates import Template

if TYPE_CHECKING:
    from workflows.core.machine import Deciding
    from workflows.core.reading import StepReading


@dataclass(frozen=True)
class Wait(Kind):
    """Exactly one of `duration`, `until`, `signal` and `several` is given."""

    name: ClassVar[str] = "wait"
    marker: ClassVar[str] = "wait"
    keys: ClassVar[Mapping[str, Any]] = {"wait": WAIT}
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
    #: the parts of `any` or `all`
    several: Several | None = None
    #: which parts of a payload are sealed, by signal; signals of which nothing is are absent
    sealed: Mapping[str, Parts] = field(default_factory=dict, compare=False)

    @property
    def signals(self) -> tuple[str, ...]:  # type: ignore[override]  # the class is frozen: nobody writes it
        if self.several is not None:
            return self.several.signals
        return () if self.signal is None else (self.signal,)

    @property
    def fixed(self) -> bool:  # type: ignore[override]  # the class is frozen: nobody writes it
        return self.until is not None or self.several is not None

    @property
    def watches(self) -> bool:  # type: ignore[override]  # the class is frozen: nobody writes it
        return self.several is not None and bool(self.several.conditions)

    @property
    def told_of_pauses(self) -> bool:  # type: ignore[override]  # the class is frozen: nobody writes it
        return self.several is not None

    @property
    def reads(self) -> int:
        if self.several is None:
            return self.level
        return 3 if self.several.plain else 5

    @classmethod
    def check(cls, reading: "StepReading") -> Self | None:
        if not reading.sound("wait"):
            return None
        given: dict[str, Any] = reading.step["wait"]
        ways = [way for way in WAYS if way in given]
        if len(ways) != 1:
            reading.fault("wait", f"has {' and '.join(ways)}: it can have only one of them" if ways else _NOTHING)
        for key, those in GO_WITH.items():
            if key in given and not any(way in given for way in those):
                reading.fault(f"wait.{key}", f"goes with {' or '.join(those)}, which this wait does not have")
        if "on_timeout" in given and "timeout" not in given:
            reading.fault("wait.on_timeout", "goes with timeout, which this wait does not have")
        schema, several = _schema(reading), _several(reading, given)
        return cls(
            duration=_template(reading, seconds_of, "for"),
            until=_template(reading, moment_of, "until"),
            signal=given.get("signal"),
            schema=schema,
            several=several,
            sealed=_sealed(given.get("signal"), schema, several),
            timeout=reading.duration("wait", "timeout"),
            fails=given.get("on_timeout", "fail") == "fail",
        )

    def begin(self, deciding: "Deciding", node: StepNode) -> None:
        if self.several is not None:
            self._begin_several(deciding, node, self.several)
            return
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
        elif self.several is not None:
            self._several_happened(deciding, node, view, self.several, happening)
        elif isinstance(happening, StepSignalled) and happening.signal.name == self.signal:
            signal = happening.signal
            output = {"payload": signal.payload, "by": signal.by, "timed_out": False}
            deciding.set(node.id, NO_ITEM, replace(view, state=StepState.SUCCEEDED, output=output))
            _record(deciding, node, signal)
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
        if self.several is not None:
            told = self.several.missing(Progress(view.output)) if view.output else "several signals and times"
            return f"waits for {told}" + (f"; the next moment is {moment}" if moment else "")
        if self.signal is None:
            return f"waits until {moment}" if moment else "waits for its moment"
        return f'waits for the signal "{self.signal}", {f"until {moment}" if moment else "without a time limit"}'

    def output(self, registered: Mapping[str, StepInfo]) -> Any:
        if self.several is not None:
            root = self.several.root
            names = ("results",) if root.every else ("first", "signal", "payload", "by")
            if root.groups and not root.every:
                names = (*names, "results")
            properties: dict[str, Any] = {**{name: {} for name in names}, "timed_out": {"type": "boolean"}}
            return {"type": "object", "additionalProperties": False, "properties": properties}
        if self.signal is None:
            return {"type": "object", "additionalProperties": False}
        payload = self.schema.document if self.schema is not None else {}
        # References of the payload's schema are relative to it, so it is followed only if it has none.
        known = payload if isinstance(payload, dict) and b'"$ref"' not in orjson.dumps(payload) else {}
        properties = {"payload": {"anyOf": [known, {"type": "null"}]}, "by": {}, "timed_out": {"type": "boolean"}}
        return {"type": "object", "additionalProperties": False, "properties": properties}

    def wants(self, view: StepView, signal: str) -> bool:
        return self.several is None or (view.output is not None and self.several.wants(Progress(view.output), signal))

    def resumed(self, deciding: "Deciding", node: StepNode, view: StepView, moved: float) -> None:
        if self.several is not None:
            self._go_on(deciding, node, view, self.several, Progress(view.output).moved(moved))

    def look_again(self, deciding: "Deciding", node: StepNode, view: StepView) -> bool:
        if self.several is None:
            return False
        several, progress = self.several, Progress(view.output)
        came, hopeless = [], []
        for part in several.open(progress):
            if part.condition is None:
                continue
            try:
                held = part.condition.test(deciding.context(), what="a `when`")
            except ExpressionError as error:
                if not _all_ended(deciding, part.condition):
                    continue
                fault = {"code": "expression_error", "message": f"wait.{part.at}.when: {error}"}
                deciding.set(node.id, NO_ITEM, replace(view, state=StepState.FAILED), fault)
                return True
            if held:
                came.append(part)
            elif _all_ended(deciding, part.condition):
                hopeless.append(part)
        before = progress
        for part in came:
            # What came before it in the same moment may have withdrawn it.
            if part in several.open(progress):
                progress = progress.came(part, {})
        if progress is not before:
            self._go_on(deciding, node, view, several, progress)
        if not several.ended(progress) and self.timeout is None and several.never(progress, hopeless):
            message = f"{several.missing(progress)} cannot come any more"
            fault = {"code": "wait_never", "message": message}
            view = replace(view, state=StepState.FAILED, output=several.output(progress, timed_out=False))
            deciding.set(node.id, NO_ITEM, view, fault)
        return deciding.steps[node.id, NO_ITEM].state.ended

    def signal_faults(self, signal: str, payload: Any) -> list[Fault]:
        if self.several is not None:
            return self.several.faults(signal, payload, sealed=self.sealed_payload(signal))
        sealed = self.sealed_payload(signal)
        return self.schema.faults(payload, at="payload", sealed=sealed) if self.schema else []

    def sealed_payload(self, signal: str) -> Parts:
        return self.sealed.get(signal, NOTHING)

    def sealed_output(self) -> Parts:
        if not self.sealed:
            return NOTHING
        payload = sensitive.Part(same=[part for parts in self.sealed.values() for part in parts])
        # What came of several is below `results`, whatever groups it is in.
        below = sensitive.Part(keys={"payload": payload})
        below.others, below.items = [below], [below]
        return (sensitive.Part(keys={"payload": payload, "results": below}),)

    # --- several (Note [Several] in `several`) ---

    def _begin_several(self, deciding: "Deciding", node: StepNode, several: Several) -> None:
        moments: list[datetime | None] = []
        for part in several.parts:
            try:
                moments.append(_moment(deciding, part.duration, part.until))
            except _Unfit as error:
                key = f"{part.at}.{'until' if part.until is not None else 'for'}"
                fault = {"code": "wait_invalid", "message": f"wait.{key}: {error}"}
                deciding.set(node.id, NO_ITEM, StepView(StepState.FAILED), fault)
                return
        timeout_at = deciding.now + timedelta(seconds=self.timeout) if self.timeout is not None else None
        progress = several.begun(moments, deciding.now, timeout_at)
        self._go_on(deciding, node, StepView(StepState.WAITING), several, progress)
        deciding.asks.extend((node.id, signal) for signal in several.signals)

    def _several_happened(
        self, deciding: "Deciding", node: StepNode, view: StepView, several: Several, happening: StepHappening
    ) -> None:
        progress = Progress(view.output)
        if isinstance(happening, StepSignalled) and several.wants(progress, happening.signal.name):
            signal = happening.signal
            came = several.signalled(progress, signal.name, signal.payload, signal.by)
            self._go_on(deciding, node, view, several, came)
            _record(deciding, node, signal)
        elif isinstance(happening, StepDue) and happening.item == NO_ITEM:
            now = deciding.now
            timeout_at = progress.timeout_at
            # What came at the same moment as the time limit has come.
            progress = several.at(progress, now)
            if timeout_at is None or now < timeout_at or several.ended(progress):
                self._go_on(deciding, node, view, several, progress)
            elif self.fails:
                message = f"{several.missing(progress)} did not come within {self.timeout:g} s"
                fault = {"code": "wait_timed_out", "message": message}
                output = several.output(progress, timed_out=True)
                deciding.set(node.id, NO_ITEM, replace(view, state=StepState.FAILED, output=output), fault)
            else:
                output = several.output(progress, timed_out=True)
                deciding.set(node.id, NO_ITEM, replace(view, state=StepState.SUCCEEDED, output=output))
        else:
            deciding.discarded.append(happening)

    def _go_on(
        self, deciding: "Deciding", node: StepNode, view: StepView, several: Several, progress: Progress
    ) -> None:
        """Wait on, or end."""
        if several.ended(progress):
            output = several.output(progress, timed_out=False)
            deciding.set(node.id, NO_ITEM, replace(view, state=StepState.SUCCEEDED, output=output))
        else:
            waits = replace(view, state=StepState.WAITING, output=dict(progress.document))
            deciding.set(node.id, NO_ITEM, waits, due_at=several.due_at(progress))

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


_NOTHING = f"needs one of {', '.join(WAYS)}"


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


def _moment(deciding: "Deciding", duration: Template | None, until: Template | None) -> datetime | None:
    """When a time comes. Raises _Unfit, ExpressionError."""
    if duration is not None:
        return deciding.now + timedelta(seconds=seconds_of(duration.render(deciding.context())))
    return moment_of(until.render(deciding.context())) if until is not None else None


def _record(deciding: "Deciding", node: StepNode, signal: Signal) -> None:
    detail = {"signal": signal.name, "id": signal.id, "by": signal.by}
    deciding.events.append(Event("step.signalled", node.id, detail=detail))


def _all_ended(deciding: "Deciding", condition: Expression) -> bool:
    """Whether nothing that a condition reads changes any more."""
    views = (deciding.steps.get((step, NO_ITEM)) for step in condition.references)
    return all(view is not None and view.state.ended for view in views)


def _sealed(signal: Any, schema: Schema | None, several: Several | None) -> dict[str, Parts]:
    schemas: list[tuple[Any, Schema | None]] = [(signal, schema)]
    schemas += [(part.signal, part.schema) for part in several.parts] if several is not None else []
    found: dict[str, Parts] = {}
    for name, one in schemas:
        if isinstance(name, str) and one is not None and (parts := sensitive.parts_of(one.document)):
            found[name] = (*found.get(name, NOTHING), *parts)
    return found


def _several(reading: "StepReading", given: dict[str, Any]) -> Several | None:
    way = next((way for way in ("any", "all") if way in given), None)
    if way is None:
        return None
    reader = _Reader(reading)
    root = reader.group(given, way)
    if reader.count > MAX_IN_ALL:
        message = f"waits for {reader.count} signals, times and conditions in all; at most {MAX_IN_ALL} are allowed"
        reading.fault(f"wait.{way}", message)
    return Several(root)


class _Reader:
    """Reads the parts of a wait, in the order in which they are written."""

    def __init__(self, reading: "StepReading") -> None:
        self._reading = reading
        self._signals: set[str] = set()
        self.count = 0

    def group(self, given: Mapping[str, Any], way: str, *keys: str | int) -> Group:
        members = [self._member(part, *keys, way, index) for index, part in enumerate(given[way])]
        return Group(tuple(members), way == "all")

    def _member(self, part: Mapping[str, Any], *keys: str | int) -> Part | Group:
        reading, at = self._reading, place("wait", keys)
        ways = [one for one in WAYS_OF_A_PART if one in part]
        if len(ways) != 1:
            nothing = f"needs one of {', '.join(WAYS_OF_A_PART)}"
            reading.fault(at, f"has {' and '.join(ways)}: it can have only one of them" if ways else nothing)
        if "schema" in part and "signal" not in part:
            reading.fault(f"{at}.schema", "goes with signal, which this part does not have")
        if len(ways) == 1 and ways[0] in ("any", "all"):
            return self.group(part, ways[0], *keys)
        signal = part.get("signal")
        if signal in self._signals:
            reading.fault(f"{at}.signal", f'"{signal}" is there already: a wait takes one signal of each name')
        if signal is not None:
            self._signals.add(signal)
        self.count += 1
        return Part(
            at=place("", keys),
            index=self.count - 1,
            duration=_template(reading, seconds_of, *keys, "for"),
            until=_template(reading, moment_of, *keys, "until"),
            signal=signal,
            schema=_schema(reading, *keys),
            condition=reading.watched("wait", *keys, "when") if "when" in part else None,
        )


def _template(reading: "StepReading", parse: Any, *keys: str | int) -> Template | None:
    value: Any = reading.step["wait"]
    for key in keys[:-1]:
        value = value[key]
    if keys[-1] not in value:
        return None
    template = reading.template("wait", *keys)
    if template is not None and template.constant:
        try:
            parse(template.render({}))
        except _Unfit as error:
            reading.fault(place("wait", keys), str(error))
    return template


def _schema(reading: "StepReading", *keys: str | int) -> Schema | None:
    value: Any = reading.step["wait"]
    for key in keys:
        value = value[key]
    if "schema" not in value:
        return None
    try:
        return Schema.compile(value["schema"], at=place(f"{reading.at}.wait", (*keys, "schema")))
    except SchemaInvalid as error:
        reading.faults.extend(error.faults)
        return None
