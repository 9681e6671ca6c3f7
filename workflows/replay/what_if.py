"""What another decision table would have said: for decisions that were made, and for those that open runs have to come.

Note [What if]
A step of the kind `decision` keeps the facts that it asked about, and what the table said. So its decision is made
again by the other table, and the two are compared: exactly, and without a run of its own. Nothing is written; the
database would refuse it. A decision that an open run has not come to yet is compared with what the version in force
says, if the facts can be known already: the step has begun, or what its `input` reads has ended. Otherwise it is
`unknown`, which means neither "different" nor "the same". A step that names a version of the table will go by that one,
so the next version does not concern it, and it is left out.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Value

from erip.foundation.db.committing import nothing_before_commit
from workflows.core.definition import DefinitionInvalid
from workflows.core.expressions import ExpressionError
from workflows.core.kinds.decision import Decision
from workflows.core.machine import NO_ITEM
from workflows.core.states import StepState
from workflows.core.tables import values
from workflows.core.tables.plain import plain
from workflows.core.tables.table import FactsInvalid, Table
from workflows.decisions.compiled import compiled
from workflows.graphs import graph_of
from workflows.models import ArchivedRun, ArchivedStepRun, StepRun, WorkflowRun
from workflows.replay.pages import (
    PLACES,
    SECONDS,
    Against,
    Page,
    Patience,
    begin_of,
    cursor_of,
    every,
    read_cursor,
)

#: runs that are in memory at once
_AT_ONCE: Final = 200
#: what a step failed with when the table said nothing
_SAID_NOTHING: Final = ("not_decided", "facts_not_valid")


@dataclass(frozen=True, slots=True)
class Said:
    """What a table said. fault: why it said nothing. version: None: the other table, or not known."""

    version: int | None
    result: Any
    rules: list[str]
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """One decision that would be another one; after: None: the facts are not known yet, so nor is the difference."""

    run_id: str
    workflow: str
    business_key: str | None
    status: str
    step: str
    decided: bool
    before: Said | None
    after: Said | None


def what_if(
    name: str, table: Table, *, against: Against, since: datetime, cursor: str | None = None, limit: int = 1_000
) -> Page[Difference]:
    """Compare the decisions of runs created at `since` or later with what `table` says in place of the stored table
    `name`; oldest run first, archived ones before others, at most `limit` runs on a page (Note [Pages of runs]).
    Raises CursorInvalid, UnknownTable."""
    begin = begin_of(since)
    place, last = read_cursor(cursor, begin, PLACES)
    with nothing_before_commit(), transaction.atomic():
        if connection.get_autocommit() is False and len(connection.savepoint_ids) == 0:
            with connection.cursor() as sql:
                sql.execute("SET TRANSACTION READ ONLY")
        return _page(_Search(name, table, against), begin, place, last, limit)


def _page(search: "_Search", begin: UUID, place: int, last: UUID, limit: int) -> Page[Difference]:
    page, patience, left = Page[Difference](), Patience(SECONDS), limit
    sources = [] if not search.steps else search.sources()
    while place < len(sources):
        runs, steps, only = sources[place]
        wanted = min(left, _AT_ONCE)
        found = search.some(runs, last, only, wanted)
        rows = search.rows(found, steps)
        for run in found:
            search.compare(run, rows[run.pk], page)
            last, left = run.pk, left - 1
            if left <= 0 or patience.is_over:
                page.cursor = cursor_of(place, last)
                return page
        if len(found) < wanted:
            place, last = place + 1, begin
    return page


class _Search:
    def __init__(self, name: str, table: Table, against: Against) -> None:
        self.now = compiled(name)
        self.table = table
        self._against = against
        #: version of a workflow → its steps that ask the table
        self.steps: dict[int, list[str]] = defaultdict(list)
        with connection.cursor() as cursor:
            cursor.execute(
                """
                SELECT v.id, s.key FROM workflows_workflowversion v, jsonb_each(v.document->'steps') s
                WHERE split_part(s.value->>'decision', '@', 1) = %s
                """,
                [name],
            )
            for version, step in cursor.fetchall():
                self.steps[version].append(step)

    def sources(self) -> list[tuple[Any, Any, dict[str, Any]]]:
        past, waiting = {"finished_at__isnull": False}, {"finished_at__isnull": True}
        archived: tuple[Any, Any, dict[str, Any]] = (ArchivedRun, ArchivedStepRun, {})
        nothing = (ArchivedRun, ArchivedStepRun, {"pk__isnull": True})
        return {
            Against.PAST: [archived, (WorkflowRun, StepRun, past)],
            Against.WAITING: [nothing, (WorkflowRun, StepRun, waiting)],
            Against.ALL: [archived, (WorkflowRun, StepRun, {})],
        }[self._against]

    def some(self, runs: Any, last: UUID, only: Mapping[str, Any], limit: int) -> list[Any]:
        wanted = runs.objects.filter(pk__gt=last, version_id__in=list(self.steps), **only).defer(
            "input", "output", "error"
        )
        return list(wanted.order_by("pk")[:limit])

    def rows(self, found: Sequence[Any], steps: Any) -> Mapping[UUID, dict[str, Any]]:
        """Of each run, the steps that ask the table."""
        names = sorted({step for listed in self.steps.values() for step in listed})
        rows: dict[UUID, dict[str, Any]] = defaultdict(dict)
        for row in steps.objects.filter(run_id__in=[run.pk for run in found], step__in=names, item=NO_ITEM):
            rows[row.run_id][row.step] = row
        return rows

    def compare(self, run: Any, rows: Mapping[str, Any], page: Page[Difference]) -> None:
        for step in self.steps[run.version_id]:
            self._one(run, step, rows.get(step), page)

    def _one(self, run: Any, step: str, row: Any, page: Page[Difference]) -> None:
        if row is not None and StepState(row.state).ended:
            before = _recorded(row)
            if before is not None:
                self._add(run, step, before, _says(self.table, None, row.input["facts"]), page, decided=True)
        elif run.finished_at is None:
            self._to_come(run, step, row, page)

    def _to_come(self, run: Any, step: str, row: Any, page: Page[Difference]) -> None:
        try:
            how = graph_of(run.version_id).steps[step].how
        except DefinitionInvalid:
            how = None
        if isinstance(how, Decision) and how.version is not None:
            return
        facts = row.input["facts"] if row is not None and row.input else self._facts(run, how)
        if facts is None:
            page.unknown += 1
            page.items.append(_difference(run, step, None, None, decided=False))
            return
        before = _says(self.now.table, self.now.number, facts)
        self._add(run, step, before, _says(self.table, None, facts), page, decided=False)

    def _facts(self, run: Any, how: Any) -> dict[str, Any] | None:
        """What the step will ask about, if that is known; None if it is not."""
        if not isinstance(how, Decision):
            return None
        if how.facts is None:
            return {}
        input_, steps = _told(run.pk, how.facts.references)
        ended = {step: {"output": output, "status": state} for step, state, output in steps if StepState(state).ended}
        if ended.keys() != how.facts.references:
            return None
        about = {
            "id": str(run.pk),
            "workflow": run.workflow,
            "business_key": run.business_key,
            "created_at": run.created_at.isoformat(),
        }
        try:
            facts = how.facts.render({"input": input_, "steps": ended, "run": about})
        except ExpressionError:
            return None
        return facts if isinstance(facts, dict) else None

    def _add(self, run: Any, step: str, before: Said, after: Said, page: Page[Difference], *, decided: bool) -> None:
        page.compared += 1
        if not _same(before, after):
            page.different += 1
            page.items.append(_difference(run, step, before, after, decided=decided))


def _told(run_id: UUID, steps: Collection[str]) -> tuple[Any, list[tuple[str, str, Any]]]:
    """(a run's input, step, state and output of these steps), asked at once. Only one run's are in memory: they may be
    large."""
    of_run = WorkflowRun.objects.order_by().filter(pk=run_id).annotate(step=Value(""), at=Value(""))
    of_steps = StepRun.objects.order_by().filter(run_id=run_id, step__in=list(steps), item=NO_ITEM)
    found = of_run.values_list("step", "at", "input").union(of_steps.values_list("step", "state", "output"), all=True)
    rows = list(found)
    return next((value for step, _, value in rows if not step), None), [row for row in rows if row[0]]


def _recorded(row: Any) -> Said | None:
    """What the table said; None if it was not asked, or if that is not known."""
    if row.state == StepState.SUCCEEDED and row.output:
        return Said(row.output["version"], row.output["result"], row.output["rules"])
    if row.state == StepState.FAILED and row.error and row.error.get("code") in _SAID_NOTHING:
        return Said(None, None, [], row.error.get("message", ""))
    return None


def _says(table: Table, version: int | None, facts: Any) -> Said:
    try:
        decision = table.decide(facts)
    except FactsInvalid as error:
        return Said(version, None, [], "; ".join(str(fault) for fault in error.faults[:10]))
    if not decision.is_decided:
        return Said(version, None, [], decision.fault or "no rule matches, and no output has a default")
    return Said(version, plain(decision.output), [table.rules[place].id for place in decision.rules])


def _same(one: Said, other: Said) -> bool:
    if one.fault is not None or other.fault is not None:
        return one.fault is not None and other.fault is not None
    return values.equal(one.result, other.result) is True


def _difference(run: Any, step: str, before: Said | None, after: Said | None, *, decided: bool) -> Difference:
    return Difference(str(run.pk), run.workflow, run.business_key, run.state, step, decided, before, after)


def pages(
    name: str, table: Table, *, against: Against, since: datetime, limit: int = 1_000
) -> Iterator[Page[Difference]]:
    """All pages, one after the other."""
    return every(lambda cursor: what_if(name, table, against=against, since=since, cursor=cursor, limit=limit))
