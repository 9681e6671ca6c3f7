"""Runs claimed steps and carries on with what follows: claim → body → report → the next claim.

Note [Batches of claims]
Runs that came in one message advance together: their short steps run one after another in one thread, and their
outcomes are handed to the writer together, without a thread switch or a future per step. A step that turns out slow
must not hold the others back: once a batch has taken a few milliseconds its outcomes are handed over as they are, and
when one body takes longer than that the watchdog gives the rest of the batch to other threads.

Note [Strides]
A worker that ran a short step goes on with the run's next one before the first is recorded, and hands both outcomes
over together: four short steps cost one commit, and one wait for it, in place of four. It decides on what it knows of
the run (`Claim.snapshot`); the writer decides again on what it finds, so a stride is discarded like any late report if
the run was cancelled meanwhile, or someone else now has the step. What a crash can lose is what an asynchronous commit
can lose: some milliseconds of steps, which then run again. Therefore a stride is made of `def` steps that are
idempotent and not transactional, one after the other: before a step that may not be repeated begins, it is claimed and
everything before it is recorded.

Note [Room]
A claim that waits inside a worker is out of reach: nobody else may take it, and what comes later cannot overtake it.
So while claims of slow batches wait for a thread, the worker makes new claims for critical work only. Batches of short
steps never get this far.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

import structlog
from django.db import close_old_connections, transaction

from erip.foundation.db.failures import ERRORS, said
from erip.foundation.service import Service, once
from workflows import registry, store
from workflows.core.graph import Graph, Work
from workflows.core.machine import Happening, StepFailed, StepReturned, StepSucceeded, StepTaken
from workflows.errors import UnknownStep
from workflows.graphs import graph_of, step_for
from workflows.starts import dispatch
from workflows.store import Claim, Report, chunks, lacking
from workflows.worker import beats, bodies, traces
from workflows.worker.chunks import ChunkRunner
from workflows.worker.running import Key, Running, key_of, timed
from workflows.worker.strides import Stride
from workflows.worker.writer import Writer

log = structlog.get_logger(__name__)

#: seconds after which a batch hands over the outcomes that it has
HAND_OVER_AFTER = 0.005
#: seconds in one body after which the rest of its batch goes to other threads
SPREAD_AFTER = 0.02
WATCH_EVERY = 0.01
#: seconds between two looks at async bodies
LOOK_AT_LOOP_EVERY = 1.0
#: seconds by which an async body may outlast its timeout
LOOP_IS_LATE_AFTER = 5.0
#: async bodies in flight at once, in one worker
MAX_ASYNC = 2_000


_T = TypeVar("_T")


@dataclass(eq=False)
class _Batch:
    """Claims that one thread works through. The deques let the watchdog take from it at any time."""

    claims: deque[Claim] = field(default_factory=deque)
    reports: deque[Report] = field(default_factory=deque)


class Executor:
    """One per worker process."""

    def __init__(
        self,
        worker_id: int,
        lanes: Sequence[str],
        *,
        threads: int,
        took: Callable[[int], None] = lambda claims: None,
    ) -> None:
        """took: called with the number of ready steps each time some are claimed."""
        self.worker_id = worker_id
        self.lanes = list(lanes)
        self._threads = threads
        self._took = took
        self._writer = Writer(worker_id, lanes)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="steps")
        #: batches that the watchdog handed to the pool and that are not finished yet
        self._spread_batches: set[_Batch] = set()
        self._running: dict[Key, Running] = {}
        self._async_running: dict[Key, Running] = {}
        #: of running steps whose definitions ask for a heartbeat
        self._beats: dict[Key, beats.Beat] = {}
        self._chunks = ChunkRunner(self._writer, self._running, self._report_and_go_on)
        self._async_room = threading.BoundedSemaphore(MAX_ASYNC)
        self._stopping = threading.Event()
        self._look_at_loop = 0.0
        self._loop = asyncio.new_event_loop()
        traces.listen()
        once("async-steps", self._loop.run_forever)
        self._watchdog = Service("watchdog", self._watch, every=WATCH_EVERY, delay=True).start()

    # --- the way in ---

    def execute(self, named: Sequence[str], *, skip_locked: bool = False) -> int:
        """Claim what is ready in these runs and chunks, and work until nothing more can go on here. Returns how many
        ready steps were claimed.

        named: ids of runs, and tokens of chunks.
        """
        if self._stopping.is_set():
            return 0
        run_ids, chunk_ids = chunks.split(named)
        count = sum(map(self._work_chunk, chunk_ids))
        if not run_ids:
            return count
        claims = self._writer.claim(run_ids, skip_locked=skip_locked).result()
        self._took(len(claims))
        self._work(claims)
        return count + len(claims)

    def _work_chunk(self, chunk_id: int) -> int:
        """Take this chunk, if nobody has it, and work through it. Returns the number of its runs."""
        count = 0
        for chunk in self._writer.take(chunk_id).result():
            count = len(chunk.runs)
            try:
                self._chunks.work(chunk, stopping=self._stopping.is_set)
            finally:
                # Not before: many threads may take many runs long before they come to them.
                self._took(count)
        return count

    def _report_and_go_on(self, report: Report) -> None:
        self._work_off(_Batch(reports=deque([report])))

    def has_room(self) -> bool:
        """Whether a thread is free to take more."""
        return not self._stopping.is_set() and len(self._running) < self._threads and not self._waiting()

    def wait_for_room(self, *, unless: Callable[[], bool]) -> None:
        """Wait until few claims wait for a thread (see Note [Room]), or `unless` says that something cannot wait."""
        while self._waiting() >= self._threads and not unless() and not self._stopping.wait(WATCH_EVERY):
            pass

    def _waiting(self) -> int:
        """Claims that this worker holds and no thread has begun."""
        return sum(len(batch.claims) for batch in list(self._spread_batches))

    def take_in_background(self, named: Sequence[str]) -> None:
        """Call `execute` in a thread of the pool, and pass over runs that others are busy with."""
        self._pool.submit(self._guarded, partial(self.execute, named, skip_locked=True))

    def leave(self) -> None:
        """Begin nothing new: claims that wait for a thread go back at once. Steps that run go on, and are recorded."""
        self._stopping.set()
        self._chunks.leave()
        batches = {running.batch for running in list(self._running.values()) if running.batch}
        returned = _returned(claim for batch in batches | set(self._spread_batches) for claim in _drain(batch.claims))
        if returned:
            self._writer.submit(returned, go_on=False)

    def stop(self, *, grace: float) -> None:
        """Give running steps `grace` seconds to finish, hand the rest back, and end."""
        self.leave()
        deadline = time.monotonic() + grace
        looking = threading.Event()
        while (self._running or self._async_running) and time.monotonic() < deadline:
            looking.wait(WATCH_EVERY)
        self._watchdog.stop(0)
        self._hand_back()
        self._writer.stop()
        self._pool.shutdown(wait=False, cancel_futures=True)

    # --- working through claims ---

    def _work(self, claims: Iterable[Claim]) -> None:
        self._work_off(_Batch(deque(claims)))

    def _work_spread(self, batch: _Batch) -> None:
        try:
            self._work_off(batch)
        finally:
            self._spread_batches.discard(batch)

    def _work_off(self, batch: _Batch) -> None:
        while batch.claims or batch.reports:
            until = time.monotonic() + HAND_OVER_AFTER
            while batch.claims and time.monotonic() < until:
                try:
                    claim = batch.claims.popleft()
                except IndexError:  # the watchdog was quicker
                    break
                try:
                    self._begin(claim, batch, until)
                except Exception as error:
                    # Whatever kept this step from beginning must not cost us the other claims of the batch.
                    log.exception("step_not_begun", run_id=claim.run_id, step=claim.step)
                    batch.reports.append(Report(claim.run_id, _not_begun(claim, error)))
                    close_old_connections()
            if reports := _drain(batch.reports):
                batch.claims.extend(self._handed_over(reports))

    def _handed_over(self, reports: Sequence[Report]) -> Sequence[Claim]:
        """Wait until the reports are recorded. Returns what this worker goes on with."""
        try:
            return self._writer.submit(reports, go_on=not self._stopping.is_set()).result()
        except Exception as error:
            # The writer has logged it with its cause. It must not affect the other claims of the batch.
            log.error("report_refused", error=error, steps=[report.run_id for report in reports])
            return ()

    def _begin(self, claim: Claim, batch: _Batch, until: float) -> None:
        """Run a claimed step. A `def` body runs here and now, and its outcome goes into the batch."""
        graph = graph_of(claim.version_id)
        if self._stopping.is_set():
            batch.reports.append(Report(claim.run_id, StepReturned(claim.step, claim.attempt, claim.item)))
            return
        work = _work(graph, claim)
        try:
            spec = step_for(claim.version_id, claim.step, work.uses)
        except UnknownStep:
            # The first claim of a version that this worker had not met. See Note [Lacking] in `store.lacking`.
            lacking.note_one(claim.version_id, claim.step, work.uses)
            log.warning("step_left_to_others", run_id=claim.run_id, step=claim.step, uses=work.uses)
            batch.reports.extend(_returned([claim]))
            return
        if spec.is_async:
            self._begin_async(claim, spec, work)
            return
        if work.transactional:
            lines, beat = traces.Lines(claim), beats.begin(claim, work.heartbeat)
            self._running[key_of(claim)] = Running(claim, work, time.monotonic(), batch, lines)
            if beat is not None:
                self._beats[key_of(claim)] = beat
            self._run_transactional(claim, spec, work, batch, lines, beat)
            return
        self._stride(claim, spec, graph, batch, until)

    def _stride(self, claim: Claim, spec: registry.StepSpec, graph: Graph, batch: _Batch, until: float) -> None:
        """Run this step and, while time is left, those that follow it (Note [Strides])."""
        stride = Stride(graph, claim)
        reports: list[Report] = []
        while True:
            key, began = key_of(claim), time.monotonic()
            work, lines = _work(graph, claim), traces.Lines(claim)
            beat = beats.begin(claim, work.heartbeat)
            self._running[key] = Running(claim, work, began, batch, lines)
            if beat is not None:
                self._beats[key] = beat
            # Added in one go, or the watchdog could take the first half alone.
            batch.reports.extend(reports)
            happening = bodies.run_sync(claim, spec, work, lines, beat)
            ended = time.monotonic()
            if self._running.pop(key, None) is None:
                return
            timed(work, lines, happening, ended - began)
            if beat is not None and isinstance(happening, StepFailed):
                self._write_words([beat])
            following = stride.follow(claim, happening) if ended < until and not self._stopping.is_set() else None
            if following is None:
                uses = _recorded(spec, happening)
                batch.reports.append(Report(claim.run_id, happening, ended, stride.end(happening), uses))
                return
            uses = _recorded(spec, happening)
            claim, spec = following
            reports = [
                Report(claim.run_id, happening, ended, uses=uses),
                Report(claim.run_id, StepTaken(claim.step), time.monotonic()),
            ]

    def _run_transactional(
        self,
        claim: Claim,
        spec: registry.StepSpec,
        work: Work,
        batch: _Batch,
        lines: traces.Lines,
        beat: beats.Beat | None,
    ) -> None:
        """The body's ORM writes and its checkpoint commit together, or neither does: exactly once."""
        key = key_of(claim)
        owned = False
        try:
            with transaction.atomic():
                began = time.monotonic()
                happening = bodies.run_sync(claim, spec, work, lines, beat)
                took = time.monotonic() - began
                owned = self._running.pop(key, None) is not None
                if owned:
                    timed(work, lines, happening, took)
                if owned and isinstance(happening, StepSucceeded):
                    # No claimant is given: if this commit's answer were lost, the claims that it made would be lost as
                    # well.
                    applied = store.apply([Report(claim.run_id, happening)], graph_of=graph_of)
                    # Discarded: someone else owns the step by now, so this body's writes are undone.
                    transaction.set_rollback(bool(applied.discarded))
                else:
                    applied = store.Applied()
                    transaction.set_rollback(True)
        except ERRORS as error:
            owned = self._running.pop(key, None) is not None or owned
            happening, applied = bodies.failed(claim, error, lines), store.Applied()
        if isinstance(happening, StepFailed) and owned:
            # After the rollback, which would take it back.
            if beat is not None:
                self._write_words([beat])
            # Either it was rolled back, or it was recorded as succeeded and this report is discarded: certain either
            # way.
            batch.reports.append(Report(claim.run_id, replace(happening, certain=True)))
        elif not applied.discarded:
            dispatch.hint(applied.hints)

    # --- async bodies ---

    def _begin_async(self, claim: Claim, spec: registry.StepSpec, work: Work) -> None:
        # Before there is room for it: if this fails, the room would be lost.
        beat = beats.begin(claim, work.heartbeat)
        self._async_room.acquire()
        lines = traces.Lines(claim)
        self._async_running[key_of(claim)] = Running(claim, work, time.monotonic(), None, lines)
        if beat is not None:
            self._beats[key_of(claim)] = beat
        asyncio.run_coroutine_threadsafe(self._run_async(claim, spec, work, lines, beat), self._loop)

    async def _run_async(
        self, claim: Claim, spec: registry.StepSpec, work: Work, lines: traces.Lines, beat: beats.Beat | None
    ) -> None:
        began = time.monotonic()
        try:
            happening = await bodies.run_async(claim, spec, work, lines, beat)
        finally:
            self._async_room.release()
        if self._async_running.pop(key_of(claim), None) is None:
            return
        timed(work, lines, happening, time.monotonic() - began)
        report = Report(claim.run_id, happening, time.monotonic())
        if beat is not None and isinstance(happening, StepFailed):
            # Not on the loop: it waits for PostgreSQL.
            self._pool.submit(self._guarded, partial(self._after_its_words, [beat], [report]))
        else:
            self._hand_over([report])

    def _hand_over(self, reports: Sequence[Report]) -> None:
        """Hand the report over without waiting; what follows goes on in the pool, or on the loop."""
        self._writer.submit(reports, go_on=not self._stopping.is_set()).add_done_callback(self._go_on)

    def _go_on(self, done: "Future[tuple[Claim, ...]]") -> None:
        if done.exception() is not None:
            return  # logged by the writer; the lease brings the step back
        for claim in done.result():
            self._pool.submit(self._guarded, partial(self._work, [claim]))

    def _guarded(self, work: Callable[[], object]) -> None:
        try:
            work()
        except ERRORS as error:
            log.warning("steps_interrupted", error=error)
        except Exception:
            log.exception("steps_interrupted")
        finally:
            close_old_connections()

    # --- the watchdog ---

    def _watch(self) -> None:
        now = time.monotonic()
        for key, running in list(self._running.items()):
            batch = running.batch
            late = now - running.began > running.work.timeout
            if running.chunk is not None:
                running.chunk.watch(running, now, late=late)
            if batch and now - running.began > SPREAD_AFTER and (batch.claims or batch.reports):
                self._spread(batch)
            if late and self._running.pop(key, None) is not None:
                # The thread cannot be stopped; whatever it returns no longer counts.
                log.warning("step_timed_out", run_id=running.claim.run_id, step=running.claim.step)
                before = _drain(batch.reports) if batch else []
                trace = traces.of_stuck(running.claim, running.lines)
                timed_out = bodies.timed_out(running.claim, running.work, trace)
                timed(running.work, running.lines, timed_out, now - running.began)
                self._hand_over([*before, Report(running.claim.run_id, timed_out)])

        if self._beats:
            self._give_up_silent(now)
        if now >= self._look_at_loop:
            self._look_at_loop = now + LOOK_AT_LOOP_EVERY
            for key, running in list(self._async_running.items()):
                # Its own timeout ends a body that waits. This is for one that blocks the loop of all, or ignores its
                # cancellation: the others of the loop must not wait for it for ever.
                late = now - running.began > running.work.timeout + LOOP_IS_LATE_AFTER
                if late and self._async_running.pop(key, None) is not None:
                    log.error("event_loop_blocked", run_id=running.claim.run_id, step=running.claim.step)
                    timed_out = bodies.timed_out(running.claim, running.work, None)
                    timed(running.work, running.lines, timed_out, now - running.began)
                    self._hand_over([Report(running.claim.run_id, timed_out)])

    def _after_its_words(self, said: Sequence[beats.Beat], reports: Sequence[Report]) -> None:
        """Hand over after what the steps said is written, so that their next attempts can read it."""
        self._write_words(said)
        self._hand_over(reports)

    def _write_words(self, said: Sequence[beats.Beat]) -> None:
        """What cannot be written is lost: the attempt's outcome matters more."""
        try:
            beats.write(said)
        except ERRORS as error:
            log.warning("beats_not_written", error=error)

    def write_beats(self) -> None:
        """Write what the running steps have said since the last call (Note [Heartbeats] in `beats`)."""
        if self._beats:
            beats.write(list(self._beats.values()))

    def _give_up_silent(self, now: float) -> None:
        for key, beat in list(self._beats.items()):
            if key not in self._running and key not in self._async_running:
                self._beats.pop(key, None)  # it has ended
            elif beat.silent(now):
                # Of an async body no thread stands still that could be looked at.
                stands = self._running.pop(key, None)
                running = stands or self._async_running.pop(key, None)
                self._beats.pop(key, None)
                if running is None:
                    continue
                claim, batch = running.claim, running.batch
                log.warning("step_silent", run_id=claim.run_id, step=claim.step, attempt=claim.attempt)
                before = _drain(batch.reports) if batch else []
                trace = traces.of_stuck(claim, running.lines) if stands else None
                silent = Report(claim.run_id, bodies.silent(claim, beat.every, trace))
                timed(running.work, running.lines, silent.happening, now - running.began)
                self._pool.submit(self._guarded, partial(self._after_its_words, [beat], [*before, silent]))

    def _spread(self, batch: _Batch) -> None:
        """Give the claims that wait behind a slow body to other threads, and hand over the outcomes so far."""
        reports = _drain(batch.reports)
        if reports:
            self._hand_over(reports)
        waiting = _drain(batch.claims)
        parts = max(1, min(len(waiting), self._threads - len(self._running)))
        for part in range(parts):
            if mine := waiting[part::parts]:
                share = _Batch(deque(mine))
                self._spread_batches.add(share)
                self._pool.submit(self._guarded, partial(self._work_spread, share))

    def _hand_back(self) -> None:
        """A step that could not finish runs again elsewhere, if it may be repeated; otherwise the lease makes it
        UNKNOWN."""
        begun = list(self._running.values())
        # These steps build on what was done before them in their strides.
        before = [report for running in begun if running.batch for report in _drain(running.batch.reports)]
        claims = [running.claim for running in begun if running.work.idempotent]
        claims += [running.claim for running in self._async_running.values() if running.work.idempotent]
        self._write_words(list(self._beats.values()))
        self._running.clear()
        self._async_running.clear()
        returned = _returned(claims)
        if before or returned:
            self._writer.submit([*before, *returned], go_on=False)


def _work(graph: Graph, claim: Claim) -> Work:
    """What a worker runs for a claim. Raises LookupError for a step for which workers run nothing."""
    work = graph.steps[claim.step].work
    if work is None:
        raise LookupError(f"step {claim.step} is a {graph.steps[claim.step].kind}: workers run nothing for it")
    return work


def _recorded(spec: registry.StepSpec, happening: Happening) -> str | None:
    """The step's name if something else is written with its result."""
    if isinstance(happening, StepSucceeded) and registry.recorder(spec.name) is not None:
        return spec.name
    return None


def _returned(claims: Iterable[Claim]) -> list[Report]:
    return [Report(claim.run_id, StepReturned(claim.step, claim.attempt, claim.item)) for claim in claims]


def _not_begun(claim: Claim, error: Exception) -> Happening:
    fault = {"code": "step_not_begun", "message": said(error)[:300]}
    return StepFailed(claim.step, claim.attempt, fault, True, bodies.jitter(), certain=True, item=claim.item)


def _drain(items: deque[_T]) -> list[_T]:
    taken: list[_T] = []
    while items:
        try:
            taken.append(items.popleft())
        except IndexError:
            break
    return taken
