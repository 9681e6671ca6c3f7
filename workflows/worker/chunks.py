"""Works through a chunk: each run along its chain, and all outcomes in one statement. See Note [Chunks] in
`store/chunks`.

Note [Leaving]
A chunk is for runs that take microseconds and go well. Whatever else happens lets a run leave it, with what it has done
so far, and from then on it is like any other run: a body that fails, or whose output or input cannot be recorded. A
body that takes long would hold up those that wait behind it, and nobody could see that it runs: the watchdog then ends
the chunk. What is done is recorded, what has not begun leaves for any worker to take, and the run whose body still runs
leaves with a row that says so. The thread notices when the body returns, and reports on it as on any step.

Note [Turns]
The threads of a process share one interpreter: eight that work through chunks at once are no faster than one, and each
takes eight times as long, so that all of them would seem slow, and leave. So one works and the others wait, with their
chunks taken already. The turn ends after TURN seconds, because bodies that wait for something else can do so side by
side, and before the thread waits for what it has recorded.

Note [Busy machines]
Runs that leave cost several times as much as runs that stay, so a machine with too much to do must not be what makes
them leave: it would have the more to do. A thread's time at its chunk is therefore counted without what it waited for a
processor, and so is its turn, since a second thread would make it no faster.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

import structlog

from erip.foundation.process import waited
from workflows import registry
from workflows.core.chain import Chain, Link, Walk
from workflows.core.claim import Claim
from workflows.core.cost import Budget
from workflows.core.definition import DefinitionInvalid
from workflows.core.expressions import ExpressionError
from workflows.core.machine import NO_ITEM, Happening, StepSucceeded, StepTaken
from workflows.errors import UnknownStep
from workflows.graphs import graph_of, step_for
from workflows.store import Report, outbox, to_json
from workflows.store.chunks import ChunkRun, RunDone, StepDone, TakenChunk
from workflows.worker import bodies, traces
from workflows.worker.running import Key, Running, key_of, timed
from workflows.worker.writer import Writer

log = structlog.get_logger(__name__)

#: seconds, and characters of JSON, after which what is done is recorded before the chunk's end
RECORD_AFTER, RECORD_BYTES = 0.02, 4_000_000
#: runs that leave in one statement
PORTION = 20
#: seconds at a chunk after which what has not begun leaves, so that other workers share it, if that would take as long
#: as LONG; and by the clock, however busy the machine is (Note [Busy machines])
LEAVE_AFTER, LONG, LONGEST = 0.1, 0.5, 5.0
#: seconds for which a body may run
SLOW = 0.02
#: seconds for which one thread is at its chunk while the others wait, and for which each waits at most; between two
#: looks at how long it has been at it
TURN, TURN_PATIENCE, LOOK_EVERY = 0.025, 1.0, 0.005
#: chunks of a version that took long within so many seconds, before the version counts as slow: one may take long since
#: the machine is busy
SLOW_TIMES, SLOW_WITHIN = 3, 60.0


class Slowness:
    """Which versions took long lately, in this process."""

    def __init__(self) -> None:
        self._seen: dict[int, deque[float]] = {}

    def again(self, version_id: int) -> bool:
        """A chunk of this version took long. Returns whether that happens too often."""
        now = time.monotonic()
        seen = self._seen.setdefault(version_id, deque(maxlen=SLOW_TIMES))
        seen.append(now)
        return len(seen) == SLOW_TIMES and now - seen[0] <= SLOW_WITHIN


class ChunkAtWork:
    """A chunk that one thread works through. Its other methods may be called by any thread."""

    def __init__(self, chunk: TakenChunk, writer: Writer, slowness: Slowness, turn: "_Turn") -> None:
        self.chunk = chunk
        self._turn = turn
        self._writer = writer
        self._slowness = slowness
        self._lock = threading.Lock()
        self._waiting = deque(chunk.runs)
        self._done: list[RunDone] = []
        self._bytes = 0
        #: the run that is under way; and what has happened to it, and when
        self._current: ChunkRun | None = None
        self._happened: list[tuple[Happening, float]] = []
        self._over = False
        #: the thread that works through it, and where that stood when the watchdog looked last
        self._thread = threading.get_native_id()
        self._stood = waited.stand_of(self._thread)
        #: the body that the watchdog saw last, when that was, and the seconds that the thread has been at it
        self._seen: tuple[Running | None, float, float] = None, 0.0, 0.0
        self._recorded: Future[None] | None = None

    def begin(self) -> ChunkRun | None:
        """The next run; None if nothing is left."""
        with self._lock:
            self._happened = []
            self._current = self._waiting.popleft() if self._waiting and not self._over else None
            return self._current

    def note(self, happening: Happening, at: float) -> bool:
        """Something happened to the run that is under way. False: it has left the chunk before."""
        with self._lock:
            if self._over:
                return False
            self._happened.append((happening, at))
            return True

    def done(self, one: RunDone, size: int) -> None:
        """The run that is under way has ended well. size: characters that it takes to record it."""
        with self._lock:
            if self._over:
                # It has left, with all of its steps done: the machine has ended it.
                return
            self._done.append(one)
            self._bytes += size
            self._current = None

    def leave_alone(self) -> None:
        """The run that is under way leaves."""
        with self._lock:
            if self._over or self._current is None:
                return
            self._writer.leave(self.chunk, {self._current.id: self._reports(self._current.id)})
            self._current = None

    def _reports(self, run_id: str) -> tuple[Report, ...]:
        """What has happened to the run that is under way: most runs never leave, so it is not put together before."""
        return tuple(Report(run_id, happening, at) for happening, at in self._happened)

    def watch(self, running: Running, now: float, *, late: bool) -> None:
        """What the watchdog sees: this body runs. All leave once the thread has been at it for SLOW seconds: on a busy
        machine a body of microseconds may stand still for longer. late: its time is up."""
        body, since, so_far = self._seen
        if body is not running:
            since, so_far = running.began, 0.0
        stands = waited.stand_of(self._thread)
        so_far += waited.at_it(now - since, self._stood, stands)
        self._seen, self._stood = (running, now, so_far), stands
        if late or so_far > SLOW:
            self.leave(slow=True)

    def leave(self, *, slow: bool = False) -> None:
        """End the chunk: all that is not done leaves. slow: because a body takes long."""
        with self._lock:
            if self._over:
                return
            self._over = True
            # The body that runs may take as long as it likes.
            self._turn.over()
            reports: dict[str, Sequence[Report]] = {run.id: () for run in self._waiting}
            if self._current is not None:
                reports[self._current.id] = self._reports(self._current.id)
            self._waiting.clear()
            if self._done:
                self._writer.record(self.chunk, self._done)
            slow = slow and self._slowness.again(self.chunk.version_id)
            # In portions, since the first inputs of those that have not begun are still to be rendered; the row goes
            # last.
            left = list(reports.items())
            for start in range(0, len(left), PORTION):
                self._writer.leave(self.chunk, dict(left[start : start + PORTION]))
            self._writer.leave(self.chunk, {}, ended=True, slow=slow)

    def record_some(self) -> None:
        """Record what is done, if it is much. Waits for what was handed over before."""
        with self._lock:
            done, self._done, self._bytes = self._done, [], 0
            if self._over or not done:
                return
            before, self._recorded = self._recorded, self._writer.record(self.chunk, done)
        if before is not None and not before.done():
            self._turn.over()
        if before is not None:
            before.result()

    @property
    def left(self) -> int:
        """Runs that were not begun."""
        return len(self._waiting)

    @property
    def heavy(self) -> bool:
        return self._bytes > RECORD_BYTES

    def end(self) -> None:
        """Nothing is left: record the rest, and wait for it."""
        with self._lock:
            if self._over:
                return
            self._over = True
            last = self._writer.record(self.chunk, self._done, ended=True)
        last.result()


class _Turn:
    """See Note [Turns]. Any thread may end it."""

    def __init__(self, turns: threading.Semaphore) -> None:
        self._turns = turns
        #: what is to be given back, once
        self._held: list[threading.Semaphore] = []

    def __enter__(self) -> "_Turn":
        if self._turns.acquire(timeout=TURN_PATIENCE):
            self._held.append(self._turns)
        return self

    def over(self) -> None:
        """The next one may begin."""
        # One of two threads gets it.
        with suppress(IndexError):
            self._held.pop().release()

    def __exit__(self, *_: object) -> None:
        self.over()


class ChunkRunner:
    """Works through chunks, in the thread that calls it. One per worker process."""

    def __init__(self, writer: Writer, running: dict[Key, Running], go_on: Callable[[Report], None]) -> None:
        """running: the worker's bodies, which the watchdog looks at. go_on: reports on a step of a run that has left,
        and works on what follows."""
        self._writer = writer
        self._running = running
        self._go_on = go_on
        self._at_work: set[ChunkAtWork] = set()
        self._slowness = Slowness()
        self._turn = threading.Semaphore()

    def leave(self) -> None:
        """Begin no further run: those that were not begun leave for other workers."""
        for one in list(self._at_work):
            one.leave()

    def work(self, chunk: TakenChunk, *, stopping: Callable[[], bool]) -> None:
        """Work through a chunk that this worker has taken."""
        turn = _Turn(self._turn)
        at_work = ChunkAtWork(chunk, self._writer, self._slowness, turn)
        self._at_work.add(at_work)
        try:
            links = self._links(chunk)
            if links is None or stopping() or outbox.interest().types:
                at_work.leave()
                return
            chain = graph_of(chunk.version_id).chain
            assert chain is not None
            with turn:
                self._walk_all(chain, links, at_work, turn)
            at_work.end()
        except BaseException:
            # Whatever it was: nobody else can take a chunk that a living worker has.
            at_work.leave()
            raise
        finally:
            self._at_work.discard(at_work)

    def _walk_all(
        self, chain: Chain, links: Sequence[tuple[Link, registry.StepSpec]], at_work: ChunkAtWork, turn: "_Turn"
    ) -> None:
        budget, watch, done = Budget(), waited.Stopwatch(), 0
        record_at, look_at = watch.began + RECORD_AFTER, watch.began + min(TURN, LEAVE_AFTER)
        while (run := at_work.begin()) is not None:
            try:
                self._walk(chain, links, run, at_work, budget)
            except Exception:
                # Whatever kept this run from its end must not cost us the others.
                log.exception("chunk_run_left", run_id=run.id)
                at_work.leave_alone()
            done += 1
            now = time.monotonic()
            if now > look_at:
                look_at = now + LOOK_EVERY
                so_far = watch.at_it()
                if so_far > TURN:
                    turn.over()
                long = so_far > LEAVE_AFTER and so_far / done * at_work.left > LONG
                if long or now - watch.began > LONGEST:
                    # Many short bodies, or a slow disk: only one body that takes long makes a version slow.
                    at_work.leave()
                    continue
            if at_work.heavy or now > record_at:
                at_work.record_some()
                record_at = time.monotonic() + RECORD_AFTER

    def _links(self, chunk: TakenChunk) -> list[tuple[Link, registry.StepSpec]] | None:
        """The chain's steps with their bodies; None if this process cannot run it as a chain."""
        if not chunk.runs:
            return []
        try:
            chain = graph_of(chunk.version_id).chain
            if chain is None:
                return None
            specs = [step_for(chunk.version_id, link.id, link.work.uses) for link in chain.links]
        except (UnknownStep, DefinitionInvalid):
            return None
        if any(spec.is_async or registry.recorder(spec.name) for spec in specs):
            return None
        return list(zip(chain.links, specs, strict=True))

    def _walk(
        self,
        chain: Chain,
        links: Sequence[tuple[Link, registry.StepSpec]],
        run: ChunkRun,
        at_work: ChunkAtWork,
        budget: Budget,
    ) -> None:
        """Take one run along its chain, as far as it goes."""
        chunk = at_work.chunk
        seen: dict[str, Any] = {
            "id": run.id,
            "workflow": chunk.workflow,
            "business_key": run.business_key,
            "created_at": run.created_at.isoformat(),
        }
        walk = Walk(chain, seen, run.input, budget)
        steps: list[StepDone] = []
        size = 0
        for link, spec in links:
            try:
                input = walk.input_of(link)
            except ExpressionError:
                # The machine decides this again, and says what is wrong.
                at_work.leave_alone()
                return
            claim = Claim(
                run.id, link.id, NO_ITEM, 1, input, chunk.version_id, chunk.workflow, run.business_key, chunk.lane,
                run.deadline_at, run.created_at,
            )  # fmt: skip
            key, lines, began = key_of(claim), traces.Lines(claim), time.monotonic()
            if not at_work.note(StepTaken(link.id), began):
                return
            self._running[key] = Running(claim, link.work, began, None, lines, at_work)
            happening = bodies.run_sync(claim, spec, link.work, lines)
            ended = time.monotonic()
            if self._running.pop(key, None) is None:
                # The watchdog has reported on it, and let it leave before.
                at_work.leave_alone()
                return
            timed(link.work, lines, happening, ended - began)
            if not at_work.note(happening, ended):
                self._go_on(Report(run.id, happening, ended))
                return
            if not isinstance(happening, StepSucceeded):
                at_work.leave_alone()
                return
            walk.succeeded(link, happening.output)
            done = StepDone(link.id, to_json(input) or "null", to_json(happening.output) or "null", began, ended)
            size += len(done.input) + len(done.output)
            steps.append(done)
        try:
            output = walk.output()
        except ExpressionError:
            at_work.leave_alone()
            return
        at_work.done(RunDone(run, output, tuple(steps)), size)
