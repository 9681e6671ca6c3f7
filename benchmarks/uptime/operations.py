"""What a client of the fleet does, and what a right answer to it is."""

from collections import deque
from random import Random
from typing import Any, Protocol
from uuid import uuid4

from ..client import Answer, Client
from ..records import RUN_ENDS
from ..workloads import THREAT, W4, WAITS, Workload
from .ledger import Ledger, Start
from .retries import persist
from .samples import Try

#: rows of a requested page
PAGE = 50
#: how many accepted runs the clients still ask after
REMEMBERED = 300
STATES = RUN_ENDS | {"PENDING", "RUNNING", "WAITING", "PAUSED", "COMPENSATING"}


class Operation(Protocol):
    """One kind of request. `ready`: whether there is something to ask for now."""

    name: str

    def ready(self) -> bool: ...

    async def ask(self) -> tuple[Try, ...]: ...


class Runs:
    """What the operations on runs share: the client, the ledger, and which runs there are to ask after."""

    def __init__(self, client: Client, ledger: Ledger, random: Random) -> None:
        self.client, self.ledger, self.random = client, ledger, random
        #: of this fleet: every business key begins with it
        self.prefix = f"uptime-{uuid4().hex[:12]}-"
        self.accepted: deque[tuple[Start, str]] = deque(maxlen=REMEMBERED)
        self.cancellable: deque[tuple[Start, str]] = deque(maxlen=REMEMBERED)
        self._number = 0

    def next_start(self, workload: Workload) -> Start:
        self._number += 1
        return Start(f"{self.prefix}{self._number}", workload.workflow, self._number)

    async def send_start(self, start: Start, workload: Workload, lane: str, seconds: float) -> Answer:
        body = {"input": workload.input(start.number), "business_key": start.key, "lane": lane}
        headers = f"Idempotency-Key: {start.key}\r\n"
        path = f"/workflows/{workload.workflow}/runs"
        return await self.client.request("POST", path, body, headers=headers, seconds=seconds)


class StartRun:
    """Starts a run under an idempotency key that nobody else has. Right: 202 with this run.

    The run may exist already at the first try too: HAProxy sends such a request again when a web process dies over it.
    """

    def __init__(self, runs: Runs, name: str, workload: Workload, lane: str, *, cancellable: bool = False) -> None:
        self.name = name
        self._runs, self._workload, self._lane, self._cancellable = runs, workload, lane, cancellable

    def ready(self) -> bool:
        return True

    async def ask(self) -> tuple[Try, ...]:
        runs, start = self._runs, self._runs.next_start(self._workload)
        runs.ledger.ask(start)

        async def send(seconds: float) -> Answer:
            return await runs.send_start(start, self._workload, self._lane, seconds)

        def judge(answer: Answer) -> str | None:
            if answer.status != 202:
                return str(answer.status)
            told = answer.json()
            if (told["workflow"], told["business_key"], told["lane"]) != (start.workflow, start.key, self._lane):
                return "another run"
            runs.ledger.accept(start.key, told["id"])
            runs.accepted.append((start, told["id"]))
            if self._cancellable:
                runs.cancellable.append((start, told["id"]))
            return None

        return await persist(send, judge, runs.random)


class StartAgain:
    """Sends an accepted start once more, as a client does that lost the answer. Right: 202 with the same run."""

    name = "start again"

    def __init__(self, runs: Runs, workload: Workload, lane: str) -> None:
        self._runs, self._workload, self._lane = runs, workload, lane

    def ready(self) -> bool:
        return any(start.workflow == self._workload.workflow for start, _ in self._runs.accepted)

    async def ask(self) -> tuple[Try, ...]:
        runs = self._runs
        known = [one for one in runs.accepted if one[0].workflow == self._workload.workflow]
        start, run_id = runs.random.choice(known)

        def judge(answer: Answer) -> str | None:
            if answer.status != 202:
                return str(answer.status)
            told = answer.json()
            runs.ledger.accept(start.key, told["id"])
            return None if told["id"] == run_id and told["existing"] else "another run for the same key"

        return await persist(
            lambda seconds: runs.send_start(start, self._workload, self._lane, seconds), judge, runs.random
        )


class ReadRun:
    """Reads a run that was accepted before: every other time the newest. Right: that run, with its key."""

    name = "read"

    def __init__(self, runs: Runs) -> None:
        self._runs = runs

    def ready(self) -> bool:
        return bool(self._runs.accepted)

    async def ask(self) -> tuple[Try, ...]:
        runs = self._runs
        start, run_id = runs.accepted[-1] if runs.random.random() < 0.5 else runs.random.choice(runs.accepted)

        def judge(answer: Answer) -> str | None:
            if answer.status != 200:
                return f"own run: {answer.status}"
            told = answer.json()
            right = (told["id"], told["workflow"], told["business_key"]) == (run_id, start.workflow, start.key)
            return None if right and told["status"] in STATES and told["steps"] else "another run"

        return await persist(
            lambda seconds: runs.client.request("GET", f"/runs/{run_id}", seconds=seconds), judge, runs.random
        )


class ListRuns:
    """Reads the newest page of a workflow's runs. Right: newest first, and the run that was accepted last is on it."""

    name = "list"

    def __init__(self, runs: Runs, workload: Workload) -> None:
        self._runs, self._workload = runs, workload

    def ready(self) -> bool:
        return True

    async def ask(self) -> tuple[Try, ...]:
        runs, workflow = self._runs, self._workload.workflow
        own = [run_id for start, run_id in runs.accepted if start.workflow == workflow]
        path = f"/runs?workflow={workflow}&limit={PAGE}"

        def judge(answer: Answer) -> str | None:
            if answer.status != 200:
                return str(answer.status)
            return list_fault(answer.json(), workflow, own[-1] if own else None)

        return await persist(lambda seconds: runs.client.request("GET", path, seconds=seconds), judge, runs.random)


def list_fault(told: dict[str, Any], workflow: str, own: str | None) -> str | None:
    """What is wrong with a page of runs. own: a run that was accepted before the page was asked for."""
    ids = [item["id"] for item in told["items"]]
    if any(item["workflow"] != workflow for item in told["items"]) or len(ids) > PAGE:
        return "not the list that was asked for"
    if ids != sorted(ids, reverse=True) or len(ids) != len(set(ids)):
        return "not newest first"
    # Ids sort by time: one that is older than a full page is on the next.
    if own is not None and own not in ids and (len(ids) < PAGE or own > ids[-1]):
        return "own run is missing"
    return None


class CancelRun:
    """Cancels a run that has just been accepted. Right: 200 and CANCELLED, or 409 because it has ended."""

    name = "cancel"

    def __init__(self, runs: Runs) -> None:
        self._runs = runs

    def ready(self) -> bool:
        return bool(self._runs.cancellable)

    async def ask(self) -> tuple[Try, ...]:
        runs = self._runs
        _, run_id = runs.cancellable.pop()
        path = f"/runs/{run_id}/cancel"

        def judge(answer: Answer) -> str | None:
            if answer.status not in (200, 409):
                return str(answer.status)
            if answer.status == 200 and answer.json()["status"] != "CANCELLED":
                return "200, and not CANCELLED"
            runs.ledger.cancel(run_id, answer.status)
            return None

        body, headers = {"reason": "uptime"}, f"Idempotency-Key: cancel-{run_id}\r\n"
        # Whatever the answer: the request may be carried out.
        runs.ledger.cancels.setdefault(run_id, 0)
        return await persist(
            lambda seconds: runs.client.request("POST", path, body, headers=headers, seconds=seconds),
            judge,
            runs.random,
        )


def of_runs(runs: Runs) -> dict[Operation, int]:
    """The operations on runs, with their weights."""
    return {
        StartRun(runs, "start critical", THREAT, "critical"): 8,
        StartRun(runs, "start standard", W4, "standard"): 8,
        StartRun(runs, "start standard", WAITS, "standard", cancellable=True): 4,
        StartAgain(runs, W4, "standard"): 4,
        ReadRun(runs): 10,
        ListRuns(runs, W4): 6,
        CancelRun(runs): 4,
    }
