"""From the text of a definition to a Graph that is fit to run, or every fault at once.

`parse` reads the text, `validate` checks the document and compiles it. Both report all that they find. What depends on
other parts being right (what a step may refer to, given a graph without cycles) is checked once those are.
"""

import sys
from collections.abc import Iterable, Mapping
from fractions import Fraction
from types import MappingProxyType
from typing import Any

from erip.foundation.faults import Fault
from workflows.core import format, ordering, rules, step_input
from workflows.core.durations import MAX_SECONDS, MIN_SECONDS, OUT_OF_BOUNDS, NotADuration, parse_duration
from workflows.core.expressions import ITEM_ROOTS, ROOTS, Expression, ExpressionError, Path, write_path
from workflows.core.graph import FanOut, Graph, Retry, StepInfo, StepNode
from workflows.core.schema import Schema, SchemaInvalid, place
from workflows.core.source import Media, SourceInvalid, content_hash, read
from workflows.core.structure import did_you_mean, fault_of
from workflows.core.templates import Expressions, Template, is_one_expression, unwrap

__all__ = ["SCHEMA", "DefinitionInvalid", "content_hash", "parse", "validate"]

SCHEMA = format.SCHEMA
_SCHEMA = Schema.compile(SCHEMA)
_STEP: dict[str, Any] = SCHEMA["properties"]["steps"]["patternProperties"][format.STEP_ID]
#: more than an author reads at once
MAX_FAULTS = 200


class DefinitionInvalid(ValueError):
    """The definition cannot be published; `faults` lists everything that is wrong, each with its place."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        every = list(dict.fromkeys(faults))
        self.faults = every[:MAX_FAULTS]
        if len(every) > MAX_FAULTS:
            self.faults.append(Fault("", f"and {len(every) - MAX_FAULTS:,} more"))
        super().__init__("; ".join(map(str, self.faults)))


def parse(source: str | bytes, media: Media) -> dict[str, Any]:
    """The document in a YAML or JSON text of at most 256 KiB; raises DefinitionInvalid."""
    try:
        return read(source, media)
    except SourceInvalid as error:
        raise DefinitionInvalid(error.faults) from error


def validate(document: dict[str, Any], steps: Mapping[str, StepInfo]) -> Graph:
    """The graph that `document` describes, over the registered `steps`; raises DefinitionInvalid with every fault."""
    return _Check(document, steps).graph()


class _Check:
    """One pass over one document. Each method reads one part and adds what is wrong with it to `faults`."""

    def __init__(self, document: dict[str, Any], registered: Mapping[str, StepInfo]) -> None:
        self.registered = registered
        self.faults: list[Fault] = []
        violations = _SCHEMA.violations(document, limit=sys.maxsize)  # all: what is not broken is relied on
        self.faults.extend(fault_of(violation, SCHEMA) for violation in violations)
        self.broken = {violation.location for violation in violations}
        self.document = document if isinstance(document, dict) else {}
        steps = self.document.get("steps")
        self.steps: dict[str, dict[str, Any]] = {
            str(id): step if isinstance(step, dict) else {}
            for id, step in (steps.items() if isinstance(steps, dict) else ())
        }

    def graph(self) -> Graph:
        needs = {id: self._needs(id, step) for id, step in self.steps.items()}
        circles = ordering.cycles(needs)
        for circle in circles:
            self._fault(f"steps.{circle[-2]}.needs", f"cycle {' -> '.join(circle)}")
        order = list(self.steps) if circles else ordering.topological(needs)
        known = None if circles else ordering.ancestors(needs, order)
        self._essential(needs)
        input_check = self._input()
        nodes = {id: self._step(id, needs[id], known) for id in order if ("steps", id) not in self.broken}
        output = self._output()
        on = self._on(input_check)
        timeout = self._duration(("timeout",), self.document.get("timeout"))
        if self.faults:
            raise DefinitionInvalid(self.faults)
        return Graph(
            name=self.document["name"],
            lane=self.document.get("lane", format.DEFAULT_LANE),
            timeout=timeout,
            input_schema=self.document.get("input"),
            steps=MappingProxyType({id: node for id, node in nodes.items() if node}),
            output=output,
            dependents=MappingProxyType(_dependents(needs, order)),
            description=self.document.get("description", ""),
            input_check=input_check,
            rules=on,
        )

    def _fault(self, path: str, message: str) -> None:
        self.faults.append(Fault(path, message))

    def _sound(self, *location: str | int) -> bool:
        """Whether the structure at a place is as the format wants it."""
        return not any(place[: len(location)] == location for place in self.broken)

    # --- the graph

    def _needs(self, id: str, step: dict[str, Any]) -> tuple[str, ...]:
        """The steps that `id` needs, as far as they exist."""
        needs, found = step.get("needs", []), []
        if not isinstance(needs, list):
            return ()
        for index, need in enumerate(needs):
            at = f"steps.{id}.needs[{index}]"
            if not isinstance(need, str):
                continue  # the structure's fault
            if need not in self.steps:
                self._fault(at, f'no step "{need}"{did_you_mean(need, self.steps)}')
            elif need == id:
                self._fault(at, "a step cannot need itself")
            elif need not in found:
                found.append(need)
        return tuple(found)

    def _essential(self, needs: Mapping[str, tuple[str, ...]]) -> None:
        essential = {id for id, step in self.steps.items() if step.get("essential", True) is not False}
        for id in self.steps:
            for need in needs[id]:
                if id in essential and need not in essential:
                    at = f"steps.{id}.needs[{self.steps[id]['needs'].index(need)}]"
                    self._fault(at, f'"{need}" is not essential: it runs after the outcome, "{id}" before it')
        if self.steps and not essential:
            self._fault("steps", "at least one step must be essential: the run's outcome is theirs")

    # --- the parts of a step

    def _step(self, id: str, needs: tuple[str, ...], known: Mapping[str, frozenset[str]] | None) -> StepNode | None:
        step, at = self.steps[id], f"steps.{id}"
        info = self._uses(step, at)
        template: Template | None = None
        expressions: Expressions = ()
        if "with" in step and self._sound("steps", id, "with"):
            roots = (*ROOTS, *ITEM_ROOTS) if "foreach" in step else ROOTS
            template, expressions = self._template(step["with"], f"{at}.with", roots)
        condition = self._condition(step, id, at)
        fan_out, sources = self._fan_out(step, id, at)
        if known is not None:
            if condition is not None:
                self._references(condition, id, known[id], f"{at}.if")
            for location, expression in expressions:
                self._references(expression, id, known[id], place(f"{at}.with", location))
            for location, expression in sources:
                self._references(expression, id, known[id], place(f"{at}.foreach", location))
        if info is not None and ("with" not in step or template is not None):
            self._step_input(template, info, f"{at}.with")
        timeout = self._duration(("steps", id, "timeout"), step.get("timeout"))
        retry = self._retry(id, step.get("retry"), info)
        if info is None:
            return None
        if step.get("idempotent") is True and not info.idempotent:
            self._fault(f"{at}.idempotent", f"{info.name} is not idempotent: a definition can only tighten that")
        return StepNode(
            id=id,
            uses=info.name,
            needs=needs,
            with_=template,
            condition=condition,
            essential=step.get("essential", True) is not False,
            timeout=timeout if timeout is not None else float(info.timeout),
            retry=retry,
            idempotent=info.idempotent and step.get("idempotent", True) is not False,
            transactional=info.transactional,
            fan_out=fan_out,
        )

    def _uses(self, step: dict[str, Any], at: str) -> StepInfo | None:
        name = step.get("uses")
        if not isinstance(name, str) or not name:
            return None
        if name not in self.registered:
            hint = did_you_mean(name, self.registered)
            self._fault(f"{at}.uses", f'no step named "{name}" is registered{hint}')
            return None
        return self.registered[name]

    def _step_input(self, template: Template | None, info: StepInfo, at: str) -> None:
        try:
            schema = Schema.compile(info.input_schema)
        except SchemaInvalid as error:
            self._fault(at, f"the input schema of {info.name} is not usable: {error}")
            return
        self.faults.extend(step_input.check(template, schema, at=at))

    def _condition(self, step: dict[str, Any], id: str, at: str) -> Expression | None:
        if "if" not in step or not self._sound("steps", id, "if"):
            return None
        source = step["if"]
        if isinstance(source, bool):
            source = "true" if source else "false"
        try:
            return Expression.compile(unwrap(source))
        except ExpressionError as error:
            self._fault(f"{at}.if", str(error))
            return None

    def _fan_out(self, step: dict[str, Any], id: str, at: str) -> tuple[FanOut | None, Expressions]:
        if "foreach" not in step:
            for key in ("max_parallel", "tolerated_failures"):
                if key in step:
                    self._fault(f"{at}.{key}", "goes with foreach, which this step does not have")
            return None, ()
        if not self._sound("steps", id, "foreach"):
            return None, ()
        foreach, expressions = self._template(step["foreach"], f"{at}.foreach")
        if foreach is None:
            return None, expressions
        if isinstance(step["foreach"], str) and (foreach.constant or not is_one_expression(step["foreach"])):
            self._fault(f"{at}.foreach", "is not a list, or one ${{ expression }} that gives a list")
        max_parallel, given = format.DEFAULT_MAX_PARALLEL, step.get("tolerated_failures", 0)
        if self._sound("steps", id, "max_parallel"):
            max_parallel = int(step.get("max_parallel", max_parallel))
        tolerated: int | Fraction = 0
        if self._sound("steps", id, "tolerated_failures"):
            tolerated = Fraction(given.removesuffix("%")) / 100 if isinstance(given, str) else int(given)
        return FanOut(foreach, max_parallel, tolerated), expressions

    def _retry(self, id: str, given: Any, info: StepInfo | None) -> Retry:
        default = (info.retry if info else None) or Retry()
        if not isinstance(given, dict) or not self._sound("steps", id, "retry"):
            return default
        backoff = self._duration(("steps", id, "retry", "backoff"), given.get("backoff"))
        max_delay = self._duration(("steps", id, "retry", "max_delay"), given.get("max_delay"))
        return Retry(
            max_attempts=int(given.get("max_attempts", default.max_attempts)),
            backoff=default.backoff if backoff is None else backoff,
            factor=float(given.get("factor", default.factor)),
            max_delay=default.max_delay if max_delay is None else max_delay,
        )

    def _duration(self, location: tuple[str, ...], value: Any) -> float | None:
        if value is None or not self._sound(*location):
            return None
        try:
            seconds = parse_duration(value)
        except NotADuration as error:
            self._fault(place("", location), str(error))
            return None
        if not MIN_SECONDS <= seconds <= MAX_SECONDS:
            self._fault(place("", location), OUT_OF_BOUNDS)
        return seconds

    # --- expressions

    def _template(self, value: Any, at: str, roots: tuple[str, ...] = ROOTS) -> tuple[Template | None, Expressions]:
        template, faults, expressions = Template.check(value, at=at, roots=roots)
        self.faults.extend(faults)
        return template, expressions

    def _references(self, expression: Expression, id: str, known: frozenset[str], at: str) -> None:
        for other in sorted(expression.references):
            if other not in self.steps:
                self._fault(at, f'no step "{other}"{did_you_mean(other, self.steps)}')
            elif other == id:
                self._fault(at, "a step cannot read its own output")
            elif other not in known:
                self._fault(at, f'reads "{other}", which "{id}" does not need: add it to needs')
        self._input_paths(expression, at)

    def _input_paths(self, expression: Expression, at: str) -> None:
        """A path into the input that the input's schema rules out is a slip of the pen."""
        for path in expression.paths:
            if path[0] == "input" and (unknown := _ruled_out(self.document.get("input"), path)):
                self._fault(at, f"the input has no {unknown}: its schema allows no such key")

    def _output(self) -> Template | None:
        if "output" not in self.document:
            return None
        template, expressions = self._template(self.document["output"], "output")
        for location, expression in expressions:
            at = place("output", location)
            for other in sorted(expression.references):
                if other not in self.steps:
                    self._fault(at, f'no step "{other}"{did_you_mean(other, self.steps)}')
                elif self.steps[other].get("essential", True) is False:
                    self._fault(at, f'reads "{other}", which is not essential: it runs after the outcome')
            self._input_paths(expression, at)
        return template

    def _on(self, input_check: Schema | None) -> tuple[rules.Rule, ...]:
        name = self.document.get("name")
        document = self.document.get("on")
        if not isinstance(document, list | dict):
            return ()
        found, faults = rules.compile_rules(document, str(name), input_check)
        self.faults.extend(faults)
        return found

    def _input(self) -> Schema | None:
        if "input" not in self.document or not self._sound("input"):
            return None
        try:
            return Schema.compile(self.document["input"], at="input")
        except SchemaInvalid as error:
            self.faults.extend(error.faults)
            return None


def _ruled_out(schema: Any, path: Path) -> str | None:
    """The first part of `path` that a schema of closed objects does not have; None when all may be there."""
    for depth, key in enumerate(path[1:], start=1):
        if not isinstance(schema, dict) or schema.get("additionalProperties") is not False:
            return None
        known = schema.get("properties")
        if not isinstance(known, dict) or "patternProperties" in schema or not isinstance(key, str):
            return None
        if key not in known:
            return write_path(path[: depth + 1])
        schema = known[key]
    return None


def _dependents(needs: Mapping[str, tuple[str, ...]], order: list[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {id: [] for id in order}
    for id in order:
        for need in needs[id]:
            found[need].append(id)
    return {id: tuple(after) for id, after in found.items()}
