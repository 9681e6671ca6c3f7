"""What there is to say about a table before anybody asks it: gaps, clashes, rules that never decide."""

from typing import Any, Final

from workflows.core.tables import values
from workflows.core.tables.analysis import Case, Report, analyse
from workflows.core.tables.table import Policy, Table

#: an empty list, or a count of none, may be just what is meant
_COLLECTING: Final = (Policy.COLLECT, Policy.RULE_ORDER, Policy.OUTPUT_ORDER)


def report(table: Table) -> dict[str, Any]:
    """As JSON. gaps: none if a default or a list is what such a case gets; they are texts of FEEL, as the cells are."""
    found: Report = analyse(table)
    decides_all = any(one.default is not None for one in table.outputs) or table.policy in _COLLECTING
    gaps = [] if decides_all else [_case(gap) for gap in found.gaps]
    clashes = [{"first": one.first, "second": one.second, **_case(one.case)} for one in found.clashes]
    return {
        "gaps": gaps,
        "clashes": clashes,
        "unreached": found.unreached,
        "unsure": found.unsure,
        "complete": found.is_complete,
        "sound": not (gaps or clashes or found.unreached) and found.is_complete,
    }


def _case(case: Case) -> dict[str, Any]:
    return {"tests": case.tests, "example": {name: values.written(value) for name, value in case.example.items()}}


def said(parts: dict[str, str]) -> str:
    """A case in one line."""
    return ", ".join(f"{name}: {text}" for name, text in parts.items() if text != "-") or "every case"
