"""Decides and writes what follows from what happened to runs. See the notes in `workflows.store`."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from datetime import UTC, datetime

from django.db import connection, transaction

from workflows.core import machine
from workflows.core.definition import DefinitionInvalid
from workflows.core.graph import Graph
from workflows.core.machine import NO_ITEM, RunView, Snapshot, StepKey, StepView
from workflows.core.states import RunState, StepState
from workflows.store import unattempted
from workflows.store.fan_outs import cancel_items, items_ended
from workflows.store.fan_outs import load as load_items
from workflows.store.pauses import standing_clocks
from workflows.store.rows import Writes
from workflows.store.signals import take_signal
from workflows.store.timings import runs_ended
from workflows.store.values import Applied, Claim, Known, Report, claimable, from_json

_SURE = (machine.StepSucceeded, machine.StepTaken)


def apply(
    reports: Sequence[Report],
    *,
    graph_of: Callable[[int], Graph],
    reporter: int | None = None,
    go_on: bool = False,
    known: MutableMapping[str, Known] | None = None,
    pass_over_unreadable: bool = False,
) -> Applied:
    """Decide and write what follows from `reports`, of any number of runs, as one set.

    reporter: the worker that reports. go_on: each of its reports lets it claim one step that became ready.
    known: what the worker knows of runs; used and kept up to date.
    pass_over_unreadable: go on without runs whose definition this release cannot read, for example because a newer
    release published it. Otherwise such a run raises DefinitionInvalid. Opens a transaction where it needs one.
    """
    by_run: dict[str, list[Report]] = defaultdict(list)
    for report in reports:
        by_run[report.run_id].append(report)
    group = _Group(by_run, graph_of, reporter, go_on, known if known is not None else {}, pass_over_unreadable)
    # Successes only: everything else needs the database's clock.
    sure = sorted(
        run_id
        for run_id, own in by_run.items()
        if run_id in group.known and all(_is_sure(report.happening, group.known[run_id]) for report in own)
    )
    if sure:
        group.apply({run_id: group.known[run_id] for run_id in sure}, datetime.now(UTC))
    unsure = sorted(by_run.keys() - group.done)
    if unsure:
        with transaction.atomic():
            runs, now = _lock_and_load(unsure, by_run, reporter)
            if runs:
                group.apply(runs, now, locked=True)
        group.discarded.extend(report for run_id in unsure if run_id not in runs for report in by_run[run_id])
    return Applied(tuple(group.claims), tuple(group.hints), tuple(group.discarded), tuple(group.unreadable))


def _is_sure(happening: machine.Happening, run: Known) -> bool:
    """Whether it can be decided from what is known: it is a success of a known step or item."""
    if not isinstance(happening, _SURE):
        return False
    return happening.item == NO_ITEM or (happening.step, happening.item) in run.snapshot.steps


class _Group:
    """Reports on their way into the database, some runs at a time."""

    def __init__(
        self,
        by_run: Mapping[str, Sequence[Report]],
        graph_of: Callable[[int], Graph],
        reporter: int | None,
        go_on: bool,
        known: MutableMapping[str, Known],
        pass_over_unreadable: bool,
    ) -> None:
        self.by_run = by_run
        self.graph_of = graph_of
        self.reporter = reporter
        self.go_on = go_on
        self.known = known
        self.done: set[str] = set()
        self.claims: list[Claim] = []
        self.hints: list[tuple[str, str]] = []
        self.discarded: list[Report] = []
        self.pass_over_unreadable = pass_over_unreadable
        self.unreadable: list[Report] = []

    def apply(self, runs: Mapping[str, Known], now: datetime, *, locked: bool = False) -> None:
        """Decide from what is known of these runs, and write the runs for which it still holds; forget the others.

        locked: whether the runs are locked, in a transaction. A plan that needs this (`Plan.locked`) is written only
        then: the last item of a step, the join and what follows it become visible together, and so do a step that waits
        and the signal kept for it.
        """
        writes = Writes(self.reporter)
        locking: list[tuple[str, machine.Plan]] = []
        discarded: list[Report] = []
        for run_id, run in runs.items():
            reports = self.by_run[run_id]
            try:
                graph = self.graph_of(run.version_id)
            except DefinitionInvalid:
                if not self.pass_over_unreadable:
                    raise
                self.unreadable.extend(reports)
                continue
            decided = reports[-1].decided
            if decided is not None and decided.snapshot is run.snapshot and decided.reports == len(reports):
                plan = decided.plan
            else:
                happenings = [report.happening for report in reports]
                if run.seq == 0 and not run.snapshot.steps and not isinstance(happenings[0], machine.RunStarted):
                    # It is in a chunk, and leaves it by this (Note [Chunks] in `chunks`).
                    happenings.insert(0, machine.RunStarted())
                plan = machine.decide(graph, run.snapshot, happenings, run.clock or now)
            if plan.locked:
                if not locked:
                    continue
                locking.append((run_id, plan))
            if plan.discarded:
                discarded.extend(report for report in reports if report.happening in plan.discarded)
            writes.add_plan(
                run_id, run, graph, plan, reports=reports, claimable=claimable(reports) if self.go_on else 0
            )
        if not writes.runs:
            return
        self._write(writes, runs, discarded)
        for run_id, plan in locking:
            self._follow(run_id, plan, now)

    def _follow(self, run_id: str, plan: machine.Plan, now: datetime) -> None:
        """What else happened because of what was just written: all items of a step have ended, or a signal was kept for
        a step that waits now. Needs a transaction. A run that is no longer known has ended meanwhile."""
        for step in plan.joins:
            if run_id in self.known:
                self._go_on(run_id, items_ended(run_id, step), now)
        for step, name in plan.asks:
            if (run := self.known.get(run_id)) is None:
                continue
            view, how = run.snapshot.steps[step, NO_ITEM], self.graph_of(run.version_id).steps[step].how
            # Another one that was kept may have ended the step, or withdrawn what asked for this one.
            wanted = view.state is StepState.WAITING and how.wants(view, name)
            if wanted and (signal := take_signal(run_id, name)):
                self._go_on(run_id, machine.StepSignalled(step, signal), now)

    def _go_on(self, run_id: str, happening: machine.Happening, now: datetime) -> None:
        run = self.known[run_id]
        graph = self.graph_of(run.version_id)
        plan = machine.decide(graph, run.snapshot, [happening], run.clock or now)
        writes = Writes(self.reporter)
        writes.add_plan(run_id, run, graph, plan, reports=[], claimable=1 if self.go_on else 0)
        self._write(writes, [run_id], [])
        self._follow(run_id, plan, now)

    def _write(self, writes: Writes, runs: Iterable[str], discarded: Sequence[Report]) -> None:
        with connection.cursor() as cursor:
            written = writes.write(cursor)
        if writes.cancels:
            cancel_items(writes.cancels)
        self.done |= written
        if writes.ended:
            runs_ended(ended for run_id, ended in writes.ended.items() if run_id in written)
        if writes.failures:
            unattempted.announce(one for run_id, some in writes.failures.items() if run_id in written for one in some)
        for run_id in runs:
            after = writes.after.get(run_id) if run_id in written else None
            if after is None:
                self.known.pop(run_id, None)
            else:
                self.known[run_id] = after
        self.claims += (claim for claim in writes.claims if claim.run_id in written)
        self.hints += (hint for hint in writes.hints if hint[1] in written)
        self.discarded += (report for report in discarded if report.run_id in written)


def _lock_and_load(
    run_ids: Sequence[str], by_run: Mapping[str, Sequence[Report]], reporter: int | None
) -> tuple[dict[str, Known], datetime]:
    """The runs that exist, locked, and the database's clock. The steps are read after the locks were taken; of a
    fan-out's items only those in the reports are read."""
    touched = [
        (run_id, report.happening.step, report.happening.item)  # type: ignore[union-attr]  # it has an item
        for run_id in run_ids
        for report in by_run[run_id]
        if getattr(report.happening, "item", NO_ITEM) != NO_ITEM
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT id, workflow, business_key, lane, state, input::text, created_at, version_id, deadline_at, seq,
                   clock_timestamp()
            FROM workflows_workflowrun WHERE id = ANY(%s::uuid[]) ORDER BY id FOR NO KEY UPDATE
            """,
            [list(run_ids)],
        )
        rows = cursor.fetchall()
        steps: dict[str, dict[StepKey, StepView]] = {str(row[0]): {} for row in rows}
        cursor.execute(
            """
            SELECT run_id, step, item, state, attempt, failures, lost, output::text, items
            FROM workflows_steprun WHERE run_id = ANY(%s::uuid[]) AND item = -1
            """,
            [list(steps)],
        )
        fan_outs: list[tuple[str, str]] = []
        for run_id, step, item, state, attempt, failures, lost, output, items in cursor.fetchall():
            view = StepView(StepState(state), attempt, failures, lost, from_json(output))
            steps[str(run_id)][step, item] = view
            if items is not None and view.state is StepState.RUNNING:
                fan_outs.append((str(run_id), step))
        if fan_outs or touched:
            load_items(cursor, steps, fan_outs, touched, reporter)
    paused = [str(row[0]) for row in rows if row[4] == RunState.PAUSED]
    clocks = standing_clocks(paused) if paused else {}
    runs: dict[str, Known] = {}
    for id_, workflow, key, lane, state, input_, created_at, version_id, deadline_at, seq, _ in rows:
        run = RunView(str(id_), workflow, key, lane, RunState(state), from_json(input_), created_at)
        runs[run.id] = Known(Snapshot(run, steps[run.id]), seq, version_id, deadline_at, clocks.get(run.id))
    return runs, rows[0][-1] if rows else datetime.now(UTC)
