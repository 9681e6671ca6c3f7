"""What the scenarios share: the deployment, a client, the recorded truth, and starting many runs."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from .causes.pager import Pager
from .client import Answer, Client
from .deployment import Deployment
from .errors import BenchmarkError, Missing
from .figures import Load
from .traffic.profile import Profile
from .truth import ApiTruth, DatabaseTruth, Truth
from .workloads import Workload

#: runs in one request
BULK = 10_000


class Show(Protocol):
    """Live progress."""

    def phase(self, title: str, total: int | None = None) -> Callable[[int], None]:
        """Begin a phase; call the result with how much of it is done."""
        ...

    def note(self, line: str) -> None:
        """Keep a line above what is going on."""
        ...


@dataclass(frozen=True)
class Options:
    """How large the loads are."""

    in_flight: int = 150
    count: int = 100
    rate: float = 10.0
    runs: int = 5_000
    backlog: int = 2_000
    waits: int = 150
    fan_outs: int = 10
    finished: int = 5_000_000
    #: finished runs among which filters search
    among: int = 97_700
    #: runs that are paused, resumed and cancelled by filter
    many: int = 50_000
    #: timers: runs that wait, of which so many are due each second, for so long; runs that are due in one second; runs
    #: that only sleep. 0 leaves the part out.
    waiting: int = 100_000
    due_rate: float = 500.0
    due_seconds: float = 60.0
    due: int = 20_000
    sleepers: int = 1_000_000
    #: signals that race timeouts and cancels
    races: int = 1_000
    kills: int = 2
    #: uptime: seconds of load, and operations per second
    duration: float = 300.0
    fleet: float = 20.0
    #: uptime, event-crash: decides which faults come when; None: a new seed
    seed: int | None = None
    #: uptime: the kinds of faults; None: all for which the deployment has a victim
    faults: tuple[str, ...] | None = None
    #: uptime: one of each server in place of the topology that fails over
    single: bool = False
    #: upgrade: from which commit or tag, and rows of the table that is migrated meanwhile
    before: str = ""
    rows: int = 5_000_000
    #: causes: how many seeds, and seconds without any fault
    seeds: int = 3
    calm: float = 1_800.0
    #: what-if: past runs
    what_if: int = 10_000
    #: pulse: how often the load is put on each stack, and seconds at rest
    turns: int = 5
    idle: float = 300.0
    #: events per second, and for how many seconds
    event_rate: float = 10_200.0
    event_seconds: float = 60.0
    #: seconds of the claim's own load
    claim_seconds: float = 120.0
    #: events of event-crash
    events: int = 100_000
    #: traffic: what is asked how often
    profile: Profile | None = None
    #: seconds that all runs of a load may take
    patience: float = 900.0


@dataclass
class Session:
    """One call of the command."""

    deployment: Deployment
    options: Options
    client: Client
    truth: Truth
    show: Show
    left_out: list[str] = field(default_factory=list)
    #: causes: who gets the stack's alerts
    pager: Pager | None = None
    #: bulk requests that were refused for load, and sent again
    put_off: int = 0
    #: what is measured so far is kept by this, for a call that is cut short
    keep: Callable[[list[Load]], None] = lambda _: None

    @classmethod
    def open(cls, deployment: Deployment, options: Options, show: Show) -> "Session":
        client = Client(deployment.url, deployment.key, context=deployment.context)
        truth: Truth = DatabaseTruth(deployment.database) if deployment.database else ApiTruth(client)
        return cls(deployment, options, client, truth, show)

    def close(self) -> None:
        self.client.close()
        if isinstance(self.truth, DatabaseTruth):
            self.truth.close()

    async def reach(self) -> None:
        """Raises Missing where there is no API, or the key opens nothing."""
        answer = await self._reach("GET", "/workflows", None)
        if answer.status != 200:
            raise Missing(f"The API at {self.deployment.url} refuses: {_problem(answer)}")

    async def prepare(self, workload: Workload, *, warm: int = 10) -> None:
        """Publish its definition where it has one, and run it a few times: caches are warm when it is measured.

        Raises Missing when the deployment does not know the workflow or its steps.
        """
        if workload.definition is not None:
            answer = await self._reach("PUT", f"/workflows/{workload.workflow}", workload.definition)
            if answer.status not in (200, 201):
                raise Missing(
                    f"The deployment does not take the workflow {workload.workflow} ({_problem(answer)}). It needs the "
                    "app `benchmarks` in INSTALLED_APPS of web and workers, and a key with the scope author."
                )
        answers = [await self.start(workload, number) for number in range(warm)]
        for answer in answers:
            if answer.status not in (200, 202):
                raise Missing(f"The deployment does not run {workload.workflow}: {_problem(answer)}")

    async def start(
        self, workload: Workload, number: int, *, lane: str | None = None, wait: int = 60, key: str | None = None
    ) -> Answer:
        """Start one run and wait for its outcome: 200 with the finished run. Raises OSError."""
        body: dict[str, Any] = {"input": workload.input(number)}
        if lane:
            body["lane"] = lane
        headers = f"Prefer: wait={wait}\r\n" if wait else ""
        headers += f"Idempotency-Key: {key}\r\n" if key else ""
        return await self.client.request(
            "POST", f"/workflows/{workload.workflow}/runs", body, headers=headers, seconds=wait + 10.0
        )

    async def start_many(
        self, workload: Workload, numbers: Sequence[int], *, lane: str | None = None, seconds: float = 300.0
    ) -> list[str]:
        """Start runs by bulk requests; returns their ids. Runs refused for load are sent again when the answer says."""
        ids: list[str] = []
        for first in range(0, len(numbers), BULK):
            inputs = [workload.input(number) for number in numbers[first : first + BULK]]
            body = {"workflow": workload.workflow, "inputs": inputs, **({"lane": lane} if lane else {})}
            answer = await self.client.request("POST", "/runs/bulk", body, seconds=seconds)
            while answer.status in (429, 503):
                self.put_off += 1
                await asyncio.sleep(float(answer.headers.get(b"retry-after", b"1")))
                answer = await self.client.request("POST", "/runs/bulk", body, seconds=seconds)
            if answer.status != 202:
                raise BenchmarkError(f"The bulk start was answered {answer.status}: {_problem(answer)}")
            ids += answer.json()["ids"]
        return ids

    async def _reach(self, method: str, path: str, body: Any) -> Answer:
        try:
            return await self.client.request(method, path, body, seconds=20)
        except OSError as error:
            raise Missing(f"The API at {self.deployment.url} does not answer: {error}") from None


def _problem(answer: Answer) -> str:
    try:
        told = answer.json()
        faults = "; ".join(fault["message"] for fault in told.get("faults", [])[:2])
        return f"{answer.status} {faults or told.get('detail', '')}".strip()
    except ValueError:
        return str(answer.status)
