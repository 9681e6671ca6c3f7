"""response-times: critical threats over HTTP, on an idle service and over a backlog."""

from ..figures import Load, Target
from ..session import Session
from ..workloads import COMPLIANCE, THREAT
from .latency import Aim, measure_latency, over_backlog

CLAIM = Aim(
    mean=Target("<", 1_000, claim=True),
    p95=Target("<", 1_500, claim=True),
    p50=Target("<=", 10),
    p99=Target("<=", 50),
    errors=Target("<", 1, claim=True),
)


async def run(session: Session) -> list[Load]:
    options = session.options
    await session.prepare(THREAT)
    idle = await measure_latency(
        session,
        THREAT,
        name="response-times.idle",
        title=f"{options.count} critical threats",
        lane="critical",
        count=options.count,
        rate=options.rate,
        aim=CLAIM,
    )
    if not options.backlog:
        return [idle]
    await session.prepare(COMPLIANCE, warm=2)
    loaded = await over_backlog(
        session,
        THREAT,
        COMPLIANCE,
        name="response-times.backlog",
        title=f"{options.count} critical threats over {options.backlog:,} waiting standard runs",
        count=options.count,
        rate=options.rate,
        aim=CLAIM,
    )
    return [idle, loaded]
