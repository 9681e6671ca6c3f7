"""Reads the document of a decision table.

    inputs:
      - {name: severity, type: string, values: [low, medium, high, critical]}
      - {name: loss, type: number, optional: true}
    outputs:
      - {name: level, type: string, values: [board, executive, none]}     # the first one has the highest priority
    hit_policy: FIRST
    rules:
      - id: existential
        when: {loss: ">= 10000000"}
        then: {level: '"board"'}
      - when: {severity: '"high", "critical"'}
        then: {level: '"executive"'}
      - then: {level: '"none"'}

A cell of `when` holds unary tests of FEEL, one of `then` an expression; a number or a boolean may stand there as it is.
`name` may be a path (`asset.owner`); `label` is for people.

Note [Null]
An input that may be null says `optional: true`. Otherwise a fact that is missing is refused by name: what is not known
must not decide silently. A table without a rule for a case gives its outputs' defaults, or says that no rule matches.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, TypeVar

from erip.foundation.faults import MAX_FAULTS, Fault, join
from workflows.core.tables import values
from workflows.core.tables.columns import Input, operand, shown
from workflows.core.tables.feel import (
    ANY,
    Compare,
    Expression,
    FeelError,
    Literal,
    Path,
    Test,
    Tests,
    read_expression,
    read_tests,
)
from workflows.core.tables.table import Aggregation, Output, Policy, Rule, Table
from workflows.core.tables.values import Among, Kind, Range, kind_of

_T = TypeVar("_T")
_W = TypeVar("_W", bound=StrEnum)

MAX_RULES: Final = 1_000
MAX_INPUTS: Final = 50
MAX_OUTPUTS: Final = 20
#: values that an input or an output lists, and ranges among them
MAX_VALUES: Final = 2_000
MAX_RANGES: Final = 50
#: of these, how many a message names
_NAMED: Final = 20


class TableInvalid(ValueError):
    """The table cannot be used; `faults` names everything that is wrong with it."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(str(fault) for fault in faults))
        self.faults = list(faults)


_TYPES: Final = {kind.value: kind for kind in Kind if kind is not Kind.RANGE} | {
    "integer": Kind.NUMBER, "dateTime": Kind.DATE_TIME, "dayTimeDuration": Kind.DAYS,
    "yearMonthDuration": Kind.MONTHS, "days and time duration": Kind.DAYS,
}  # fmt: skip
_KEYS: Final = {
    "": frozenset({"description", "inputs", "outputs", "hit_policy", "aggregation", "rules"}),
    "inputs": frozenset({"name", "label", "type", "values", "optional"}),
    "outputs": frozenset({"name", "label", "type", "values", "default"}),
    "rules": frozenset({"id", "when", "then", "note"}),
}


def read(document: Any) -> Table:
    """The table of a document. Raises TableInvalid with every fault and its path."""
    return _Document(document).read()


class _Document:
    """A document that is being read; its faults are gathered."""

    def __init__(self, document: Any) -> None:
        self._document = document
        self._faults: list[Fault] = []
        #: by the id of a column's values, which live as long
        self._allowed: dict[int, Among] = {}

    def read(self) -> Table:
        document = self._document
        if not isinstance(document, dict):
            raise TableInvalid([Fault("", "a decision table is an object with inputs, outputs and rules")])
        self._known_keys("", "", document)
        inputs = self._each("inputs", MAX_INPUTS, self._input)
        outputs = self._each("outputs", MAX_OUTPUTS, self._output)
        self._no_doubles("inputs", [one.name for one in inputs])
        self._no_doubles("outputs", [one.name for one in outputs])
        policy = self._word("hit_policy", document.get("hit_policy", "UNIQUE"), Policy)
        aggregation = None
        if document.get("aggregation") is not None:
            aggregation = self._word("aggregation", document["aggregation"], Aggregation)
            if policy not in (None, Policy.COLLECT):
                self._fault("aggregation", "goes with the hit policy COLLECT alone")
            if len(outputs) > 1 and aggregation is not Aggregation.COUNT:
                self._fault("aggregation", "needs a single output")
        if policy in (Policy.PRIORITY, Policy.OUTPUT_ORDER) and not any(one.allowed for one in outputs):
            self._fault("outputs", f"{policy} needs `values` of an output, the most important first")
        rules: list[Rule] = []
        if not self._faults:
            rules = self._each("rules", MAX_RULES, lambda at, rule: self._rule(at, rule, inputs, outputs))
            self._no_doubles("rules", [one.id for one in rules])
            self._no_mixed_clocks(inputs, rules)
        if self._faults or policy is None:
            raise TableInvalid(sorted(self._faults))
        return Table(tuple(inputs), tuple(outputs), tuple(rules), policy, aggregation)

    def _fault(self, path: str, message: str) -> None:
        if len(self._faults) < MAX_FAULTS:
            self._faults.append(Fault(path, message))

    def _known_keys(self, path: str, of: str, found: Mapping[Any, Any]) -> None:
        for key in sorted(set(found) - _KEYS[of], key=str):
            self._fault(join(path, str(key)), f"unknown key; there are {', '.join(sorted(_KEYS[of]))}")

    def _each(self, key: str, most: int, read: Callable[[int, Mapping[str, Any]], _T | None]) -> list[_T]:
        listed = self._document.get(key)
        if not isinstance(listed, list) or not listed:
            self._fault(key, "must be a list that is not empty")
            return []
        if len(listed) > most:
            self._fault(key, f"has {len(listed):,} entries, and at most {most:,} may be there")
            return []
        found = []
        for at, one in enumerate(listed):
            if not isinstance(one, dict):
                self._fault(f"{key}[{at}]", "must be an object")
                continue
            self._known_keys(f"{key}[{at}]", key, one)
            item = read(at, one)
            if item is not None:
                found.append(item)
        return found

    def _no_doubles(self, key: str, names: Sequence[str]) -> None:
        for at, name in enumerate(names):
            if name in names[:at]:
                self._fault(f"{key}[{at}]", f"{name[:100]!r} stands twice")

    def _word(self, path: str, value: Any, words: type[_W]) -> _W | None:
        if not isinstance(value, str) or value not in list(words):
            self._fault(path, f"must be one of {', '.join(words)}")
            return None
        return words(value)

    def _name(self, path: str, value: Any) -> str | None:
        if not isinstance(value, str) or not value.strip() or len(value) > 200:
            self._fault(path, "must be a text of 1 to 200 characters")
            return None
        return value

    def _kind(self, path: str, value: Any) -> Kind | None:
        if value is None:
            return None
        if not isinstance(value, str) or value not in _TYPES:
            self._fault(path, f"must be one of {', '.join(sorted(_TYPES))}")
            return None
        return _TYPES[value]

    def _input(self, at: int, one: Mapping[str, Any]) -> Input | None:
        path = f"inputs[{at}]"
        name = self._name(f"{path}.name", one.get("name"))
        kind = self._kind(f"{path}.type", one.get("type"))
        optional = one.get("optional", False)
        if not isinstance(optional, bool):
            self._fault(f"{path}.optional", "must be true or false")
        allowed = self._values(f"{path}.values", one.get("values"), kind)
        if name is None:
            return None
        try:
            where = read_expression(name)
        except FeelError:
            where = None
        names = where.names if isinstance(where, Path) else (name,)
        return Input(name, names, kind, allowed, one.get("type") == "integer", optional is True)

    def _output(self, at: int, one: Mapping[str, Any]) -> Output | None:
        path = f"outputs[{at}]"
        name = self._name(f"{path}.name", one.get("name"))
        kind = self._kind(f"{path}.type", one.get("type"))
        allowed = self._values(f"{path}.values", one.get("values"), kind)
        default = self._expression(f"{path}.default", one["default"]) if "default" in one else None
        return None if name is None else Output(name, kind, allowed, default)

    def _values(self, path: str, listed: Any, kind: Kind | None) -> tuple[Any, ...]:
        """Plain values as they are, or FEEL's literals and ranges in a text."""
        if listed is None:
            return ()
        if isinstance(listed, str):
            tests = self._tests(path, listed)
            values_ = [_listed(one) for one in tests.any_of] if tests is not None else []
            found = [one for one in values_ if one is not None]
            if tests is not None and (len(found) != len(tests.any_of) or tests.negated or not found):
                self._fault(path, "must be literals, ranges or comparisons such as >= 0, separated by commas")
        elif isinstance(listed, list) and listed and all(type(one) in (str, int, float, bool) for one in listed):
            found = listed
        else:
            self._fault(path, "must be a list of texts, numbers or booleans, or a text with FEEL's literals")
            return ()
        ranges = sum(isinstance(value, Range) for value in found)
        if len(found) > MAX_VALUES or ranges > MAX_RANGES:
            self._fault(path, f"has at most {MAX_VALUES:,} values, of which {MAX_RANGES} may be ranges")
            return ()
        for value in found:
            inner = value.end if isinstance(value, Range) else value
            if kind is not None and kind_of(inner) is not kind:
                self._fault(path, f"{shown(value)} is not a {kind}")
        return tuple(found)

    def _rule(self, at: int, one: Mapping[str, Any], inputs: Sequence[Input], outputs: Sequence[Output]) -> Rule | None:
        path = f"rules[{at}]"
        before = len(self._faults)
        id_ = self._name(f"{path}.id", one.get("id", str(at + 1)))
        note = one.get("note", "")
        if not isinstance(note, str):
            self._fault(f"{path}.note", "must be a text")
        when = self._cells(f"{path}.when", one.get("when", {}), {each.name for each in inputs})
        then = self._cells(f"{path}.then", one.get("then"), {each.name for each in outputs})
        tests = [self._tests(join(f"{path}.when", each.name), when.get(each.name, "-")) for each in inputs]
        said: list[Expression | None] = []
        for each in outputs:
            where = join(f"{path}.then", each.name)
            if each.name not in then:
                self._fault(where, "is missing")
                continue
            expression = self._expression(where, then[each.name])
            said.append(expression)
            self._fits(where, expression, each, inputs)
        for given, cell in zip(inputs, tests, strict=True):
            self._is_about(join(f"{path}.when", given.name), cell, given)
        if len(self._faults) > before or id_ is None:
            return None
        return Rule(id_, tuple(one or ANY for one in tests), tuple(one or Literal(None) for one in said), str(note))

    def _no_mixed_clocks(self, inputs: Sequence[Input], rules: Sequence[Rule]) -> None:
        """A time with a zone and one without have no order."""
        for at, given in enumerate(inputs):
            tests = [test for rule in rules for test in rule.when[at].any_of]
            named = [*given.allowed, *(value for test in tests for value in _literals(test))]
            zoned = {value.tzinfo is not None for value in named if kind_of(value) in (Kind.TIME, Kind.DATE_TIME)}
            if len(zoned) > 1:
                self._fault(
                    f"inputs[{at}]", "its cells name times with a zone and times without one, which have no order"
                )

    def _cells(self, path: str, cells: Any, names: set[str]) -> Mapping[str, Any]:
        if not isinstance(cells, dict):
            self._fault(path, "must be an object")
            return {}
        for key in sorted(set(cells) - names, key=str):
            self._fault(join(path, str(key)), f"there is no such column; there are {', '.join(sorted(names))}")
        return cells

    def _tests(self, path: str, cell: Any) -> Tests | None:
        if cell is None or type(cell) in (bool, int, float):
            return Tests((Literal(cell),))
        if not isinstance(cell, str):
            self._fault(path, "must be a text, a number, true, false or null")
            return None
        try:
            return read_tests(cell)
        except FeelError as error:
            self._fault(path, str(error))
            return None

    def _expression(self, path: str, cell: Any) -> Expression | None:
        if cell is None or type(cell) in (bool, int, float):
            return Literal(cell)
        if not isinstance(cell, str):
            self._fault(path, "must be a text, a number, true, false or null")
            return None
        try:
            return read_expression(cell)
        except FeelError as error:
            self._fault(path, str(error))
            return None

    def _fits(self, path: str, said: Expression | None, output: Output, inputs: Sequence[Input]) -> None:
        if isinstance(said, Path):
            if not any(said.names[: len(each.path)] == each.path or each.path[0] == said.names[0] for each in inputs):
                text = " ".join(said.names)
                self._fault(path, f'{text} is no input; a text is written in quotes: "{text}"')
        elif isinstance(said, Literal) and said.value is not None:
            if output.kind is not None and kind_of(said.value) is not output.kind:
                self._fault(path, f"must be a {output.kind}, not {shown(said.value)}")
            elif output.allowed and not self._among(output.allowed).has(said.value):
                listed = ", ".join(shown(one) for one in output.allowed[:_NAMED])
                self._fault(path, f"{shown(said.value)} is not one of {listed}")

    def _is_about(self, path: str, cell: Tests | None, given: Input) -> None:
        """A test of another kind than the input's is never fulfilled: it is a mistake."""
        for test in cell.any_of if cell is not None else ():
            said = operand(test)
            if given.kind is Kind.LIST and isinstance(said, Literal) and kind_of(said.value) is Kind.LIST:
                continue  # it is about the whole list, not about what is in it
            for value in _literals(test):
                kind = kind_of(value)
                if value is None:
                    if not given.optional:
                        self._fault(path, "null is tested, but the input is not optional")
                elif given.kind is not None and kind is not given.kind and kind is not Kind.LIST:
                    self._fault(path, f"{shown(value)} is not a {given.kind}")
                elif given.allowed and kind is not Kind.LIST and not self._may_be(value, given):
                    listed = ", ".join(shown(one) for one in given.allowed[:_NAMED])
                    self._fault(path, f"{shown(value)} is not one of {listed}")

    def _may_be(self, value: Any, given: Input) -> bool:
        if given.kind in (None, *(values.ORDERED - {Kind.STRING})) or any(
            isinstance(one, Range) for one in given.allowed
        ):
            return True  # a bound need not be a value itself
        return self._among(given.allowed).has(value)

    def _among(self, allowed: tuple[Any, ...]) -> Among:
        key = id(allowed)
        if key not in self._allowed:
            self._allowed[key] = Among(allowed)
        return self._allowed[key]


def _listed(test: Test) -> Any:
    """A value or a range of `values`; None if the test is neither."""
    if isinstance(test, Literal):
        return test.value
    if (
        not isinstance(test, Compare)
        or not isinstance(test.operand, Literal)
        or test.operator not in ("<", "<=", ">", ">=")
    ):
        return None
    end = test.operand.value
    closed = test.operator.endswith("=")
    if kind_of(end) not in values.ORDERED:
        return None
    if test.operator.startswith("<"):
        return Range(None, end, (False, closed), endless=True)
    return Range(end, None, (closed, False), endless=True)


def _literals(test: Any) -> list[Any]:
    said = operand(test)
    if not isinstance(said, Literal):
        return []
    listed = said.value if kind_of(said.value) is Kind.LIST else (said.value,)
    return [end for one in listed for end in ((one.low, one.high) if isinstance(one, Range) else (one,))]
