"""A decision table, and what it decides. `document` reads one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from erip.foundation.faults import Fault
from workflows.core.tables import values
from workflows.core.tables.columns import BadFact, Column, Input
from workflows.core.tables.feel import Expression, Literal, Tests
from workflows.core.tables.testing import Facts, evaluate
from workflows.core.tables.values import Kind, kind_of

#: cells of outputs that a table remembers with its decisions: an output may be a list of all that its rules say
_REMEMBERED: Final = 100_000


class Policy(StrEnum):
    UNIQUE = "UNIQUE"  # one rule at most matches
    FIRST = "FIRST"  # the first that matches
    PRIORITY = "PRIORITY"  # the one whose output stands first in the outputs' values
    ANY = "ANY"  # all that match say the same
    COLLECT = "COLLECT"  # all that match, in no order, or one number made of them
    RULE_ORDER = "RULE ORDER"  # all that match, in their order
    OUTPUT_ORDER = "OUTPUT ORDER"  # all that match, in the order of the outputs' values


class Aggregation(StrEnum):
    SUM = "SUM"
    MIN = "MIN"
    MAX = "MAX"
    COUNT = "COUNT"


class FactsInvalid(ValueError):
    """The facts are not what the table takes; `faults` names every one."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(str(fault) for fault in faults))
        self.faults = list(faults)


@dataclass(frozen=True, slots=True)
class Output:
    """An output. allowed: its values, the one with the highest priority first; default: if no rule matches."""

    name: str
    kind: Kind | None = None
    allowed: tuple[Any, ...] = ()
    default: Expression | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """when: a cell for each input; then: an expression for each output."""

    id: str
    when: tuple[Tests, ...]
    then: tuple[Expression, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """What a table says. output: a value, or an object by the outputs' names if there are several; a list of these for
    a policy that gives all. rules: the places of the rules that matched, from 0, in the order of the policy; those that
    made the output come first. fault: why there is no output though rules matched; "" otherwise. Shared: do not change
    what is in it."""

    output: Any
    rules: tuple[int, ...]
    fault: str = ""

    @property
    def is_decided(self) -> bool:
        """Whether the output is what a rule or a default says."""
        return not self.fault and (bool(self.rules) or self.output is not None)


@dataclass(frozen=True)
class Table:
    """Any thread may ask it."""

    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    rules: tuple[Rule, ...]
    policy: Policy = Policy.UNIQUE
    aggregation: Aggregation | None = None
    columns: tuple[Column, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Bit i is the rule that comes i-th in the order of the policy.
        order = list(range(len(self.rules)))
        if self.policy in (Policy.PRIORITY, Policy.OUTPUT_ORDER):
            among = [values.Among(output.allowed) for output in self.outputs]
            order.sort(key=lambda place: self._priority(self.rules[place], among))
        put = object.__setattr__
        put(self, "_order", tuple(order))
        put(self, "columns", tuple(
            Column(given, tuple(self.rules[place].when[at] for place in order)) for at, given in enumerate(self.inputs)
        ))  # fmt: skip
        put(self, "_asks", tuple(column.mask for column in self.columns))
        put(self, "_known", {})
        put(self, "_room", _REMEMBERED)
        put(self, "_all", (1 << len(order)) - 1)
        put(self, "_still", all(isinstance(one, Literal) for one in self._expressions()))

    def _expressions(self) -> list[Expression]:
        defaults = [one.default for one in self.outputs if one.default is not None]
        return [*defaults, *(one for rule in self.rules for one in rule.then)]

    def _priority(self, rule: Rule, among: Sequence[values.Among]) -> tuple[int, ...]:
        found = []
        for output, listed, said in zip(self.outputs, among, rule.then, strict=True):
            if output.allowed and isinstance(said, Literal):
                place = listed.place(said.value)
                found.append(len(output.allowed) if place is None else place)
        return tuple(found)

    def decide(self, facts: Facts) -> Decision:
        """What the table says about these facts. Raises FactsInvalid."""
        mask: int = self._all  # type: ignore[attr-defined]
        asks: tuple[Callable[[Facts], int], ...] = self._asks  # type: ignore[attr-defined]
        try:
            for ask in asks:
                mask &= ask(facts)
        except BadFact:
            raise FactsInvalid(self.fact_faults(facts)) from None
        known: dict[int, Decision] = self._known  # type: ignore[attr-defined]
        found = known.get(mask)
        if found is None:
            found = self._decide(mask, facts)
            room: int = self._room  # type: ignore[attr-defined]
            if self._still and room > 0:  # type: ignore[attr-defined]
                known[mask] = found
                object.__setattr__(self, "_room", room - (1 + len(found.rules)) * len(self.outputs))
        return found

    def fact_faults(self, facts: Facts) -> list[Fault]:
        """What is wrong with these facts, if anything. Facts that the table does not ask for are no fault."""
        faults = []
        for column in self.columns:
            try:
                column.mask(facts)
            except BadFact as error:
                faults.append(Fault(".".join(column.input.path), str(error)))
        return faults

    def matching(self, facts: Facts) -> int:
        """The rules that match, as bits in the order of the policy. Raises BadFact."""
        mask: int = self._all  # type: ignore[attr-defined]
        for column in self.columns:
            mask &= column.mask(facts)
        return mask

    def place(self, bit: int) -> int:
        """The place, among the rules, of the one that bit number `bit` stands for."""
        order: tuple[int, ...] = self._order  # type: ignore[attr-defined]
        return order[bit]

    def _decide(self, mask: int, facts: Facts) -> Decision:
        if not mask:
            # The aggregation of nothing is nothing known, but counting it is 0 (DMN 1.5, 8.2.10).
            if self.aggregation is Aggregation.COUNT:
                return Decision(0, ())
            defaults = [one.default for one in self.outputs]
            if any(one is not None for one in defaults):
                said = tuple(Literal(None) if one is None else one for one in defaults)
                return Decision(self._output(said, facts), ())
            return Decision(None, ())
        bits = [bit for bit in range(len(self.rules)) if mask >> bit & 1]
        rules = tuple(self.place(bit) for bit in bits)
        first = self.rules[rules[0]]
        match self.policy:
            case Policy.FIRST | Policy.PRIORITY:
                return Decision(self._output(first.then, facts), rules)
            case Policy.UNIQUE:
                if len(rules) > 1:
                    return Decision(None, rules, f"{self._named(rules)} match, but one rule at most may")
                return Decision(self._output(first.then, facts), rules)
            case Policy.ANY:
                same = [self._output(self.rules[rule].then, facts) for rule in rules]
                if any(values.equal(one, same[0]) is not True for one in same):
                    return Decision(None, rules, f"{self._named(rules)} match and do not say the same")
                return Decision(same[0], rules)
        outputs = [self._output(self.rules[rule].then, facts) for rule in rules]
        if self.aggregation is None:
            return Decision(outputs, rules)
        return self._aggregated(outputs, rules)

    def _aggregated(self, outputs: list[Any], rules: tuple[int, ...]) -> Decision:
        if self.aggregation is Aggregation.COUNT:
            return Decision(len(outputs), rules)
        kinds = {kind_of(one) for one in outputs}
        allowed = {Kind.NUMBER} if self.aggregation is Aggregation.SUM else values.ORDERED
        if len(kinds) > 1 or not kinds <= allowed:
            return Decision(None, rules, f"{self.aggregation} of outputs that are not all of one kind with an order")
        if self.aggregation is Aggregation.SUM:
            return Decision(values.add(outputs), rules)
        found = min(outputs) if self.aggregation is Aggregation.MIN else max(outputs)
        return Decision(found, rules)

    def _output(self, said: Sequence[Expression], facts: Facts) -> Any:
        if len(said) == 1:
            return evaluate(said[0], facts)
        return {output.name: evaluate(one, facts) for output, one in zip(self.outputs, said, strict=True)}

    def _named(self, rules: Sequence[int]) -> str:
        listed = ", ".join(self.rules[rule].id for rule in sorted(rules)[:10])
        return f"rules {listed}"
