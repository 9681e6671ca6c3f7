"""The checkpoint writer: one thread of a worker process through which all of its claims and outcomes reach PostgreSQL.

Note [Group commit]
The writer takes everything that came in while it was committing the last group, applies it in one transaction, and
wakes those who wait (`erip.foundation.process.group_commit`).

Note [Ghost claims]
When the connection breaks during a commit, nobody knows whether the group was recorded. The writer applies it again
once PostgreSQL is back: reports that were recorded are discarded by their attempt. But a commit that did happen may
have made claims that this worker never heard of. The worker goes on beating, so no lease would bring them back.
Therefore the writer keeps the set of the claims that it knows of, and after a broken connection returns all others
under its name; their bodies never began.
"""

import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import structlog
from cachetools import LRUCache
from django.db import DataError, IntegrityError, transaction

from erip.foundation.db.connections import drop_connection
from erip.foundation.db.failures import ERRORS, is_passing, said
from erip.foundation.process.group_commit import GroupCommit
from workflows import registry, store
from workflows.core.machine import StepFailed, StepReturned, StepSucceeded, StepTaken
from workflows.graphs import graph_of, known_graph
from workflows.starts import dispatch
from workflows.store import Claim, Known, Report, chunks
from workflows.store.chunks import RunDone, TakenChunk

log = structlog.get_logger(__name__)


#: (run id, step, item, attempt)
ClaimKey = tuple[str, str, int, int]
#: runs whose steps are kept in memory
KNOWN_RUNS = 20_000
#: seconds between two tries while PostgreSQL is away: first, and at most
RETRY_AFTER = (0.05, 1.0)


@dataclass(frozen=True, slots=True)
class _Work:
    """Reports to apply, or run ids to claim from; the future gets the claims that follow."""

    reports: tuple[Report, ...] = ()
    run_ids: tuple[str, ...] = ()
    skip_locked: bool = False
    #: whether the reporter goes on with what becomes ready
    go_on: bool = True
    done: "Future[tuple[Claim, ...]]" = field(default_factory=Future)


_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class _Take:
    """A chunk to take."""

    chunk_id: int
    done: "Future[list[TakenChunk]]" = field(default_factory=Future)


@dataclass(frozen=True, slots=True)
class _Record:
    """Runs of a chunk that ended well. ended: nothing is left of the chunk."""

    chunk: TakenChunk
    runs: Sequence[RunDone]
    ended: bool
    done: "Future[None]" = field(default_factory=Future)


@dataclass(frozen=True, slots=True)
class _Leave:
    """Runs that leave a chunk; `store.chunks.leave` has the rest."""

    chunk: TakenChunk
    reports: Mapping[str, Sequence[Report]]
    ended: bool
    slow: bool
    done: "Future[None]" = field(default_factory=Future)


class Writer:
    """Start it once per process; `submit` and `claim` may be called from any thread."""

    def __init__(self, worker_id: int, lanes: Sequence[str]) -> None:
        self._worker_id = worker_id
        self._lanes = list(lanes)
        #: claims handed out and not yet reported on; the writer's thread alone touches it
        self._held: set[ClaimKey] = set()
        #: chunks that were taken and have not ended; the same
        self._held_chunks: set[int] = set()
        #: chunks with a run that could not leave: their rows stay, and this worker's end lets the leader try
        self._spoilt: set[int] = set()
        #: see Note [What a worker knows] in `store`
        self._known: LRUCache[str, Known] = LRUCache(maxsize=KNOWN_RUNS)
        #: never set: to wait without sleeping through an interrupt
        self._away = threading.Event()
        # No time limit: a group that is cut off because it takes long would be written again, and cut off again, for
        # ever.
        self._groups: GroupCommit[_Work | _Take | _Record | _Leave] = GroupCommit(
            "checkpoint-writer", self._write_all, unhurried=True
        )

    def submit(self, reports: Sequence[Report], *, go_on: bool = True) -> "Future[tuple[Claim, ...]]":
        """Record what happened. Once all is committed, the future gives the steps that the reporter now owns."""
        work = _Work(reports=tuple(reports), go_on=go_on)
        self._groups.put(work)
        return work.done

    def claim(self, run_ids: Sequence[str], *, skip_locked: bool = False) -> "Future[tuple[Claim, ...]]":
        """Claim what is ready in these runs."""
        work = _Work(run_ids=tuple(run_ids), skip_locked=skip_locked)
        self._groups.put(work)
        return work.done

    def take(self, chunk_id: int) -> "Future[list[TakenChunk]]":
        """Take this chunk; the future gives it, or nothing if somebody else has it."""
        work = _Take(chunk_id)
        self._groups.put(work)
        return work.done

    def record(self, chunk: TakenChunk, runs: Sequence[RunDone], *, ended: bool = False) -> "Future[None]":
        """Record runs of a chunk that ended well. ended: nothing is left of the chunk."""
        work = _Record(chunk, tuple(runs), ended)
        self._groups.put(work)
        return work.done

    def leave(
        self, chunk: TakenChunk, reports: Mapping[str, Sequence[Report]], *, ended: bool = False, slow: bool = False
    ) -> None:
        """Let runs leave a chunk, with what has happened to them. What is submitted later is written later. slow:
        because a step takes long."""
        self._groups.put(_Leave(chunk, reports, ended, slow))

    def stop(self) -> None:
        """Write what was handed over, then end; without PostgreSQL, give up after some seconds."""
        self._groups.stop(5.0)

    def _write_all(self, group: list[_Work | _Take | _Record | _Leave]) -> None:
        # What happens to a chunk happens in its order, because its end is the end of what can be recorded. And what is
        # reported on a run that left a chunk comes after that, in this group or a later one.
        if takes := [work for work in group if isinstance(work, _Take)]:
            self._take_chunks(takes)
        records: list[_Record] = []
        for work in group:
            if isinstance(work, _Record):
                records.append(work)
            elif isinstance(work, _Leave):
                if records:
                    self._record_runs(records)
                    records = []
                self._let_leave(work)
        if records:
            self._record_runs(records)
        if rest := [work for work in group if isinstance(work, _Work)]:
            self._write(rest)

    # --- chunks (Note [Chunks] in `store/chunks`) ---

    def _take_chunks(self, works: Sequence[_Take]) -> None:
        take = partial(chunks.take, [work.chunk_id for work in works], worker_id=self._worker_id, lanes=self._lanes)
        try:
            taken = {chunk.id: chunk for chunk in self._in_spite_of_outages(take, len(works))}
        except Exception as error:
            log.exception("chunks_not_taken", error=error)
            taken = {}
        self._held_chunks.update(taken)
        for work in works:
            found = taken.pop(work.chunk_id, None)
            work.done.set_result([] if found is None else [found])

    def _record_runs(self, works: Sequence[_Record]) -> None:
        done = [(work.chunk, run) for work in works for run in work.runs]
        ended = [work.chunk.id for work in works if work.ended and work.chunk.id not in self._spoilt]
        try:
            self._in_spite_of_outages(partial(chunks.record, done, worker_id=self._worker_id, ended=ended), len(works))
        except Exception as error:
            self._record_one_by_one(works, error)
            return
        self._held_chunks.difference_update(ended)
        for work in works:
            work.done.set_result(None)

    def _record_one_by_one(self, works: Sequence[_Record], error: Exception) -> None:
        """A group that cannot be written is split until the bad run stands alone. It leaves, and runs once more as any
        other run: then its outcome is refused with the reason."""
        if len(works) > 1:
            for work in works:
                self._record_runs([work])
            return
        (work,) = works
        if len(work.runs) > 1:
            for run in work.runs:
                self._record_runs([_Record(work.chunk, (run,), ended=False)])
            self._record_runs([_Record(work.chunk, (), work.ended, work.done)])
            return
        log.warning("chunk_run_refused", error=error, run_ids=[one.run.id for one in work.runs])
        self._let_leave(_Leave(work.chunk, {one.run.id: () for one in work.runs}, work.ended, slow=False))
        work.done.set_result(None)

    def _let_leave(self, work: _Leave) -> None:
        reports = [report for own in work.reports.values() for report in own]
        self._held.update(_key_of(report) for report in reports if isinstance(report.happening, StepTaken))

        def leave() -> list[tuple[str, str]]:
            with transaction.atomic():
                if work.slow:
                    chunks.note_slow(work.chunk.version_id)
                return chunks.leave(
                    work.reports,
                    chunk_id=work.chunk.id,
                    worker_id=self._worker_id,
                    graph_of=graph_of,
                    ended=work.ended and work.chunk.id not in self._spoilt,
                )

        try:
            dispatch.hint(self._in_spite_of_outages(leave, 1))
        except Exception as error:
            self._leave_one_by_one(work, error)
        self._held.difference_update(
            _key_of(report) for report in reports if not isinstance(report.happening, StepTaken)
        )
        if work.ended and work.chunk.id not in self._spoilt:
            self._held_chunks.discard(work.chunk.id)
        work.done.set_result(None)

    def _leave_one_by_one(self, work: _Leave, error: Exception) -> None:
        """One that cannot be written with what it has done leaves without it: it is done again."""
        if len(work.reports) > 1:
            for run_id, own in work.reports.items():
                self._let_leave(_Leave(work.chunk, {run_id: own}, ended=False, slow=False))
        elif any(work.reports.values()):
            log.warning("chunk_run_left_undone", error=error, run_ids=list(work.reports))
            self._let_leave(_Leave(work.chunk, dict.fromkeys(work.reports, ()), ended=False, slow=False))
        else:
            self._spoilt.add(work.chunk.id)
            log.exception("chunk_run_stays", error=error, run_ids=list(work.reports))
            return
        if work.ended:
            self._let_leave(_Leave(work.chunk, {}, ended=True, slow=False))

    # --- steps ---

    def _write(self, group: list[_Work]) -> None:
        # Steps that began before this commit belong to this worker as soon as the commit has happened.
        self._held.update(
            _key_of(report) for work in group for report in work.reports if isinstance(report.happening, StepTaken)
        )
        try:
            claims, hints = self._in_spite_of_outages(partial(self._transact, group), len(group))
        except Exception as error:
            self._known.clear()
            self._isolate(group, error)
            return
        # First what has ended: the claim of one piece may have the key that another piece reported on, because what was
        # forgotten is claimed under the same number.
        for work in group:
            self._held.difference_update(
                _key_of(report) for report in work.reports if not isinstance(report.happening, StepTaken)
            )
        for work, own in zip(group, claims, strict=True):
            self._held.update((claim.run_id, claim.step, claim.item, claim.attempt) for claim in own)
            work.done.set_result(own)
        dispatch.hint(hints)

    def _in_spite_of_outages(self, transact: Callable[[], _T], pieces: int) -> _T:
        """What `transact` gives, which is called again while PostgreSQL is away."""
        pause, most = RETRY_AFTER
        broken = False
        while True:
            try:
                if broken:
                    dispatch.hint(self._return_ghosts())
                return transact()
            except ERRORS as error:
                if not is_passing(error):
                    raise
                log.warning("checkpoint_delayed", error=error, pieces=pieces)
                drop_connection()
                self._known.clear()
                broken = True
                self._away.wait(pause)
                pause = min(pause * 2, most)

    def _return_ghosts(self) -> tuple[tuple[str, str], ...]:
        """See Note [Ghost claims]. Returns hints for others."""
        with transaction.atomic():
            ghosts = [key for key in store.steps_of_worker(self._worker_id) if key not in self._held]
            reports = [Report(run, StepReturned(step, attempt, item)) for run, step, item, attempt in ghosts]
            hints = store.apply(reports, graph_of=graph_of).hints if reports else ()
            mine = [one for one in chunks.chunks_of_worker(self._worker_id) if one not in self._held_chunks]
            return (*hints, *(chunks.return_chunks(mine, worker_id=self._worker_id) if mine else ()))

    def _transact(self, group: list[_Work]) -> tuple[list[tuple[Claim, ...]], list[tuple[str, str]]]:
        """A transaction or two for the group. Returns the claims of each piece of work, and the hints to publish."""
        claims: list[list[Claim]] = [[] for _ in group]
        hints: list[tuple[str, str]] = []
        for go_on in (True, False):
            reports = [report for work in group if work.go_on is go_on for report in work.reports]
            if reports:
                applied = self._apply(reports, go_on)
                hints += applied.hints
                self._share(applied.claims, group, claims)
        for skip_locked in (False, True):
            wanted = [run_id for work in group if work.skip_locked is skip_locked for run_id in work.run_ids]
            if wanted:
                found = store.claim(
                    wanted,
                    worker_id=self._worker_id,
                    lanes=self._lanes,
                    skip_locked=skip_locked,
                    known=self._known,
                    known_graph=known_graph,
                )
                self._share(found, group, claims, portion=store.PORTION)
        return [tuple(own) for own in claims], hints

    def _apply(self, reports: Sequence[Report], go_on: bool) -> store.Applied:
        """Apply them, and what is to be written with them in the same transaction."""
        also = [report for report in reports if report.uses is not None]
        if not also:
            return store.apply(reports, graph_of=graph_of, reporter=self._worker_id, go_on=go_on, known=self._known)
        with transaction.atomic():
            applied = store.apply(reports, graph_of=graph_of, reporter=self._worker_id, go_on=go_on, known=self._known)
            discarded = set(map(id, applied.discarded))
            by_step: dict[str, list[registry.Recorded]] = defaultdict(list)
            for report in also:
                happened = report.happening
                if isinstance(happened, StepSucceeded) and report.uses and id(report) not in discarded:
                    result = registry.Recorded(report.run_id, happened.step, happened.item, happened.output)
                    by_step[report.uses].append(result)
            for name, recorded in by_step.items():
                if (write := registry.recorder(name)) is not None:
                    write(recorded)
        return applied

    @staticmethod
    def _share(made: Sequence[Claim], group: list[_Work], claims: list[list[Claim]], *, portion: int = 0) -> None:
        """Give each claim to a piece of work for its run; several such pieces get a fair share of a fan-out's items.

        portion: how many items each piece that named the run gets. 0: the claims are for the pieces that reported, and
        each may have one for each of its reports.
        """
        owners: dict[str, list[int]] = {}
        for index, work in enumerate(group):
            if portion:
                for run_id in work.run_ids:
                    owners.setdefault(run_id, []).append(index)
            elif work.go_on:
                for report in work.reports:
                    owners.setdefault(report.run_id, []).append(index)
        dealt: dict[str, int] = {}
        for claim in made:
            own = owners[claim.run_id]
            if len(own) == 1:
                claims[own[0]].append(claim)
                continue
            place = dealt.get(claim.run_id, 0)
            dealt[claim.run_id] = place + 1
            claims[own[min(place // max(portion, 1), len(own) - 1)]].append(claim)

    def _isolate(self, group: list[_Work], error: Exception) -> None:
        """A group that cannot be written is split until the bad piece stands alone: it never fails its neighbours."""
        if len(group) > 1:
            middle = len(group) // 2
            self._write(group[:middle])
            self._write(group[middle:])
            return
        work = group[0]
        if len(work.reports) > 1:
            self._isolate_reports(work)
            return
        if work.reports and isinstance(error, DataError | IntegrityError):
            failed = _unrecordable(work.reports[0], error)
            if failed is not None:
                replacement = _Work(reports=(failed,), go_on=work.go_on, done=work.done)
                self._write([replacement])
                return
        log.exception("checkpoint_refused", error=error)
        work.done.set_exception(error)

    def _isolate_reports(self, work: _Work) -> None:
        """Write it run by run, and a run with a bad report report by report."""
        by_run: dict[str, list[Report]] = defaultdict(list)
        for report in work.reports:
            by_run[report.run_id].append(report)
        if len(by_run) > 1:
            pieces = [_Work(reports=tuple(own), go_on=work.go_on) for own in by_run.values()]
        else:
            # Only the last report of a stride lets its reporter go on: the steps between have run already.
            pieces = [_Work(reports=(report,), go_on=False) for report in work.reports[:-1]]
            pieces.append(_Work(reports=work.reports[-1:], go_on=work.go_on))
        for piece in pieces:
            self._write([piece])
        claims = [claim for piece in pieces if not piece.done.exception() for claim in piece.done.result()]
        work.done.set_result(tuple(claims))


def _key_of(report: Report) -> ClaimKey:
    happened = report.happening
    # A step that was taken in a stride is at its first attempt.
    return report.run_id, getattr(happened, "step", ""), getattr(happened, "item", -1), getattr(happened, "attempt", 1)


def _unrecordable(report: Report, error: Exception) -> Report | None:
    """The failure to record in place of an output that PostgreSQL refuses."""
    happened = report.happening
    if not isinstance(happened, StepSucceeded):
        return None
    message = f"the output could not be recorded: {said(error)[:300]}"
    failed = StepFailed(
        happened.step, happened.attempt, {"code": "output_refused", "message": message}, False, 0.0, item=happened.item
    )
    return Report(report.run_id, failed)
