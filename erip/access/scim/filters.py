"""What PostgreSQL can say of a filter (RFC 7644, section 3.4.2.2): a condition that leaves out nobody who fits.

`scim2_models` decides who fits; this only spares it from looking at everybody. Where the condition says all that the
filter says, pages are cut by PostgreSQL.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Q
from scim2_models import AttributeBinding, ScimFilter
from scim2_models.path import (
    CompareOperator,
    Comparison,
    FilterNode,
    FilterVisitor,
    LogicalExpr,
    LogicalOperator,
    Not,
    Present,
    ValuePath,
)

#: characters of a filter
LONGEST = 2_000

_LOOKUPS = {
    CompareOperator.eq: "exact",
    CompareOperator.sw: "startswith",
    CompareOperator.co: "contains",
    CompareOperator.ew: "endswith",
}


@dataclass(frozen=True, slots=True)
class Narrowed:
    """condition: nobody who fits is outside of it. exact: and everybody in it fits."""

    condition: Q
    exact: bool = False


EVERYBODY = Narrowed(Q())
NOBODY = Narrowed(Q(pk__in=[]), exact=True)

#: by (attribute, sub-attribute), what a comparison with a value means
Columns = Mapping[tuple[str, str | None], Callable[[CompareOperator, Any], Narrowed]]


def text(column: str) -> Callable[[CompareOperator, Any], Narrowed]:
    """Of a column that holds the form in which values are compared."""

    def narrow(operator: CompareOperator, value: Any) -> Narrowed:
        lookup = _LOOKUPS.get(operator)
        # "" is how an absent value is stored.
        if lookup is None or not isinstance(value, str) or not value:
            return EVERYBODY
        if "\0" in value:
            return NOBODY
        return Narrowed(Q(**{f"{column}__{lookup}": value}), exact=True)

    return narrow


def identity(column: str, *, exact: bool = True) -> Callable[[CompareOperator, Any], Narrowed]:
    """Of a column that holds a UUID."""

    def narrow(operator: CompareOperator, value: Any) -> Narrowed:
        if operator != CompareOperator.eq or not isinstance(value, str):
            return EVERYBODY
        known = as_uuid(value)
        return NOBODY if known is None else Narrowed(Q(**{column: known}), exact=exact)

    return narrow


def flag(column: str) -> Callable[[CompareOperator, Any], Narrowed]:
    def narrow(operator: CompareOperator, value: Any) -> Narrowed:
        if operator not in (CompareOperator.eq, CompareOperator.ne) or not isinstance(value, bool):
            return EVERYBODY
        return Narrowed(Q(**{column: value == (operator == CompareOperator.eq)}), exact=True)

    return narrow


def one_of(column: str) -> Callable[[CompareOperator, Any], Narrowed]:
    """Of a column that holds an array of the forms in which values are compared."""

    def narrow(operator: CompareOperator, value: Any) -> Narrowed:
        if operator != CompareOperator.eq or not isinstance(value, str) or not value:
            return EVERYBODY
        return NOBODY if "\0" in value else Narrowed(Q(**{f"{column}__contains": [value]}), exact=True)

    return narrow


def as_uuid(text: str) -> UUID | None:
    """The id that is written so, and in no other way."""
    try:
        found = UUID(text)
    except ValueError:
        return None
    return found if str(found) == text else None


def narrowed(found: ScimFilter[Any], columns: Columns) -> Narrowed:
    """What PostgreSQL can say of this filter. found: bound to its model."""
    return _Narrowing(found, columns).visit(found.ast)


class _Narrowing(FilterVisitor[Narrowed]):
    def __init__(self, found: ScimFilter[Any], columns: Columns) -> None:
        self._filter = found
        self._columns = columns

    def visit_comparison(self, node: Comparison) -> Narrowed:
        binding = self._filter.resolve_comparison(node.attr_path, strict=False)
        return EVERYBODY if binding is None else self._compare(binding, binding.sub_field_name, node)

    def visit_present(self, node: Present) -> Narrowed:
        return EVERYBODY

    def visit_not(self, node: Not) -> Narrowed:
        inner = self.visit(node.expr)
        return Narrowed(~inner.condition, exact=True) if inner.exact else EVERYBODY

    def visit_logical_expr(self, node: LogicalExpr) -> Narrowed:
        parts = [self.visit(term) for term in node.terms]
        exact = all(part.exact for part in parts)
        if node.op == LogicalOperator.and_:
            joined = Q()
            for part in parts:
                joined &= part.condition
            return Narrowed(joined, exact)
        if any(not part.condition for part in parts):
            return EVERYBODY
        joined = parts[0].condition
        for part in parts[1:]:
            joined |= part.condition
        return Narrowed(joined, exact)

    def visit_value_path(self, node: ValuePath) -> Narrowed:
        """`emails[type eq "work" and value eq "…"]`: whoever fits has that value."""
        binding = self._filter.resolve(node.attr_path, strict=False)
        value = _value_of(node.val_filter)
        if binding is None or value is None:
            return EVERYBODY
        return Narrowed(self._compare(binding, "value", value).condition)

    def _compare(self, binding: AttributeBinding, sub_attribute: str | None, node: Comparison) -> Narrowed:
        narrow = self._columns.get((binding.field_name, sub_attribute))
        if narrow is None:
            return EVERYBODY
        value = node.value
        if isinstance(value, str):
            compared = self._filter.resolve_comparison(node.attr_path, strict=False) or binding
            try:
                value = compared.comparable(value)
            except ValueError:
                return EVERYBODY
        return narrow(node.op, value)


def _value_of(node: FilterNode) -> Comparison | None:
    """The comparison of `value` that holds of each entry that fits."""
    terms = node.terms if isinstance(node, LogicalExpr) and node.op == LogicalOperator.and_ else (node,)
    for term in terms:
        if isinstance(term, Comparison) and term.attr_path.attr.lower() == "value" and not term.attr_path.sub_attr:
            return term
    return None
