"""Access that was refused, sign-ins that failed, requests that failed: recorded, but never more than a flood may cost.

The first of a kind (who, what, which status) within a minute is recorded at once; further ones are counted, and one
entry with their number is written when the minute is over. A process tells so many kinds apart and no more; all others
of that minute are one kind. That is counted apart for known callers, for sign-ins, and for strangers, of whom there may
be any number at any number of addresses: none of them hides what happens to the others. A process therefore writes at
most 2 * (sum of KINDS + 3) of these entries a minute, whatever comes. They are written by a thread of their own,
so that a stranger's request costs no statement. A process that is killed loses the last second of them, and the counts
of the last minute.
"""

import os
import queue
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from erip.audit import entries
from erip.audit.operation import MOST, Operation
from erip.foundation.http.addresses import address_group
from erip.foundation.process.background import database_service

#: seconds for which further ones of a kind are only counted
WINDOW = 60.0
#: kinds that are told apart in that time
KINDS = {"known": 200, "sign-in": 100, "strangers": 20}
#: seconds that the writing thread stays alive with nothing to write
LINGER = 2.0


class Refusals:
    """Those of one process."""

    def __init__(self, window: float = WINDOW) -> None:
        self._window = window
        self._forget()
        self._service = database_service(
            "audit-refusals", self._turn, keeps=False, needed=self._has_something, lingers=LINGER
        )

    def _forget(self) -> None:
        self._lock, self._writing = threading.Lock(), threading.Lock()
        self._noted = threading.Event()
        self._waiting: queue.SimpleQueue[Mapping[str, Any]] = queue.SimpleQueue()
        #: of whom, by kind: the body of the first, and how many came after it
        self._counts: dict[str, dict[tuple[Any, ...], list[Any]]] = {whom: {} for whom in KINDS}
        self._since = time.monotonic()

    def note(self, body: Mapping[str, Any]) -> None:
        """Record it, or count it. Never waits for the database."""
        who = body.get("principal") or address_group(str(body.get("from", "")))
        whom = _whom(body)
        kind: tuple[Any, ...] = (who, body.get("action"), body.get("status"))
        with self._lock:
            counts = self._counts[whom]
            if kind not in counts and len(counts) >= KINDS[whom]:
                kind = ("others",)
                body = {"kind": "operation", "action": f"others: {whom}", "outcome": body.get("outcome", "refused")}
            known = counts.get(kind)
            if known is not None:
                known[1] += 1
            else:
                counts[kind] = [body, 0]
                self._waiting.put(body)
                self._noted.set()
        self._service.start()

    def forget(self) -> None:
        """Drop everything that is waiting, and the counts."""
        with self._writing, self._lock:
            self._waiting = queue.SimpleQueue()
            self._counts, self._since = {whom: {} for whom in KINDS}, time.monotonic()

    def flush(self) -> None:
        """Write everything that is waiting, and the counts."""
        self._write(everything=True)

    def _has_something(self) -> bool:
        return not self._waiting.empty() or any(self._counts.values())

    def _turn(self) -> None:
        self._noted.wait(1.0)
        self._noted.clear()
        self._write(everything=False)

    def _write(self, *, everything: bool) -> None:
        with self._writing:
            bodies: list[Mapping[str, Any]] = []
            with suppress(queue.Empty):
                while True:
                    bodies.append(self._waiting.get_nowait())
            with self._lock:
                if everything or time.monotonic() - self._since >= self._window:
                    for counts in self._counts.values():
                        bodies += [{**body, "times": times} for body, times in counts.values() if times]
                    self._counts, self._since = {whom: {} for whom in KINDS}, time.monotonic()
            for body in bodies:
                entries.write(body)


def _whom(body: Mapping[str, Any]) -> str:
    """As which of KINDS it is counted."""
    if str(body.get("action", "")).startswith("sign-in"):
        return "sign-in"
    return "known" if body.get("principal") else "strangers"


_refusals = Refusals()
os.register_at_fork(after_in_child=_refusals._forget)


def note(operation: Operation, status: int, *, who: str = "") -> None:
    """This operation was refused with this status, or failed. who: whose it was, if the operation does not know."""
    outcome = "failed" if status >= 500 else "refused"
    more = {"principal": who} if who else {}
    _refusals.note(operation.body(**{"outcome": outcome, "status": status, **operation.detail, **more}))


def at_door(method: str, path: str, address: str, status: int, who: str) -> None:
    """Somebody was refused at the front door, before the request was read. who: "" of a stranger."""
    body = {
        "kind": "operation", "door": "api", "action": method[:20], "principal": who, "object": path[:MOST],
        "from": address, "outcome": "refused", "status": status,
    }  # fmt: skip
    _refusals.note({name: value for name, value in body.items() if value != ""})


def flush() -> None:
    """Write what this process has noted."""
    _refusals.flush()


def forget() -> None:
    """Write nothing of what this process has noted: tests do this, whose databases follow one another."""
    _refusals.forget()
