"""What a run waits for, in sentences. Pure: what PostgreSQL knows comes in as facts.

Every step that has not ended gets one sentence: for what it waits, since when, behind how many, in which lane, which
limit holds, and when it is expected to go on. What is not known is left out, or said to be unknown; it is never taken
for zero.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from workflows.core.graph import Graph, StepNode
from workflows.core.machine import NO_ITEM, StepView
from workflows.core.states import StepState

#: steps of a queue, or in more urgent queues, are counted up to this number
COUNT_TO = 1_000


@dataclass(frozen=True, slots=True)
class Holder:
    """The worker that runs a step."""

    name: str
    #: seconds since it was last heard of
    silent: float
    #: whether it has stopped, or was taken for dead
    gone: bool


@dataclass(frozen=True, slots=True)
class Queue:
    """What a ready step waits behind."""

    #: steps of its lane that became ready before it; at most COUNT_TO
    ahead: int
    #: ready steps of more urgent lanes; at most COUNT_TO
    urgent: int
    #: living workers that serve its lane
    workers: int
    #: ready steps per second that these take; None: not measured yet
    rate: float | None


@dataclass(frozen=True, slots=True)
class Pause:
    """The pause of the run."""

    since: datetime
    by: str
    reason: str
    #: whether the run's clock stands: what is left of each time is kept
    stands: bool
    #: what was paused with it, in words: "the workflow triage"; "": it was paused by itself
    together: str = ""


@dataclass(frozen=True, slots=True)
class StepFacts:
    """A step, or an item of one, that has a row and has not ended. Moments are in UTC."""

    view: StepView
    lane: str
    item: int = NO_ITEM
    ready_at: datetime | None = None
    started_at: datetime | None = None
    due_at: datetime | None = None
    #: of its last attempt, if that failed
    error: str | None = None
    holder: Holder | None = None
    #: of a step with a heartbeat: when it was last written down what it said, and how far it said it was, as JSON
    heard_at: datetime | None = None
    progress: str | None = None
    queue: Queue | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a run and of the workers."""

    now: datetime
    #: by step; for a step with items also some of its items
    steps: Mapping[str, Sequence[StepFacts]]
    #: steps that have ended
    ended: Collection[str]
    #: seconds without a heartbeat after which a worker is taken for dead
    lease: float
    #: by lane: seconds within which admitted work starts
    bounds: Mapping[str, float]
    #: registered steps that at least one living worker knows; None: a living worker does not say which it knows
    registered: frozenset[str] | None = None
    #: whether any worker is alive
    workers: bool = True
    #: while the run is paused
    pause: Pause | None = None


@dataclass(frozen=True, slots=True)
class Waits:
    """One thing that waits."""

    step: str
    item: int | None
    status: str
    #: steps, worker, attempt, retry, time, signal, items, person or resumption
    waits_for: str
    #: with a full stop
    sentence: str
    since: datetime | None = None
    #: when it goes on by itself: at the latest, or for a queue as estimated; None: unknown, or never
    until: datetime | None = None
    lane: str | None = None
    #: of a queue: how many steps are served before it
    ahead: int | None = None
    #: the limit that holds, in words
    limit: str | None = None
    worker: str | None = None


def explain(graph: Graph, facts: Facts) -> list[Waits]:
    """What each step waits for that has not ended, in the order of the graph."""
    found: list[Waits] = []
    for node in graph.steps.values():
        if node.id in facts.ended:
            continue
        rows = facts.steps.get(node.id, ())
        if rows:
            found.extend(_row(node, row, facts) for row in rows)
        else:
            found.append(_pending(node, graph, facts))
    return found


def _pending(node: StepNode, graph: Graph, facts: Facts) -> Waits:
    needs = [need for need in node.needs if need not in facts.ended]
    if needs:
        sentence = f"waits for {_list(needs)} to end"
    elif not node.essential:
        sentence = f"waits for the run's outcome{_and_needs(node, graph)}"
    else:
        sentence = "is about to begin"
    return Waits(node.id, None, StepState.PENDING, "steps", _sentence(node.id, None, sentence))


def _and_needs(node: StepNode, graph: Graph) -> str:
    essential = any(other.essential for other in graph.steps.values())
    return ": it is not essential, and runs when the essential steps have ended" if essential else ""


def _row(node: StepNode, row: StepFacts, facts: Facts) -> Waits:
    item = None if row.item == NO_ITEM else row.item
    waits = Waits(node.id, item, row.view.state, "person", "", lane=row.lane)
    if row.view.fan is not None or (row.view.state is StepState.RUNNING and row.holder is None):
        waits = _items(waits, node, row)
    elif row.view.state is StepState.READY:
        waits = _ready(waits, node, row, facts)
    elif row.view.state is StepState.RUNNING:
        waits = _running(waits, node, row, facts)
    elif row.view.state is StepState.PAUSED:
        waits = _paused(waits, node, row, facts)
    elif row.view.state is StepState.WAITING and node.work is None:
        waits = _waiting(waits, node, row, facts)
    elif row.view.state is StepState.WAITING:
        waits = _resting(waits, node, row, facts)
    elif row.view.state is StepState.PENDING:
        waits = replace(waits, waits_for="items", sentence="waits for a place among the items of its step")
    else:
        waits = replace(waits, since=row.started_at, sentence=node.how.explain(row.view, row.due_at))
    return replace(waits, sentence=_sentence(node.id, item, waits.sentence))


def _items(waits: Waits, node: StepNode, row: StepFacts) -> Waits:
    limit = f"at most {node.how.places:,} items at once" if node.how.places else None
    told = node.how.explain(row.view, row.due_at)
    more = f"; {limit}" if limit else ""
    return replace(
        waits,
        waits_for="items",
        since=row.started_at,
        limit=limit,
        sentence=f"{told}{more}{_since(row.started_at)}",
    )


def _ready(waits: Waits, node: StepNode, row: StepFacts, facts: Facts) -> Waits:
    queue, bound = row.queue, facts.bounds.get(row.lane)
    waits = replace(waits, waits_for="worker", since=row.ready_at)
    told = f"waits for a worker of lane {row.lane}{_since(row.ready_at)}"
    if queue is not None:
        waits = replace(waits, ahead=queue.ahead + queue.urgent)
        told += f", behind {_count(queue.ahead)} of its lane and {_count(queue.urgent)} of more urgent ones"
    if bound is not None:
        limit = f"admitted work of lane {row.lane} starts within {bound:g} s while workers are up"
        waits = replace(waits, limit=limit)
        told += f"; {limit}"
    uses = node.work.uses if node.work else None
    if not facts.workers or (queue is not None and not queue.workers):
        return replace(waits, sentence=f"{told}; but no living worker serves lane {row.lane}: start one")
    if facts.registered is not None and uses is not None and uses not in facts.registered:
        return replace(waits, sentence=f'{told}; but no living worker has the step "{uses}": start one that has it')
    if queue is None or not queue.rate:
        return replace(waits, sentence=f"{told}; nobody has measured yet how fast its workers are")
    seconds = (queue.ahead + queue.urgent) / queue.rate
    until = facts.now + timedelta(seconds=seconds)
    at_least = "at least " if COUNT_TO in (queue.ahead, queue.urgent) else ""
    told += f"; expected in {at_least}{_span(seconds)}, at {queue.rate:,.3g} steps/s"
    return replace(waits, until=until, sentence=told)


def _running(waits: Waits, node: StepNode, row: StepFacts, facts: Facts) -> Waits:
    holder = row.holder
    assert holder is not None  # a running row without one has items
    waits = replace(waits, waits_for="attempt", since=row.started_at, worker=holder.name)
    told = f"attempt {row.view.attempt} runs on worker {holder.name}{_since(row.started_at)}"
    if node.work is not None:
        tries = f"failure {row.view.failures + 1} of {node.work.retry.max_attempts} would be its last"
        if row.view.failures + 1 < node.work.retry.max_attempts:
            tries = f"it may fail {node.work.retry.max_attempts} times, and has {_times(row.view.failures)}"
        limit = f"an attempt may take {node.work.timeout:g} s; {tries}"
        waits = replace(waits, limit=limit)
        told += f"; {limit}"
        if row.started_at is not None:
            waits = replace(waits, until=row.started_at + timedelta(seconds=node.work.timeout))
    if row.heard_at is not None:
        told += f"; it last said at {_moment(row.heard_at)}" + (
            f": {row.progress}" if row.progress else " that it goes on"
        )
    if holder.gone:
        return replace(waits, sentence=f"{told}; but that worker is gone: the leader is about to take the step back")
    left = max(0.0, facts.lease - holder.silent)
    lease = (
        f"the worker was heard of {holder.silent:.1f} s ago, and keeps the step unless it is silent for {_span(left)}"
    )
    return replace(waits, sentence=f"{told}; {lease} more")


def _waiting(waits: Waits, node: StepNode, row: StepFacts, facts: Facts) -> Waits:
    what = "signal" if node.how.signals else "time" if row.due_at is not None or not node.how.watches else "steps"
    if node.how.asks_people:
        what = "person"
    told = node.how.explain(row.view, row.due_at) + _since(row.started_at) + _in(row.due_at, facts.now)
    limit = f"until {_moment(row.due_at)}" if row.due_at is not None and what in ("signal", "person") else None
    return replace(waits, waits_for=what, since=row.started_at, until=row.due_at, limit=limit, sentence=told)


def _resting(waits: Waits, node: StepNode, row: StepFacts, facts: Facts) -> Waits:
    assert node.work is not None  # the caller has looked
    limit = f"{row.view.failures} of at most {node.work.retry.max_attempts} failures"
    cause = f"; attempt {row.view.attempt} failed: {row.error}" if row.error else ""
    told = f"rests until {_moment(row.due_at)} before attempt {row.view.attempt + 1}{_in(row.due_at, facts.now)}"
    return replace(
        waits,
        waits_for="retry",
        since=row.started_at,
        until=row.due_at,
        limit=limit,
        sentence=f"{told}; {limit}{cause}",
    )


def _paused(waits: Waits, node: StepNode, row: StepFacts, facts: Facts) -> Waits:
    pause = facts.pause
    told = f"waits for the run to be resumed{_since(pause.since) if pause else ''}"
    if row.due_at is None or pause is None:
        return replace(waits, waits_for="resumption", since=pause.since if pause else None, sentence=told)
    left = max(0.0, (row.due_at - pause.since).total_seconds())
    if node.how.fixed or not pause.stands:
        limit = f"its moment stays {_moment(row.due_at)}"
    else:
        limit = f"{_span(left)} of its time are left, and count again from then on"
    return replace(waits, waits_for="resumption", since=pause.since, limit=limit, sentence=f"{told}; {limit}")


def paused(pause: Pause, deadline_in: float | None) -> str:
    """Since when and by whom the run is paused, and what its times do, in one sentence."""
    why = f" ({pause.reason})" if pause.reason else ""
    also = f" with {pause.together}" if pause.together else ""
    told = f"It was paused{also} at {_moment(pause.since)} by {pause.by}{why}"
    if not pause.stands:
        return f"{told}; its times go on."
    left = f", and {_span(deadline_in)} until its deadline" if deadline_in is not None else ""
    return f"{told}; what is left of each time is kept{left}."


def deadline(deadline_at: datetime | None, now: datetime) -> str:
    """What becomes of the run at its deadline, in one sentence."""
    if deadline_at is None:
        return "The run has no deadline."
    return f"The run is given up at {_moment(deadline_at)}, if it has not ended by then{_in(deadline_at, now)}."


def _sentence(step: str, item: int | None, told: str) -> str:
    return f"{step}{'' if item is None else f'[{item}]'} {told}."


def _list(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _count(number: int) -> str:
    return f"{number:,} or more" if number >= COUNT_TO else f"{number:,}"


def _times(number: int) -> str:
    return {0: "never failed", 1: "failed once"}.get(number, f"failed {number} times")


def _moment(at: datetime | None) -> str:
    return (
        "an unknown moment" if at is None else at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    )


def _since(at: datetime | None) -> str:
    return "" if at is None else f" since {_moment(at)}"


def _in(at: datetime | None, now: datetime) -> str:
    if at is None:
        return ""
    left = (at - now).total_seconds()
    return f" (in {_span(left)})" if left > 0 else " (due now)"


def _span(seconds: float) -> str:
    """How long, as people say it: two units at most."""
    if seconds < 10:
        return f"{max(0.0, seconds):.1f} s"
    whole = round(seconds)
    parts = []
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        count, whole = divmod(whole, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])
