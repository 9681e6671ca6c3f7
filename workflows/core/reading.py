"""What the checks of all parts of a definition share: one list of faults, and what counts as sound.

`Reading` reads a document, `StepReading` one of its steps; a kind of step checks its own part with the latter.
"""

from collections.abc import Mapping
from typing import Any

from erip.foundation.faults import Fault
from workflows.core.durations import MAX_SECONDS, MIN_SECONDS, OUT_OF_BOUNDS, NotADuration, parse_duration
from workflows.core.expressions import ROOTS, Expression, ExpressionError
from workflows.core.graph import StepInfo
from workflows.core.schema import place
from workflows.core.shapes import Budget
from workflows.core.structure import did_you_mean
from workflows.core.templates import Expressions, Template, unwrap


class Reading:
    """A document while it is being read. Each part that is read adds its faults to `faults`."""

    def __init__(
        self, document: Any, registered: Mapping[str, StepInfo], broken: set[tuple[str | int, ...]], faults: list[Fault]
    ) -> None:
        """broken: places whose structure breaks the format, and whose faults are already reported."""
        #: (the id of the step that reads, or None; the expression; its place)
        self.reads: list[tuple[str | None, Expression, str]] = []
        self.budget = Budget()
        self.registered = registered
        self.broken = broken
        self.faults = faults
        self.document: dict[str, Any] = document if isinstance(document, dict) else {}
        steps = self.document.get("steps")
        self.steps: dict[str, dict[str, Any]] = {
            str(id): step if isinstance(step, dict) else {}
            for id, step in (steps.items() if isinstance(steps, dict) else ())
        }

    def fault(self, path: str, message: str) -> None:
        self.faults.append(Fault(path, message))

    def sound(self, *location: str | int) -> bool:
        """Whether the structure at a place is as the format wants it."""
        return not any(place[: len(location)] == location for place in self.broken)

    def duration(self, location: tuple[str | int, ...], value: Any) -> float | None:
        """Seconds; None where there is no duration, or not an allowed one."""
        if value is None or not self.sound(*location):
            return None
        try:
            seconds = parse_duration(value)
        except NotADuration as error:
            self.fault(place("", location), str(error))
            return None
        if not MIN_SECONDS <= seconds <= MAX_SECONDS:
            self.fault(place("", location), OUT_OF_BOUNDS)
        return seconds

    def template(self, value: Any, at: str, roots: tuple[str, ...] = ROOTS) -> tuple[Template | None, Expressions]:
        template, faults, expressions = Template.check(value, at=at, roots=roots)
        self.faults.extend(faults)
        return template, expressions


class StepReading:
    """One step of a document. Keys are those of the step: `template("wait", "until")` is `steps.<id>.wait.until`."""

    def __init__(self, reading: Reading, id: str, before: Mapping[str, frozenset[str]] | None) -> None:
        """before: of each step, those that have ended when it begins; None: unknown, because the graph has cycles."""
        self._reading = reading
        self._before = before
        self.id = id
        self.at = f"steps.{id}"
        self.step = reading.steps[id]
        self.registered = reading.registered
        self.faults = reading.faults
        self.budget = reading.budget

    def fault(self, key: str, message: str) -> None:
        """key: where in the step, for example `retry.backoff`."""
        self.faults.append(Fault(f"{self.at}.{key}" if key else self.at, message))

    def sound(self, *keys: str | int) -> bool:
        """Whether the structure there is as the format wants it."""
        return self._reading.sound("steps", self.id, *keys)

    def duration(self, *keys: str | int) -> float | None:
        """Seconds; None where there is no duration, or not an allowed one."""
        return self._reading.duration(("steps", self.id, *keys), self._value(keys))

    def template(self, *keys: str | int, roots: tuple[str, ...] = ROOTS) -> Template | None:
        """The template of the value there; None after its faults were added. roots: the names that it may read."""
        at = place(self.at, keys)
        template, expressions = self._reading.template(self._value(keys), at, roots)
        for location, expression in expressions:
            self._references(expression, place(at, location))
        return template

    def condition(self, key: str) -> Expression | None:
        """The expression of an `if`; None where there is none, or after its fault was added."""
        expression = self._expression(key)
        if expression is not None:
            self._references(expression, f"{self.at}.{key}")
        return expression

    def watched(self, *keys: str | int) -> Expression | None:
        """An expression that is decided while the step waits, over steps that go on meanwhile; None where there is
        none, or after its faults were added."""
        expression = self._expression(*keys)
        if expression is None or self._before is None:
            return expression
        at, steps = place(self.at, keys), self._reading.steps
        if not expression.references:
            self._reading.fault(at, "reads no step, so it never changes")
        for other in sorted(expression.references):
            if other not in steps:
                self._reading.fault(at, f'no step "{other}"{did_you_mean(other, steps)}')
            elif other == self.id:
                self._reading.fault(at, "a step cannot wait for itself")
            elif self.id in self._before[other]:
                self._reading.fault(at, f'reads "{other}", which needs "{self.id}": it begins after this wait')
            elif steps[other].get("essential", True) is False and self.step.get("essential", True) is not False:
                message = f'reads "{other}", which is not essential: it runs after the outcome, "{self.id}" before it'
                self._reading.fault(at, message)
        self._reading.reads.append((self.id, expression, at))
        return expression

    def _expression(self, *keys: str | int) -> Expression | None:
        if not self.sound(*keys):
            return None
        source = self._value(keys)
        if source is None:
            return None
        if isinstance(source, bool):
            source = "true" if source else "false"
        try:
            return Expression.compile(unwrap(source))
        except ExpressionError as error:
            self._reading.fault(place(self.at, keys), str(error))
            return None

    def _value(self, keys: tuple[str | int, ...]) -> Any:
        value: Any = self.step
        for key in keys:
            if isinstance(value, list) and isinstance(key, int):
                value = value[key] if key < len(value) else None
            else:
                value = value.get(key) if isinstance(value, dict) else None
        return value

    def _references(self, expression: Expression, at: str) -> None:
        """A step can read only steps that have ended. In a graph with cycles nobody can say which these are."""
        if self._before is None:
            return
        steps = self._reading.steps
        for other in sorted(expression.references):
            if other not in steps:
                self._reading.fault(at, f'no step "{other}"{did_you_mean(other, steps)}')
            elif other == self.id:
                self._reading.fault(at, "a step cannot read its own output")
            elif other not in self._before[self.id]:
                self._reading.fault(at, f'reads "{other}", which "{self.id}" does not need: add it to needs')
        self._reading.reads.append((self.id, expression, at))
