"""The rules of `on`: from their text to rules that can be asked, or every fault at once.

A rule says which events it is about and what they do: start a run, or drop (start none). The rules of one workflow
are asked in order, and the first that matches decides, as in a decision table.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from enum import StrEnum
from typing import Any

import orjson

from erip.foundation.faults import Fault, join
from workflows.core import format, formats, step_input
from workflows.core.durations import MAX_SECONDS, MIN_SECONDS, OUT_OF_BOUNDS, NotADuration, parse_duration
from workflows.core.expressions import EVENT_ROOTS, Expression, ExpressionError
from workflows.core.schema import Schema
from workflows.core.shapes import Budget, Shape
from workflows.core.structure import fault_of
from workflows.core.templates import Template, is_one_expression, unwrap

_RULE = Schema.compile(format.RULE)
_LIMIT = 200
#: keys that say something about the run that is started
_OF_A_START = ("input", "business_key", "lane", "deadline", "dedupe", "debounce")


class Action(StrEnum):
    START = "start"
    DROP = "drop"


@dataclass(frozen=True, slots=True)
class Window:
    """For how long after a start nothing more is started for the same case."""

    #: seconds
    seconds: float
    #: debounce: every event of the case in the meantime makes the window longer
    extends: bool


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule that is ready to use. Only `compile_rule` makes it, and checks what is promised here."""

    #: 16 bytes (hex) made of its content and its workflow: the same rule has the same key in the next version
    key: str
    #: where it stands, in words for its author: `vulnerability-response: on[0]`, `trigger quiet-nights`
    label: str
    workflow: str
    #: a type, or the beginning of types with `.*` behind it
    event: str
    #: a source, or the beginning of sources with `*` behind it; None: any
    source: str | None
    condition: Expression | None
    action: Action
    input: Template
    business_key: Template | None
    lane: str | None
    deadline: Template | None
    window: Window | None

    @property
    def prefix(self) -> str | None:
        """The beginning that all types of a pattern share; None: it is about one type."""
        return self.event[:-1] if self.event.endswith(".*") else None

    def is_about(self, type_: str, source: str) -> bool:
        prefix = self.prefix
        if not (type_ == self.event if prefix is None else type_.startswith(prefix)):
            return False
        if self.source is None:
            return True
        return source.startswith(self.source[:-1]) if self.source.endswith("*") else source == self.source


def compile_rule(
    document: Any, workflow: str, schema: Schema | None, *, at: str, label: str, budget: Budget | None = None
) -> tuple[Rule | None, list[Fault]]:
    """(the rule or None, every fault with its path under `at`). schema: of the workflow's input, where it is known.

    budget: for a closer look at its `input`, when it is published.
    """
    faults = [fault_of(violation, format.RULE, at=at) for violation in _RULE.violations(document, limit=_LIMIT)]
    if faults:
        return None, faults
    return _Check(document, workflow, schema, at, label, budget).rule()


def compile_rules(
    document: Any, workflow: str, schema: Schema | None, *, at: str = "on", budget: Budget | None = None
) -> tuple[tuple[Rule, ...], list[Fault]]:
    """The rules of a definition: a list of them, or one. The form of each is sound already, or reported anyway."""
    if isinstance(document, dict):
        places = [(document, at)]
    else:
        places = [(rule, join(at, index)) for index, rule in enumerate(document)]
    found: list[Rule] = []
    faults: list[Fault] = []
    seen: dict[str, str] = {}
    for rule_document, where in places:
        label = f"{workflow}: {where}"
        rule, wrong = compile_rule(rule_document, workflow, schema, at=where, label=label, budget=budget)
        faults.extend(wrong)
        if rule is None:
            continue
        if rule.key in seen:
            faults.append(Fault(where, f"says the same as {seen[rule.key]}"))
        seen.setdefault(rule.key, where)
        found.append(rule)
    return tuple(found), faults


class _Check:
    def __init__(
        self,
        document: dict[str, Any],
        workflow: str,
        schema: Schema | None,
        at: str,
        label: str,
        budget: Budget | None,
    ) -> None:
        self.document = document
        self.workflow = workflow
        self.schema = schema
        self.at = at
        self.label = label
        self.budget = budget
        self.faults: list[Fault] = []

    def rule(self) -> tuple[Rule | None, list[Fault]]:
        document = self.document
        action = self._action()
        condition = self._condition()
        input_ = self._template("input", {})
        business_key = self._template("business_key") if "business_key" in document else None
        deadline = self._deadline() if "deadline" in document else None
        window = self._window()
        if action is Action.DROP:
            for key in _OF_A_START:
                if key in document:
                    self._fault(key, "goes with the action start; this rule drops")
        elif action is Action.START and input_ is not None and self.schema is not None:
            shape = Shape.of(self.schema.document, self.budget) if self.budget else None
            self.faults.extend(step_input.check(input_, self.schema, at=join(self.at, "input"), shape=shape))
        if self.faults or action is None or input_ is None:
            return None, self.faults
        rule = Rule(
            key=rule_key(self.workflow, document),
            label=self.label,
            workflow=self.workflow,
            event=document["event"],
            source=document.get("source"),
            condition=condition,
            action=action,
            input=input_,
            business_key=business_key,
            lane=document.get("lane"),
            deadline=deadline,
            window=window,
        )
        return rule, []

    def _fault(self, key: str, message: str) -> None:
        self.faults.append(Fault(f"{self.at}.{key}" if self.at else key, message))

    def _action(self) -> Action | None:
        later = "signals to waiting runs are not there yet; it is reserved for them: start and drop are"
        if "signal" in self.document:
            self._fault("signal", later)
        name = self.document.get("action", "start")
        if name == "signal":
            self._fault("action", later)
            return None
        return Action(name)

    def _condition(self) -> Expression | None:
        source = self.document.get("if", True)
        if isinstance(source, bool):
            source = "true" if source else "false"
        try:
            compiled = Expression.compile(unwrap(source), roots=EVENT_ROOTS)
        except ExpressionError as error:
            self._fault("if", str(error))
            return None
        return None if compiled.source == "true" else compiled

    def _template(self, key: str, default: Any = None) -> Template | None:
        value = self.document.get(key, default)
        # Faults found while rendering have a path within the rule; faults found now have one within the definition.
        template, faults, _ = Template.check(value, at=key, roots=EVENT_ROOTS)
        for fault in faults:
            self._fault(fault.path, fault.message)
        if key == "input" and isinstance(value, str) and template is not None and not is_one_expression(value):
            self._fault(key, "is not an object, or one ${{ expression }} that gives an object")
        return template

    def _deadline(self) -> Template | None:
        template = self._template("deadline")
        if template is not None and template.constant:
            try:
                moment_of(template.render({}))
            except ValueError as error:
                self._fault("deadline", str(error))
        return template

    def _window(self) -> Window | None:
        found = [key for key in ("dedupe", "debounce") if key in self.document]
        if len(found) == 2:
            self._fault("debounce", "does not go with dedupe: choose one")
        for key in found:
            try:
                seconds = parse_duration(self.document[key])
            except NotADuration as error:
                self._fault(key, str(error))
                continue
            if not MIN_SECONDS <= seconds <= MAX_SECONDS:
                self._fault(key, OUT_OF_BOUNDS)
            else:
                return Window(seconds, extends=key == "debounce")
        return None


def rule_key(workflow: str, document: dict[str, Any]) -> str:
    """16 bytes (hex) of a rule's canonical JSON and its workflow."""
    text = orjson.dumps([workflow, document], option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(text, digest_size=16).hexdigest()


def moment_of(value: Any) -> datetime | None:
    """A deadline as a moment: null means no deadline, a date means the end of that day in UTC. Raises ValueError."""
    if value is None:
        return None
    if isinstance(value, str):
        try:
            if len(value) == 10:
                return datetime.combine(formats.day(value), time(23, 59, 59), UTC)
            return formats.moment(value)
        except ValueError:
            pass
    raise ValueError("is not a date (2026-11-30) or a moment with its time zone (2026-11-30T12:00:00Z)")


def by_workflow(rules: Sequence[Rule]) -> list[tuple[Rule, ...]]:
    """The rules of each workflow, in their order."""
    found: dict[str, list[Rule]] = {}
    for rule in rules:
        found.setdefault(rule.workflow, []).append(rule)
    return [tuple(group) for group in found.values()]
