"""The rules of `on`: from their text to rules that can be asked, or every fault at once.

A rule says which events it is about and what they do: start a run, drop (start none), or give a run a signal. The rules
of one workflow are asked in order, and the first that matches decides, as in a decision table.
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from enum import StrEnum
from typing import Any

import orjson

from erip.foundation.faults import Fault, join
from workflows.core import format, formats, step_input
from workflows.core.durations import MAX_SECONDS, MIN_SECONDS, OUT_OF_BOUNDS, NotADuration, parse_duration
from workflows.core.expressions import EVENT_ROOTS, GATHERED_ROOTS, Expression, ExpressionError
from workflows.core.schema import Schema
from workflows.core.shapes import Budget, Shape
from workflows.core.structure import did_you_mean, fault_of
from workflows.core.templates import Template, is_one_expression, unwrap

_RULE = Schema.compile(format.RULE)
_LIMIT = 200
#: keys that say something about the run that is started
_OF_A_START = ("input", "lane", "deadline", "dedupe", "debounce", "collect")
#: keys that say something about a signal
_OF_A_SIGNAL = ("signal", "payload", "run", "if_none")
#: keys of which a rule has one
_ONE_OF = ("dedupe", "debounce", "collect")
#: the format level of rules that gather events or give signals (Note [Format levels] in `core/kinds`)
_LEVEL = 4
#: seconds for which events may be gathered
MAX_GATHERING = 7 * 86_400.0


class Action(StrEnum):
    START = "start"
    DROP = "drop"
    SIGNAL = "signal"


@dataclass(frozen=True, slots=True)
class Window:
    """For how long after a start nothing more is started for the same case."""

    #: seconds
    seconds: float
    #: debounce: every event of the case in the meantime makes the window longer
    extends: bool


@dataclass(frozen=True, slots=True)
class Gathering:
    """Events of a case are gathered, and one run is started for all of them (Note [Gathering] in `gathering`)."""

    #: collect: all events; otherwise (debounce) the last one and how many there were
    all: bool
    #: seconds from the first event (collect), or from the last one
    seconds: float
    #: debounce: seconds from the first event
    most_seconds: float
    #: collect: with so many it starts at once
    most_events: int
    #: what tells cases apart; None: the business key
    key: Template | None
    #: collect: what is kept of each event; None: all of it
    each: Template | None


@dataclass(frozen=True, slots=True)
class Signalling:
    """The rule gives a signal to one run: that of an id, or the one under way for a business key."""

    name: str
    payload: Template | None
    run: Template | None
    #: whether an event for which no run is under way, or wants the signal, is nothing to report
    ignores: bool


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
    gathering: Gathering | None
    signalling: Signalling | None
    #: what it was made of
    document: dict[str, Any]

    @property
    def level(self) -> int:
        """The format level that a process must know to apply it."""
        return _LEVEL if self.gathering or self.signalling else 1

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
        action = Action(document.get("action", "start"))
        condition = self._condition()
        gathering = self._gathering()
        roots = EVENT_ROOTS if gathering is None else GATHERED_ROOTS[gathering.all]
        input_ = self._template("input", {}, roots=roots)
        business_key = self._template("business_key") if "business_key" in document else None
        deadline = self._deadline(roots) if "deadline" in document else None
        window = self._window()
        signalling = self._signalling() if action is Action.SIGNAL else None
        self._keys_of_others(action)
        if action is Action.START and input_ is not None and self.schema is not None:
            shape = Shape.of(self.schema.document, self.budget) if self.budget else None
            self.faults.extend(step_input.check(input_, self.schema, at=join(self.at, "input"), shape=shape))
        if self.faults or input_ is None:
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
            gathering=gathering,
            signalling=signalling,
            document=document,
        )
        return rule, []

    def _fault(self, key: str, message: str) -> None:
        self.faults.append(Fault(f"{self.at}.{key}" if self.at else key, message))

    def _keys_of_others(self, action: Action) -> None:
        """Keys that go with another action, and those of which there may be one."""
        wrong = {
            Action.START: _OF_A_SIGNAL,
            Action.DROP: (*_OF_A_START, "business_key", *_OF_A_SIGNAL),
            Action.SIGNAL: _OF_A_START,
        }[action]
        does = {Action.START: "starts a run", Action.DROP: "drops", Action.SIGNAL: "gives a signal"}[action]
        for key in wrong:
            if key in self.document:
                goes_with = "signal" if key in _OF_A_SIGNAL else "start"
                if key == "business_key":
                    goes_with = "start or signal"
                self._fault(key, f"goes with the action {goes_with}; this rule {does}")
        found = [key for key in _ONE_OF if key in self.document]
        for key in found[1:]:
            self._fault(key, f"does not go with {found[0]}: choose one")

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

    def _template(self, key: str, default: Any = None, *, roots: tuple[str, ...] = EVENT_ROOTS) -> Template | None:
        return self._compiled(key, self.document.get(key, default), roots)

    def _compiled(self, key: str, value: Any, roots: tuple[str, ...] = EVENT_ROOTS) -> Template | None:
        # Faults found while rendering have a path within the rule; faults found now have one within the definition.
        template, faults, _ = Template.check(value, at=key, roots=roots)
        for fault in faults:
            self._fault(fault.path, fault.message)
        if key == "input" and isinstance(value, str) and template is not None and not is_one_expression(value):
            self._fault(key, "is not an object, or one ${{ expression }} that gives an object")
        return template

    def _deadline(self, roots: tuple[str, ...]) -> Template | None:
        template = self._template("deadline", roots=roots)
        if template is not None and template.constant:
            try:
                moment_of(template.render({}))
            except ValueError as error:
                self._fault("deadline", str(error))
        return template

    def _window(self) -> Window | None:
        for key in ("dedupe", "debounce"):
            if key in self.document and not isinstance(self.document[key], dict):
                seconds = self._duration(key, self.document[key], MAX_SECONDS, OUT_OF_BOUNDS)
                return Window(seconds, extends=key == "debounce") if seconds is not None else None
        return None

    def _gathering(self) -> Gathering | None:
        key = next((key for key in ("collect", "debounce") if isinstance(self.document.get(key), dict)), None)
        if key is None:
            return None
        given, all_ = self.document[key], key == "collect"
        most = "events are gathered for 1ms at least and 7 days at most"
        seconds = self._duration(f"{key}.for", given["for"], MAX_GATHERING, most)
        most_seconds = 0.0 if all_ else self._duration(f"{key}.max", given["max"], MAX_GATHERING, most)
        if seconds is not None and most_seconds is not None and not all_ and most_seconds < seconds:
            self._fault(f"{key}.max", "is less than for")
        case = self._compiled(f"{key}.key", given["key"]) if "key" in given else None
        each = self._compiled(f"{key}.each", given["each"]) if "each" in given else None
        return Gathering(all_, seconds or 1.0, most_seconds or 0.0, given["max"] if all_ else 0, case, each)

    def _duration(self, key: str, value: Any, most: float, beyond: str) -> float | None:
        try:
            seconds = parse_duration(value)
        except NotADuration as error:
            self._fault(key, str(error))
            return None
        if not MIN_SECONDS <= seconds <= most:
            self._fault(key, beyond)
            return None
        return seconds

    def _signalling(self) -> Signalling:
        document = self.document
        if "signal" not in document:
            self._fault("signal", "is required with the action signal")
        if ("run" in document) == ("business_key" in document):
            self._fault("run", "give either business_key or run: they say which run is given the signal")
        payload = self._template("payload") if "payload" in document else None
        run = self._template("run") if "run" in document else None
        return Signalling(document.get("signal", ""), payload, run, document.get("if_none") == "ignore")


def unknown_signal(name: str, known: Collection[str]) -> str:
    """What is wrong with a signal that no step waits for. known: the signals that steps wait for."""
    waits = f"they wait for {', '.join(sorted(known)[:20])}" if known else "they wait for none"
    return f'no step waits for "{name}"{did_you_mean(name, known)}: {waits}'


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
