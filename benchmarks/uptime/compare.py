"""The ledger against what is recorded: every promise that was not kept, by name."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ..records import RUN_ENDS
from .ledger import Event, Ledger


@dataclass(frozen=True, slots=True)
class FoundRun:
    """A run as it is recorded. `key`: its business key."""

    id: str
    key: str
    state: str


@dataclass(frozen=True, slots=True)
class FoundEvent:
    """An event as it is in the log. Positions count up within a partition."""

    id: str
    partition: int
    position: int


@dataclass(frozen=True)
class Findings:
    """Broken promises, each by its key or id. When all are empty, every promise was kept."""

    #: accepted, and not recorded
    lost: list[str] = field(default_factory=list)
    #: recorded, but not ended within the time for recovery
    unended: list[str] = field(default_factory=list)
    #: ended, but neither SUCCEEDED nor cancelled
    failed: list[str] = field(default_factory=list)
    #: idempotency keys with more than one run, or with another run than was promised
    duplicated: list[str] = field(default_factory=list)
    #: cancels that were confirmed and not carried out
    uncancelled: list[str] = field(default_factory=list)
    events_lost: list[str] = field(default_factory=list)
    events_twice: list[str] = field(default_factory=list)
    #: keys whose events are not in the order of their acceptance
    disordered: list[str] = field(default_factory=list)
    #: runs and events that are recorded although their client never got an answer: allowed, and counted
    unanswered: int = 0

    @property
    def faults(self) -> list[str]:
        named = (
            ("run accepted and lost", self.lost),
            ("run did not end", self.unended),
            ("run failed", self.failed),
            ("key with two runs", self.duplicated),
            ("cancel not carried out", self.uncancelled),
            ("event accepted and lost", self.events_lost),
            ("event recorded twice", self.events_twice),
            ("events out of order, key", self.disordered),
        )
        return [f"{what}: {name}" for what, names in named for name in names]


def compare_runs(ledger: Ledger, found: Iterable[FoundRun]) -> Findings:
    """found: every run whose business key begins with the fleet's prefix."""
    by_key: dict[str, list[FoundRun]] = defaultdict(list)
    for run in found:
        by_key[run.key].append(run)
    known = {run.id: run for runs in by_key.values() for run in runs}
    lost = [run_id for run_id in ledger.runs.values() if run_id not in known]
    duplicated = [
        key
        for key, runs in by_key.items()
        if len({run.id for run in runs}) > 1 or (key in ledger.runs and runs[0].id != ledger.runs[key])
    ]
    uncancelled = [
        run_id
        for run_id, status in ledger.cancels.items()
        if status == 200 and run_id in known and known[run_id].state in RUN_ENDS and known[run_id].state != "CANCELLED"
    ]
    # A client that got no answer to its cancel may find the run cancelled all the same.
    allowed = {run_id for run_id in known if run_id in ledger.cancels}
    return Findings(
        lost=lost,
        unended=[run.id for run in known.values() if run.state not in RUN_ENDS],
        failed=[
            f"{run.id} {run.state}"
            for run in known.values()
            if run.state in RUN_ENDS
            and run.state != "SUCCEEDED"
            and not (run.state == "CANCELLED" and run.id in allowed)
        ],
        duplicated=duplicated,
        uncancelled=uncancelled,
        unanswered=sum(key not in ledger.runs for key in by_key),
    )


def compare_events(ledger: Ledger, found: Sequence[FoundEvent]) -> Findings:
    """found: every event of the fleet's source that is in the log."""
    count = Counter(event.id for event in found)
    promised = {event.id for event in ledger.events}
    return Findings(
        events_lost=[event.id for event in ledger.events if not count[event.id]],
        events_twice=[event_id for event_id, times in count.items() if times > 1],
        disordered=disordered(ledger.events, found),
        unanswered=sum(event_id not in promised for event_id in count),
    )


def disordered(promised: Iterable[Event], found: Sequence[FoundEvent]) -> list[str]:
    """Keys whose events stand in more than one partition, or not in the order of their sequence numbers."""
    places = {event.id: (event.partition, event.position) for event in found}
    by_key: dict[str, list[Event]] = defaultdict(list)
    for event in promised:
        if event.id in places:
            by_key[event.key].append(event)
    wrong = []
    for key, events in by_key.items():
        in_order = [places[event.id] for event in sorted(events, key=lambda event: event.seq)]
        if len({partition for partition, _ in in_order}) > 1 or in_order != sorted(in_order):
            wrong.append(key)
    return wrong
