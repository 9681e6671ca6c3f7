"""How many processes, and what they, the database and the disk need, for a demand. Plain Python.

Note [Plan]
The model is fitted to this deployment's own frames (Note [Fit]): processor time of each kind of process, commits, bytes
of the write-ahead log and blocks read of PostgreSQL, each as a line of the runs and events of a second. A process
of ours uses one core at the most, as Python's threads share one. So there are as many as the upper end of the interval
needs at the share of a core that is aimed at (ERIP_AUTOSCALE_CPU_TARGET), one more so that one may be lost, and two at
the least. A deadline lowers that share for workers to the largest at which the frames show that it was kept.

All runs are of the mix that was seen, unless a workflow is named. Whatever the frames do not hold is unknown: among it
the processor time and memory of PostgreSQL and Redis, which run on hosts that no process of ours sees.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .demand import Demand, Prices
from .fitting import Estimate, Fit, fit

KINDS = ("web", "worker", "leader")
#: what of PostgreSQL is in the frames → how it is called
DATABASE = {
    "erip_postgresql_commits_total": "commits/s",
    "erip_postgresql_wal_bytes_total": "WAL bytes/s",
    "erip_postgresql_blocks_read_total": "blocks read/s",
}
ALWAYS, RUNS, EVENTS = "always", "runs", "events"
#: of a worker's points, this share has to keep the deadline at a utilisation
_KEPT = 0.95
FEWEST = 2


@dataclass(frozen=True, slots=True)
class Seen:
    """One point of the past.

    workflows: runs per second by workflow. events: per second; None: not known. cores, processes, memory, connections:
    by kind of process, in all; memory in bytes. database: by the names of DATABASE, per second. wait: the asked
    percentile of the wait of critical steps, in seconds; None: there were none, or it is not known.
    """

    workflows: Mapping[str, float]
    events: float | None
    cores: Mapping[str, float]
    processes: Mapping[str, float]
    memory: Mapping[str, float]
    connections: Mapping[str, float]
    database: Mapping[str, float]
    wait: float | None = None


@dataclass(frozen=True, slots=True)
class Tables:
    """Bytes in the tables of runs and events with their indexes, and how many there are, as PostgreSQL estimates; None:
    it has not counted them yet."""

    run_bytes: float
    runs: float | None
    event_bytes: float
    events: float | None


@dataclass(frozen=True, slots=True)
class Pool:
    """Processes of one kind. replicas, cores: None: unknown, `why` says why. memory, connections: of one process."""

    kind: str
    replicas: int | None
    cores: Estimate | None
    memory: float | None
    most_memory: float | None
    connections: float | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """database, disk: what → how much, or why that is not known. cost: of a month; None: no prices, or nothing known.
    notes: what was assumed, and what is left out."""

    pools: Sequence[Pool]
    database: Mapping[str, Estimate | str]
    disk: Mapping[str, Estimate | str]
    connections: float | str
    cost: Estimate | None
    currency: str
    notes: Sequence[str] = field(default_factory=tuple)


def plan(demand: Demand, seen: Sequence[Seen], tables: Tables | None, *, target: float, prices: Prices | None) -> Plan:
    """What the demand needs. target: the share of a core that a process should use."""
    notes = [f"By {len(seen)} points of this deployment's own frames."]
    loads = wanted(demand)
    utilisation, said = share_for(demand, seen, target)
    notes += said
    pools = [_pool(kind, loads, seen, utilisation if kind == "worker" else target) for kind in KINDS]
    database = {shown: _database(name, loads, seen) for name, shown in DATABASE.items()}
    disk = _disk(demand, tables)
    connections = _connections(pools)
    cost, left = _cost(pools, database, disk, prices)
    beyond = [one.cores.beyond for one in pools if one.cores is not None]
    if beyond and max(beyond) > 1.5:
        notes.append(
            f"The load is {max(beyond):.1f} times the largest that was seen: the line may bend before that, and no"
            " interval knows it. Measure nearer to it."
        )
    if demand.all_runs > sum(demand.named.values()):
        notes.append("Runs without a workflow's name are of the mix that was seen.")
    notes.append("Unknown: processor time and memory of PostgreSQL and Redis, which no frame holds.")
    if left:
        notes.append(f"Not in the cost: {', '.join(left)}.")
    return Plan(pools, database, disk, connections, cost, prices.currency if prices else "", notes)


def wanted(demand: Demand) -> dict[str, float]:
    """The loads of a demand, by the names of the fit's columns."""
    loads = {f"runs of {name}": rate for name, rate in demand.named.items()}
    mixed = demand.critical + demand.runs
    return {**({RUNS: mixed} if mixed else {}), **loads, **({EVENTS: demand.events} if demand.events else {})}


def _columns(kind: str | None, loads: Mapping[str, float], seen: Sequence[Seen]) -> list[dict[str, float]]:
    """The loads of each point: named workflows apart, the rest together."""
    named = [name.removeprefix("runs of ") for name in loads if name.startswith("runs of ")]
    rows = []
    for one in seen:
        row = {ALWAYS: one.processes.get(kind, 0.0) if kind else 1.0}
        row |= {f"runs of {name}": one.workflows.get(name, 0.0) for name in named}
        row[RUNS] = sum(rate for name, rate in one.workflows.items() if name not in named)
        row[EVENTS] = one.events or 0.0
        rows.append(row)
    return rows


def line(kind: str | None, loads: Mapping[str, float], seen: Sequence[Seen], used: Sequence[float]) -> Fit | str:
    rows = _columns(kind, loads, seen)
    if not rows:
        return "nothing was seen"
    return fit(rows, used, list(rows[0]))


def cores(kind: str, loads: Mapping[str, float], processes: float, seen: Sequence[Seen]) -> Estimate | str:
    """Cores that processes of a kind use at these loads."""
    known = [one for one in seen if kind in one.cores and one.processes.get(kind)]
    found = line(kind, loads, known, [one.cores[kind] for one in known])
    return found if isinstance(found, str) else found.at({**loads, ALWAYS: processes})


def _database(name: str, loads: Mapping[str, float], seen: Sequence[Seen]) -> Estimate | str:
    known = [one for one in seen if name in one.database]
    found = line(None, loads, known, [one.database[name] for one in known])
    return found if isinstance(found, str) else found.at({**loads, ALWAYS: 1.0})


def _pool(kind: str, loads: Mapping[str, float], seen: Sequence[Seen], share: float) -> Pool:
    memory = [one.memory[kind] / one.processes[kind] for one in seen if kind in one.memory and one.processes.get(kind)]
    held = [
        one.connections[kind] / one.processes[kind]
        for one in seen
        if kind in one.connections and one.processes.get(kind)
    ]
    mean = sum(memory) / len(memory) if memory else None
    most, connections = max(memory, default=None), max(held, default=None)
    if kind == "leader":
        # One leads, and others wait.
        found = cores(kind, loads, FEWEST, seen)
        estimate = None if isinstance(found, str) else found
        return Pool(kind, FEWEST, estimate, mean, most, connections, found if isinstance(found, str) else "")
    replicas = FEWEST
    while True:
        found = cores(kind, loads, replicas, seen)
        if isinstance(found, str):
            return Pool(kind, None, None, mean, most, connections, found)
        # One more, so that one may be lost. More processes use more at rest, so it is asked once more.
        need = max(FEWEST, math.ceil(found.high / share) + 1)
        if need <= replicas:
            return Pool(kind, replicas, found, mean, most, connections)
        if need > 100_000:
            return Pool(kind, None, found, mean, most, connections, "each process uses more at rest than it may")
        replicas = need


def share_for(demand: Demand, seen: Sequence[Seen], target: float) -> tuple[float, list[str]]:
    """The share of a core that a worker should use, and what is to be said of the deadline."""
    if demand.wait is None:
        return target, []
    asked = f"p{demand.percentile} of {demand.wait * 1000:g} ms"
    points = sorted(
        (one.cores["worker"] / one.processes["worker"], one.wait)
        for one in seen
        if one.wait is not None and "worker" in one.cores and one.processes.get("worker")
    )
    if len(points) < 12:
        return target, [
            f"Unknown whether {asked} holds: critical work was seen in {len(points)} points, and 12 at the least are"
            " needed."
        ]
    kept = 0
    best: float | None = None
    for count, (use, wait) in enumerate(points, start=1):
        kept += wait <= demand.wait
        if kept >= _KEPT * count:
            best = use
    if best is None:
        return target, [f"Unknown whether {asked} can hold: it was not kept at any load that was seen."]
    if best >= target:
        return target, [f"{asked} was kept while workers used {target:.0%} of a core each."]
    highest = points[-1][0]
    if best == highest:
        return best, [
            f"{asked} was kept up to {best:.0%} of a core for each worker, the most that was seen: more is unknown, so"
            " workers are planned for that."
        ]
    return best, [f"{asked} was kept up to {best:.0%} of a core for each worker, and workers are planned for that."]


def _disk(demand: Demand, tables: Tables | None) -> dict[str, Estimate | str]:
    found: dict[str, Estimate | str] = {}
    there = tables or Tables(0.0, None, 0.0, None)
    if demand.kept:
        found["bytes of runs"] = _each(demand.kept, there.run_bytes, there.runs, "runs are in the tables")
    if demand.events:
        a_day = demand.events * 86_400
        found["bytes of events a day"] = _each(a_day, there.event_bytes, there.events, "events are in the log")
    return found


def _each(count: float, bytes_: float, there: float | None, what: str) -> Estimate | str:
    if there is None or there < 1_000:
        return f"{0 if there is None else there:.0f} {what}, and 1,000 at the least are needed to say"
    each = bytes_ / there
    # PostgreSQL's estimate of how many there are is off by a tenth where rows come and go.
    return Estimate(count * each, count * each / 1.1, count * each * 1.1, max(1.0, count / there))


def _connections(pools: Sequence[Pool]) -> float | str:
    missing = [one.kind for one in pools if one.replicas is None or one.connections is None]
    if missing:
        return f"not known of {', '.join(missing)}"
    return sum((one.replicas or 0) * math.ceil(one.connections or 0) for one in pools)


def _cost(
    pools: Sequence[Pool],
    database: Mapping[str, Estimate | str],
    disk: Mapping[str, Estimate | str],
    prices: Prices | None,
) -> tuple[Estimate | None, list[str]]:
    """The price of a month, and what is not in it."""
    if prices is None:
        return None, []
    parts: list[Estimate] = []
    left = ["PostgreSQL's and Redis's hosts, beyond disk and IOPS"]
    for pool in pools:
        for name, amount in (("core", pool.cores), ("memory_gib", None)):
            if name == "core":
                if amount is None or "core" not in prices.each:
                    left.append(f"cores of {pool.kind}")
                else:
                    parts.append(_times(amount, prices.each["core"]))
            elif pool.replicas is None or pool.most_memory is None or "memory_gib" not in prices.each:
                left.append(f"memory of {pool.kind}")
            else:
                gib = pool.replicas * pool.most_memory / 2**30 * prices.each["memory_gib"]
                parts.append(Estimate(gib, gib, gib))
    kept = disk.get("bytes of runs")
    if isinstance(kept, Estimate) and "disk_gib" in prices.each:
        parts.append(_times(kept, prices.each["disk_gib"] / 2**30))
    else:
        left.append("disk of runs")
    if "bytes of events a day" in disk:
        left.append("disk of events, which grows by the day")
    commits, reads = database["commits/s"], database["blocks read/s"]
    if isinstance(commits, Estimate) and isinstance(reads, Estimate) and "iops" in prices.each:
        parts.append(_times(commits + reads, prices.each["iops"]))
    else:
        left.append("IOPS")
    if not parts:
        return None, left
    whole = parts[0]
    for one in parts[1:]:
        whole = whole + one
    return whole, left


def _times(one: Estimate, factor: float) -> Estimate:
    return Estimate(one.value * factor, one.low * factor, one.high * factor, one.beyond)
