"""Whether a value passes a test: true, false, or None where FEEL says null."""

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
    any other value what is equal to it."""
    if kind_of(wanted) is Kind.LIST:
        whole = values.equal(value, wanted) if kind_of(value) is Kind.LIST else False
        return _any([whole, *(_is(one, value) for one in wanted)])
    return _is(wanted, value)


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
