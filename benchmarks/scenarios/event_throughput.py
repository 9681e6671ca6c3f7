"""event-throughput: events over HTTP, into the log and into workflows; accepted, logged once, and how soon."""

import time
from collections.abc import Awaitable, Callable

from ..checks import NOTHING, Correctness, check
from ..errors import BenchmarkError
from ..events import Kind, Log, Logged, Sent, closed_loop, open_loop
from ..figures import Figure, Load, Target
from ..resources import Usage, spent
from ..session import Session
from ..statistics import cumulative, summarise
from ..truth import settled, wait_for_ends
from ..workloads import EVENT
from .cost import service_usage

#: what the claim's own load offers: "10,000 events a minute", and a fifth more
CLAIM_RATE = 200.0
CLAIM_BATCH = 10
BATCH = 100
#: events per second that must be in the log, as a share of the offered rate, until the last event is: the usual 10,200
#: make 10,000
SUSTAINED = 10 / 10.2
#: connections of the load that has no schedule
SENDERS = 8


async def run(session: Session) -> list[Load]:
    """The claim's load, our own rate for a minute, and as much as the service accepts."""
    database = session.deployment.database
    if database is None:
        raise BenchmarkError("event-throughput reads the log in the database.")
    await session.prepare(EVENT)
    options = session.options
    log = Log(database)
    try:
        await _warm_up(session, log)
        return [
            await _claim(session, log),
            await _sustained(session, log, options.event_rate),
            await _most(session, log),
        ]
    finally:
        log.close()


async def _warm_up(session: Session, log: Log) -> None:
    kind = Kind("warm")
    done = session.show.phase("warming up")
    await open_loop(session.client, kind, rate=2_000, seconds=3, batch=BATCH, done=done)
    await log.wait_for(kind, 6_000, seconds=60, done=done)


async def _claim(session: Session, log: Log) -> Load:
    name, seconds = "event-throughput.claim", session.options.claim_seconds
    title = f"{CLAIM_RATE * 60:,.0f} events a minute for {seconds:g} s"
    return await _measured(
        session,
        log,
        Kind("claim"),
        name,
        title,
        f"Batches of {CLAIM_BATCH} over HTTP on an open-loop schedule.",
        lambda kind, done: open_loop(
            session.client, kind, rate=CLAIM_RATE, seconds=seconds, batch=CLAIM_BATCH, done=done
        ),
        [
            ("per_minute", Target(">", 10_000, claim=True)),
            ("mean", Target("<", 5_000, claim=True)),
            ("errors", Target("<", 2, claim=True)),
        ],
    )


async def _sustained(session: Session, log: Log, rate: float) -> Load:
    name, seconds = "event-throughput.sustained", session.options.event_seconds
    return await _measured(
        session,
        log,
        Kind("sustained"),
        name,
        f"{rate:,.0f} events/s for {seconds:g} s, one in 100 starts a workflow",
        f"Batches of {BATCH} over HTTP on an open-loop schedule.",
        lambda kind, done: open_loop(session.client, kind, rate=rate, seconds=seconds, batch=BATCH, done=done),
        [("rate", Target(">=", rate * SUSTAINED)), ("p99", Target("<", 1_000)), ("errors", Target("<", 1))],
        offered=rate,
    )


async def _most(session: Session, log: Log) -> Load:
    seconds = min(20.0, session.options.event_seconds)
    return await _measured(
        session,
        log,
        Kind("most"),
        "event-throughput.most",
        f"as many events as go through in {seconds:g} s, from {SENDERS} senders",
        f"Batches of {BATCH} over HTTP, each sender's next one when its last was answered; 429 is obeyed.",
        lambda kind, done: closed_loop(session.client, kind, senders=SENDERS, seconds=seconds, batch=BATCH, done=done),
        [],
    )


async def _measured(
    session: Session,
    log: Log,
    kind: Kind,
    name: str,
    title: str,
    method: str,
    put_on: Callable[[Kind, Callable[[int], None]], Awaitable[Sent]],
    targets: list[tuple[str, Target]],
    *,
    offered: float | None = None,
) -> Load:
    await session.client.open_connections(SENDERS)
    before, own = service_usage(session), time.process_time()
    runs_before, _ = await log.runs()
    sent = await put_on(kind, session.show.phase(title))
    ended = await log.wait_for(
        kind,
        sent.accepted,
        seconds=session.options.patience,
        done=session.show.phase(f"{title}: the log", sent.accepted),
    )
    after, client = service_usage(session), time.process_time() - own
    logged = await log.read(kind)
    correctness, runs = await _check(session, log, kind, sent, logged, set(runs_before))
    aims = dict(targets)
    seconds = ended - sent.began

    def figure(short: str, what: str, value: float, unit: str, lower: bool | None, note: str = "") -> Figure:
        return Figure(f"{name}.{short}", f"{kind.name}: {what}", value, unit, lower, aims.get(short), note)

    offered_events = sent.accepted + sent.refused
    figures = [
        figure("rate", "in the log per second", logged.events / seconds, "events/s", False),
        figure("per_minute", "in the log per minute", 60 * logged.events / seconds, "events", False),
        figure("errors", "not accepted", 100 * sent.refused / max(1, offered_events), "%", True),
        figure("mean", "accepted → logged, average", logged.mean, "ms", True),
        figure("p50", "accepted → logged, p50", logged.p50, "ms", True),
        figure("p95", "accepted → logged, p95", logged.p95, "ms", True),
        figure("p99", "accepted → logged, p99", logged.p99, "ms", True),
        figure("longest", "accepted → logged, longest", logged.most, "ms", True),
        figure("runs", "workflows started", runs, "runs", None),
        figure("put_off", "requests put off with 429", sent.put_off, "requests", True),
        *_cost(name, kind, logged.events, before, after, client),
    ]
    return Load(
        name=name,
        title=title,
        method=(
            f"{method} Requests: from when they were due to the last byte of the 202. Accepted → logged: by the "
            "database's clock, from the write that was accepted to the one in the log; the rate is that of the whole, "
            "from the first request until the log was seen to hold everything."
        ),
        figures=figures,
        correctness=correctness,
        latencies={"request": summarise(sent.seconds)} if sent.seconds else {},
        distributions={"request": cumulative(sent.seconds)} if sent.seconds else {},
        offered=offered,
        achieved=logged.events / seconds,
        errors=sent.errors,
    )


async def _check(
    session: Session, log: Log, kind: Kind, sent: Sent, logged: Logged, known: set[str]
) -> tuple[Correctness, int]:
    """Every accepted event is in the log once; each that must start a workflow started one, with a right result."""
    started, twice = await log.runs(but=known)
    await wait_for_ends(session.truth, started, seconds=session.options.patience, left=lambda _: None)
    runs = check(EVENT, started, await settled(session.truth, started)) if started else NOTHING
    faults = []
    if logged.different != sent.accepted and not sent.refused:
        faults.append(f"{sent.accepted} events were accepted and {logged.different} are in the log")
    if logged.different < sent.accepted:
        faults.append(f"{sent.accepted - logged.different} accepted events are not in the log")
    if logged.twice:
        faults.append(f"{logged.twice} events are in the log twice")
    due = -(-sent.accepted // kind.starting)
    if len(started) != due and not sent.refused:
        faults.append(f"{len(started)} workflows were started by {due} events")
    if twice:
        faults.append(f"{twice} workflows were started twice")
    log_check = Correctness(0, 0, 0, 0, len(faults), faults)
    return runs + log_check, len(started)


def _cost(name: str, kind: Kind, events: int, before: Usage | None, after: Usage | None, client: float) -> list[Figure]:
    if before is None or after is None or not events:
        return []
    share = 100_000 / events
    parts = ", ".join(f"{what} {value * share:.2f}" for what, value in spent(before, after).items() if value > 0.01)
    return [
        Figure(
            f"{name}.cpu",
            f"{kind.name}: CPU time for 100,000 events",
            (after.cpu - before.cpu) * share,
            "s",
            True,
            note=f"{parts}; not counted: this client {client * share:.2f}",
        )
    ]
