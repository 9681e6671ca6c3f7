"""What an event does: (rules, event, now, known windows) → decisions. Pure; `workflows.events` carries them out.

Note [Windows]
A rule with `dedupe` or `debounce` starts at most one run for a case within its window. A case is the rule and the
business key that it gives (or the rule alone, if it gives none). The first event of a case starts the run and opens the
window: it is open until `now + window`. While it is open, events of the case start nothing. With `debounce` each of
them also makes it last until its own `now + window`: a case that never falls silent starts one run, not one in every
window. `now` is the database's time at which the event is processed, read under the case's lock: no two windows of a
case overlap.

Note [Depth]
An event that a run emitted tells how deep it is: `eripdepth`. A run that an event starts is one deeper than the event,
and one from outside starts runs of depth 1. Past MAX_DEPTH nothing is started: a rule that starts a workflow on the
events of its own runs would go on for ever.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson

from erip.foundation.faults import Fault
from workflows.core.cost import BUDGET_KEY, Budget
from workflows.core.expressions import ExpressionError
from workflows.core.rules import Action, Gathering, Rule, by_workflow, moment_of
from workflows.core.templates import Template

MAX_DEPTH = 8
#: the CloudEvents extension attribute of events that runs emit
DEPTH_ATTRIBUTE = "eripdepth"
MAX_BUSINESS_KEY = 200
#: types for which a book remembers the rules that are about them
_REMEMBERED = 10_000

Event = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """What a window is about."""

    #: 16 bytes (hex) of the rule and the business key
    key: str
    seconds: float
    extends: bool


@dataclass(frozen=True, slots=True)
class Start:
    """The event starts a run."""

    rule: Rule
    input: dict[str, Any]
    business_key: str | None
    lane: str | None
    deadline: datetime | None
    depth: int
    #: None: without a window, it starts in any case
    case: Case | None
    #: the number of the key with which the run is sealed, if its input names nobody; None: it is made for the workflow
    key: int | None = None


@dataclass(frozen=True, slots=True)
class Gather:
    """The event is gathered for a run that starts later (Note [Gathering] in `gathering`)."""

    rule: Rule
    #: 16 bytes (hex) of the rule and what its cases are told apart by
    case: str
    business_key: str | None
    #: what is kept of the event
    value: Any
    #: bytes of it as JSON
    size: int
    depth: int


@dataclass(frozen=True, slots=True)
class Give:
    """The event gives a signal to a run: that of an id, or the one under way for a business key."""

    rule: Rule
    name: str
    payload: Any
    run_id: str | None
    business_key: str | None


@dataclass(frozen=True, slots=True)
class Drop:
    """The event starts nothing: a rule says so."""

    rule: Rule


@dataclass(frozen=True, slots=True)
class Held:
    """The event starts nothing: the window of its case is open."""

    rule: Rule
    until: datetime


@dataclass(frozen=True, slots=True)
class Failed:
    """The rule could not be applied to this event: a dead letter."""

    rule: Rule
    code: str
    faults: tuple[Fault, ...]


Asked = Start | Gather | Give | Drop | Failed
Decision = Start | Gather | Give | Drop | Held | Failed


class RuleBook:
    """All rules, by what they are about. An event that nobody wants costs one dictionary lookup."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        """rules: those of one workflow in the order in which they are asked."""
        self._rules = tuple(rules)
        self._prefixes = tuple(rule.prefix for rule in self._rules if rule.prefix is not None)
        self._known: dict[str, tuple[tuple[Rule, ...], ...]] = {
            rule.event: self._about(rule.event) for rule in self._rules if rule.prefix is None
        }

    @property
    def rules(self) -> tuple[Rule, ...]:
        """All of them; those of one workflow in the order in which they are asked."""
        return self._rules

    @property
    def patterns(self) -> frozenset[str]:
        """The types that some rule is about, or their beginnings with `.*`."""
        return frozenset(rule.event for rule in self._rules)

    def __len__(self) -> int:
        return len(self._rules)

    def wanting(self, type_: str) -> tuple[tuple[Rule, ...], ...]:
        """The rules that may be about events of a type: one group for each workflow."""
        found = self._known.get(type_)
        if found is None:
            if not self._prefixes:
                return ()
            found = self._about(type_)
            # Types come from outside: what is remembered is bounded, whatever they are called.
            if len(self._known) < _REMEMBERED:
                self._known[type_] = found
        return found

    def _about(self, type_: str) -> tuple[tuple[Rule, ...], ...]:
        rules = [
            rule
            for rule in self._rules
            if (type_ == rule.event if rule.prefix is None else type_.startswith(rule.prefix))
        ]
        return tuple(by_workflow(rules))

    def ask(self, event: Event) -> list[Asked]:
        """What each workflow's rules say about an event; workflows without a matching rule are left out."""
        groups = self.wanting(event["type"])
        return [asked for group in groups if (asked := ask(group, event)) is not None] if groups else []


def ask(rules: Sequence[Rule], event: Event, budget: Budget | None = None) -> Asked | None:
    """What the rules of one workflow say: the first that matches decides. None: none does.

    budget: is charged for the expressions.
    """
    budget = budget or Budget()
    budget.renew()
    context = {"event": event, BUDGET_KEY: budget}
    for rule in rules:
        if not rule.is_about(event["type"], event["source"]):
            continue
        if rule.condition is not None:
            try:
                if not rule.condition.test(context):
                    continue
            except ExpressionError as error:
                return Failed(rule, "condition_failed", (Fault("if", str(error)),))
        if rule.action is Action.DROP:
            return Drop(rule)
        return _give(rule, event, context) if rule.action is Action.SIGNAL else _start(rule, event, context)
    return None


def settle(
    starts: Sequence[Start], open_until: Mapping[str, datetime], now: datetime
) -> tuple[list[Start | Held], dict[str, datetime]]:
    """Which of `starts`, in the order of their events, start a run: (decisions, windows that changed).

    open_until: the known windows of their cases; a window that is missing there is closed.
    """
    decisions: list[Start | Held] = []
    changed: dict[str, datetime] = {}
    for start in starts:
        case = start.case
        if case is None:
            decisions.append(start)
            continue
        until = changed.get(case.key) or open_until.get(case.key)
        is_open = until is not None and now < until
        if not is_open or case.extends:
            changed[case.key] = max(until or now, now + timedelta(seconds=case.seconds))
        decisions.append(Held(start.rule, changed.get(case.key) or until or now) if is_open else start)
    return decisions, changed


def decide(
    book: RuleBook, event: Event, now: datetime, open_until: Mapping[str, datetime]
) -> tuple[list[Decision], dict[str, datetime]]:
    """Decide everything about one event: (the decision of each workflow's rules, windows that changed)."""
    asked = book.ask(event)
    settled, changed = settle([one for one in asked if isinstance(one, Start)], open_until, now)
    return [*settled, *(one for one in asked if not isinstance(one, Start))], changed


def depth_of(event: Event) -> int:
    """How many runs came before this event: 0 for one from outside."""
    value = event.get(DEPTH_ATTRIBUTE, 0)
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 10:
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def started_by(type_: str, depth: int) -> str:
    """Who started a run that an event starts: `event:<type>`, and `#<depth>` where the event was a run's own."""
    # A type may look as if it ended with a depth. Then the depth is always written.
    return f"event:{type_[:180]}" if depth == 1 and "#" not in type_ else f"event:{type_[:180]}#{depth}"


def _start(rule: Rule, event: Event, context: Mapping[str, Any]) -> Start | Gather | Failed:
    depth = depth_of(event) + 1
    if depth > MAX_DEPTH:
        message = f"{depth - 1} runs came before this event, each started by an event of the one before: a circle?"
        return Failed(rule, "too_deep", (Fault("", message),))
    if rule.gathering is not None:
        return _gather(rule, rule.gathering, event, context, depth)
    faults: list[Fault] = []
    input_, deadline = input_of(rule, context, faults)
    business_key = business_key_of(_rendered(rule.business_key, context, faults), faults)
    if faults:
        return Failed(rule, "rule_failed", tuple(faults))
    case = None
    if rule.window is not None:
        case = Case(_digest(rule, business_key or ""), rule.window.seconds, rule.window.extends)
    return Start(rule, input_, business_key, rule.lane, deadline, depth, case)


def _gather(rule: Rule, gathering: Gathering, event: Event, context: Mapping[str, Any], depth: int) -> Gather | Failed:
    faults: list[Fault] = []
    business_key = business_key_of(_rendered(rule.business_key, context, faults), faults)
    case = business_key or ""
    if gathering.key is not None:
        key = _rendered(gathering.key, context, faults)
        case = orjson.dumps(key, option=orjson.OPT_SORT_KEYS).decode()
    value = _rendered(gathering.each, context, faults) if gathering.each is not None else event
    if faults:
        return Failed(rule, "rule_failed", tuple(faults))
    return Gather(rule, _digest(rule, case), business_key, value, len(orjson.dumps(value)), depth)


def _give(rule: Rule, event: Event, context: Mapping[str, Any]) -> Give | Failed:
    signalling = rule.signalling
    assert signalling is not None
    faults: list[Fault] = []
    payload = event.get("data")
    if signalling.payload is not None:
        payload = _rendered(signalling.payload, context, faults)
    business_key = business_key_of(_rendered(rule.business_key, context, faults), faults)
    run_id: str | None = None
    if signalling.run is not None:
        value = _rendered(signalling.run, context, faults)
        if not faults:
            try:
                run_id = str(UUID(value))
            except (ValueError, AttributeError, TypeError):
                faults.append(Fault("run", "gave no id of a run"))
    elif business_key is None and not faults:
        faults.append(Fault("business_key", "gave none, so there is no run to find"))
    if faults:
        return Failed(rule, "rule_failed", tuple(faults))
    return Give(rule, signalling.name, payload, run_id, business_key)


def _digest(rule: Rule, case: str) -> str:
    return hashlib.blake2b(f"{rule.key}\0{case}".encode(errors="surrogatepass"), digest_size=16).hexdigest()


def input_of(rule: Rule, context: Mapping[str, Any], faults: list[Fault]) -> tuple[dict[str, Any], datetime | None]:
    """The input and the deadline of the run that a rule starts; what is wrong is added to `faults`."""
    input_ = _rendered(rule.input, context, faults, {})
    if not isinstance(input_, dict):
        faults.append(Fault("input", "gave no object"))
        input_ = {}
    deadline = None
    try:
        deadline = moment_of(_rendered(rule.deadline, context, faults))
    except ValueError as error:
        faults.append(Fault("deadline", str(error)))
    return input_, deadline


def _rendered(template: Template | None, context: Mapping[str, Any], faults: list[Fault], instead: Any = None) -> Any:
    if template is None:
        return instead
    try:
        return template.render(context)
    except ExpressionError as error:
        path, _, message = str(error).partition(": ")  # the message names its place itself
        faults.append(Fault(path, message))
        return instead


def business_key_of(value: Any, faults: list[Fault]) -> str | None:
    """What a rule's expression gave, as a business key; what is wrong is added to `faults`."""
    if value is None or value == "":
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        faults.append(Fault("business_key", "gave no text"))
        return None
    if len(value) > MAX_BUSINESS_KEY:
        faults.append(Fault("business_key", f"gave {len(value)} characters; it has at most {MAX_BUSINESS_KEY}"))
        return None
    return value
