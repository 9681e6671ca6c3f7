"""What the clients were promised: kept in memory, and appended to a file that outlives the benchmark.

The file holds one JSON object per line, in the order in which the promises were made:

{"asked": key, "workflow": …, "number": …}     a start was sent; it may have been carried out even without an answer
{"run": id, "key": key}                         202: this run is accepted
{"cancelled": id, "status": 200 or 409}         the answer to a cancel
{"event": id, "key": key, "seq": n}             202: this event is accepted
{"gave_up": [ids]}                              events whose batch got no answer: they may be recorded or not
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import orjson


@dataclass(frozen=True, slots=True)
class Start:
    """A start that was sent. `key` is its idempotency key and its business key."""

    key: str
    workflow: str
    number: int


@dataclass(frozen=True, slots=True)
class Event:
    """An event with its place among those of its key."""

    id: str
    key: str
    seq: int


@dataclass
class Ledger:
    """Promises of one fleet."""

    asked: dict[str, Start] = field(default_factory=dict)
    #: the run that each key was promised
    runs: dict[str, str] = field(default_factory=dict)
    #: the status in the answer to the last cancel of a run
    cancels: dict[str, int] = field(default_factory=dict)
    #: in the order of acceptance
    events: list[Event] = field(default_factory=list)
    #: events that may be recorded or not
    unknown: list[Event] = field(default_factory=list)
    #: answers that broke a promise as soon as they were given, e.g. another run for the same key
    broken: list[str] = field(default_factory=list)
    file: IO[bytes] | None = None

    @classmethod
    def at(cls, path: Path) -> "Ledger":
        return cls(file=path.open("ab", buffering=0))

    def ask(self, start: Start) -> None:
        self.asked[start.key] = start
        self._write({"asked": start.key, "workflow": start.workflow, "number": start.number})

    def accept(self, key: str, run_id: str) -> None:
        before = self.runs.setdefault(key, run_id)
        if before != run_id:
            self.broken.append(f"key {key}: run {run_id} after run {before}")
        self._write({"run": run_id, "key": key})

    def cancel(self, run_id: str, status: int) -> None:
        # 200, then 409 for a repeated request: the first is the promise.
        if self.cancels.get(run_id) != 200:
            self.cancels[run_id] = status
        self._write({"cancelled": run_id, "status": status})

    def accept_events(self, events: Sequence[Event]) -> None:
        self.events += events
        for event in events:
            self._write({"event": event.id, "key": event.key, "seq": event.seq})

    def give_up(self, events: Sequence[Event]) -> None:
        self.unknown += events
        self._write({"gave_up": [event.id for event in events]})

    def close(self) -> None:
        if self.file is not None:
            self.file.close()
            self.file = None

    def _write(self, what: dict[str, Any]) -> None:
        if self.file is not None:
            self.file.write(orjson.dumps(what) + b"\n")
