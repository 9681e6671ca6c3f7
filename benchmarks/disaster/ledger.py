"""Callers of the API that remember what was acknowledged, by which site and when; and what of it is left."""

import http.client
import itertools
import json
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from ..workloads import SLEEPS, W4

#: runs in one request
BULK = 1_000
#: seconds until a request that got no answer is sent again, with the same idempotency key
AGAIN = 0.2


@dataclass(frozen=True, slots=True)
class Loss:
    """What of a site's acknowledged starts is not there. seconds: how long before the loss the oldest of them was
    acknowledged; 0 if none is missing."""

    acknowledged: int
    missing: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """By whom, and when (`time.monotonic`)."""

    site: str
    at: float


def loss(ledger: Mapping[str, Acknowledged], there: Collection[str], *, site: str, lost_at: float) -> Loss:
    """Of the starts that this site acknowledged before it was lost. there: ids of the runs that are left."""
    given = {run: one.at for run, one in ledger.items() if one.site == site and one.at <= lost_at}
    missing = sorted(run for run in given if run not in there)
    return Loss(len(given), tuple(missing), max((lost_at - given[run] for run in missing), default=0.0))


def missed(ledger: Collection[str], there: Collection[str], lost: Loss) -> list[str]:
    """Of all starts that were acknowledged, by whichever site: what is not there. lost: what had gone before."""
    return sorted(set(ledger).difference(there, lost.missing))


class Callers:
    """Threads that start runs at the site where `url` leads. Each request is sent until it is answered."""

    def __init__(self, key: str) -> None:
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        #: name and URL of the site that callers are led to
        self.site: tuple[str, str] = ("", "")
        self.runs: dict[str, Acknowledged] = {}
        #: answers that are none of a right start
        self.wrong: list[str] = []
        #: requests that were sent more than once
        self.again = 0
        self._numbers, self._keys = itertools.count(1), itertools.count(1)
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    def define(self) -> None:
        """Publish the workflows. Raises OSError."""
        for one in (W4, SLEEPS):
            answer = self._once("PUT", f"/workflows/{one.workflow}", one.definition, {})
            if answer.status not in (200, 201):
                raise OSError(f"{one.workflow}: {answer.status} {answer.body[:300]!r}")

    def sleepers(self, count: int, until: str, *, threads: int = 2) -> None:
        """Start so many runs that sleep until this moment (RFC 3339)."""
        left = iter([min(BULK, count - first) for first in range(0, count, BULK)])

        def work() -> None:
            while True:
                with self._lock:
                    size = next(left, 0)
                if not size:
                    return
                self.start(SLEEPS.workflow, [{"value": next(self._numbers), "at": until} for _ in range(size)])

        at_it = [threading.Thread(target=work) for _ in range(threads)]
        for thread in at_it:
            thread.start()
        for thread in at_it:
            thread.join()

    def chains(self, count: int) -> None:
        """Start so many W4, in one request: in chunks."""
        self.start(W4.workflow, [{"value": next(self._numbers)} for _ in range(count)])

    def traffic(self, every: float) -> None:
        """From now on: a W4 alone and 25 together, so many seconds after the last were answered."""
        for size in (1, 25):
            thread = threading.Thread(target=self._go_on, args=(size, every), daemon=True)
            thread.start()
            self._threads.append(thread)

    def begin_chains(self, count: int, *, times: int) -> None:
        """`chains`, so many times side by side."""
        for _ in range(times):
            thread = threading.Thread(target=self.chains, args=(count,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def end(self) -> None:
        """No new starts. Each request has got its answer then; one that has not within its time counts as wrong."""
        self._over.set()
        for thread in self._threads:
            thread.join(60)
            if thread.is_alive():
                self.wrong.append("a request got no answer")
        self._threads.clear()
        self._over = threading.Event()

    def _go_on(self, size: int, every: float) -> None:
        over = self._over
        while not over.wait(every):
            self.chains(size)

    def start(self, workflow: str, inputs: Sequence[Mapping[str, Any]]) -> None:
        """One request, until it is answered."""
        key = f"disaster-{next(self._keys)}"
        alone = len(inputs) == 1
        path = f"/workflows/{workflow}/runs" if alone else "/runs/bulk"
        body = {"input": inputs[0]} if alone else {"workflow": workflow, "inputs": inputs}
        tries = 0
        while True:
            site = self.site[0]
            try:
                answer = self._once("POST", path, body, {"Idempotency-Key": key})
            except (OSError, http.client.HTTPException):
                answer = Answer(0, b"")
            at = time.monotonic()
            if answer.status in (200, 202):
                told = answer.json()
                ids = [told["id"]] if alone else told["ids"]
                with self._lock:
                    self.again += tries > 0
                    self.runs.update((run, Acknowledged(site, at)) for run in ids)
                    if len(ids) != len(inputs):
                        self.wrong.append(f"{len(ids)} runs for {len(inputs)} inputs")
                return
            if answer.status not in (0, 401, 409, 429, 500, 502, 503):
                self.wrong.append(f"{answer.status}: {answer.body[:300]!r}")
                return
            tries += 1
            time.sleep(AGAIN)

    def _once(self, method: str, path: str, body: Any, headers: Mapping[str, str]) -> "Answer":
        parts = urlsplit(self.site[1])
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        try:
            connection.request(method, f"/api/v1{path}", json.dumps(body), {**self._headers, **headers})
            response = connection.getresponse()
            return Answer(response.status, response.read())
        finally:
            connection.close()


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes = field(repr=False)

    def json(self) -> Any:
        return json.loads(self.body)
