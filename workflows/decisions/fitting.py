"""Whether what a definition asks of decision tables can be answered: the tables are there, and take what they get."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from erip.foundation.faults import Fault, join
from workflows.core.graph import Graph
from workflows.core.kinds.decision import Decision
from workflows.core.structure import did_you_mean
from workflows.core.tables.columns import BadFact, Column
from workflows.core.tables.document import TableInvalid
from workflows.core.tables.table import Table
from workflows.core.templates import Template
from workflows.decisions.compiled import compiled
from workflows.decisions.errors import UnknownTable, UnknownTableVersion
from workflows.decisions.models import DecisionTable
from workflows.decisions.spaces import tables_in


def faults(graph: Graph, spaces: Collection[str] | None = None) -> list[Fault]:
    """What is wrong with the graph's decisions. It asks the database only if there are any.

    spaces: those to which the author is confined. Whoever asks a table learns what it says, and sees it from then on:
    so for them there are only the tables that workflows in these spaces ask already.
    """
    found: list[Fault] = []
    seen: list[str] | None = None
    for id, node in graph.steps.items():
        if isinstance(node.how, Decision):
            if spaces is not None and seen is None:
                seen = tables_in(spaces)
            found.extend(_of_step(f"steps.{id}", node.how, seen))
    return found


def _of_step(at: str, how: Decision, seen: Collection[str] | None) -> Iterable[Fault]:
    try:
        if seen is not None and how.table not in seen:
            raise UnknownTable
        table = compiled(how.table, how.version).table
    except UnknownTable:
        names = DecisionTable.objects.values_list("name", flat=True)[:1000] if seen is None else seen
        where = "" if seen is None else " that workflows in your space ask"
        hint = f"{where}{did_you_mean(how.table, names)}"
        return [Fault(f"{at}.decision", f'there is no decision table "{how.table}"{hint}')]
    except UnknownTableVersion as error:
        return [Fault(f"{at}.decision", error.message)]
    except TableInvalid as error:
        return [Fault(f"{at}.decision", f"this release cannot read {how.table}: {error}"[:400])]
    return _of_facts(f"{at}.input", how.facts, table)


def _of_facts(at: str, facts: Template | None, table: Table) -> Iterable[Fault]:
    if facts is not None and not isinstance(facts.value, Mapping):
        return  # one expression: what it gives is not known
    given: Mapping[str, Any] = facts.value if facts is not None else {}
    dynamic = {location[0] for location, _ in facts.expressions} if facts is not None else set()
    taken = {column.input.path[0] for column in table.columns}
    for key in given:
        if key not in taken:
            yield Fault(join(at, key), f"the table has no such input{did_you_mean(key, taken)}")
    constants = facts.render({}) if facts is not None and facts.constant else given
    for column in table.columns:
        if column.input.path[0] not in dynamic and (fault := _of_column(column, constants)) is not None:
            yield Fault(join(at, ".".join(column.input.path)), fault)


def _of_column(column: Column, facts: Mapping[str, Any]) -> str | None:
    """What is wrong with a fact that no expression gives."""
    try:
        column.mask(facts)
    except BadFact as error:
        return str(error)
    return None
