"""Whether a value passes a test: true, false, or None where FEEL says null.

Note [Lists]
`not(t)` is fulfilled where `e in (t)` is false (DMN 1.5, 10.3.2.8, grammar rule 15.b), so it matters whether a test
that is a list is false or null for a value that is none of its items. DMN's table of comparisons (Table 55) says
`list contains` where the list has a name, which is true or false, and `e = e1 or e = e2` where it is written out, which
would be null for a value of another kind. What one cell means must not depend on which of the two it is, and what is
said of input entries fits the first alone: the value "is equal to at least one of the values in that list", or is not.
So a list contains a value or does not, and `not([1, 2])` accepts the list `[2, 1]`, a text, and null. A range in a list
keeps its null for what it cannot be compared with.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from workflows.core.tables import values
from workflows.core.tables.feel import Compare, ContextOf, Expression, In, ListOf, Literal, Path, RangeOf, Test, Tests
from workflows.core.tables.values import Kind, Range, kind_of

Facts = Mapping[str, Any]


def passes(tests: Tests, value: Any, facts: Facts) -> bool | None:
    """Whether a cell accepts a value."""
    if not tests.any_of:
        return True
    found = _any([passes_one(test, value, facts) for test in tests.any_of])
    return found if not tests.negated or found is None else not found


def passes_one(test: Test, value: Any, facts: Facts) -> bool | None:
    if isinstance(test, Compare):
        return compare(test.operator, value, evaluate(test.operand, facts))
    return _accepts(evaluate(test, facts), value)


def compare(operator: str, value: Any, other: Any) -> bool | None:
    """operator: < <= > >= = !="""
    match operator:
        case "=":
            return values.equal(value, other)
        case "!=":
            same = values.equal(value, other)
            return None if same is None else not same
        case "<":
            return values.less(value, other)
        case ">":
            return values.less(other, value)
        case "<=":
            after = values.less(other, value)
            return None if after is None else not after
        case _:
            before = values.less(value, other)
            return None if before is None else not before


def _accepts(wanted: Any, value: Any) -> bool | None:
    """A range accepts what is in it, a list what is one of its items or in one of its ranges, or equal to the whole,
    any other value what is equal to it. See Note [Lists]."""
    if kind_of(wanted) is Kind.LIST:
        return _any([values.equal(value, wanted) is True, *(_contains(one, value) for one in wanted)])
    return _is(wanted, value)


def _contains(item: Any, value: Any) -> bool | None:
    return values.within(value, item) if isinstance(item, Range) else values.equal(value, item) is True


def _is(wanted: Any, value: Any) -> bool | None:
    return values.within(value, wanted) if isinstance(wanted, Range) else values.equal(value, wanted)


def _any(found: Sequence[bool | None]) -> bool | None:
    if any(found):
        return True
    return None if None in found else False


def evaluate(expression: Expression, facts: Facts) -> Any:
    """The value of an expression; a fact that is not there is null."""
    match expression:
        case Literal(value):
            return value
        case Path(names):
            return look_up(names, facts)
        case ListOf(items):
            return tuple(evaluate(item, facts) for item in items)
        case ContextOf(pairs):
            return {key: evaluate(item, facts) for key, item in pairs}
        case RangeOf(low, high, closed):
            return Range(evaluate(low, facts), evaluate(high, facts), closed)
        case In(value, tests):
            left = evaluate(value, facts)
            return _any([passes_one(test, left, facts) for test in tests])


def look_up(names: Sequence[str], facts: Facts) -> Any:
    found: Any = facts
    for name in names:
        if not isinstance(found, Mapping):
            return None
        found = found.get(name)
    return found
