"""One call of the command: the deployment, the limits, the scenarios, the results."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

from rich.console import Console

from . import limits
from .causes.pager import Pager, pager
from .deployment import Deployment, private_stack
from .errors import BenchmarkError, Usage
from .figures import Figure, Load, Results, Target
from .fingerprint import environment
from .progress import Live, live
from .scenarios import LONG, PRIVATE_ONLY, SCENARIOS, WITHOUT_LIMITS, traffic, uptime
from .session import Options, Session
from .upgrade.old_stack import old_stack

ALL = "all"
#: the last commit before production was the topic ("Steps ask stored decision tables"): there is no release yet
BEFORE = "85a5d666"


def run(
    scenarios: Sequence[str],
    options: Options,
    console: Console,
    *,
    deployment: Deployment | None,
    with_limits: bool = True,
    keep: Callable[[Results], None] | None = None,
) -> Results:
    """Run scenarios one after the other; `ALL` means all of them. deployment: None starts a private stack. keep: called
    with what there is so far, by scenarios that take long. Raises BenchmarkError."""
    if deployment is not None and (refused := sorted(set(scenarios) & PRIVATE_ONLY)):
        raise Usage(
            f"{', '.join(refused)} kills workers, fills tables or reads the database: it runs on a private stack only, "
            "without --url."
        )
    names = [name for name in SCENARIOS if name not in LONG] if ALL in scenarios else list(scenarios)
    kept = [name for name in names if deployment is None or name not in PRIVATE_ONLY]
    if "uptime" in names:
        uptime.refuse(options, private=deployment is None)
    if "traffic" in names:
        traffic.refuse(options, deployment.url if deployment else None)
    elif options.profile is not None:
        raise Usage("--profile goes with the scenario traffic.")
    ha = names in (["causes"], ["escalation"]) or (names == ["uptime"] and not options.single)
    # A stack learns at its start where its alerts go.
    paged = pager() if names in (["causes"], ["escalation"], ["pulse"]) else nullcontext(None)
    if "upgrade" in names and (names != ["upgrade"] or deployment is not None):
        raise Usage("upgrade is called alone: it starts a stack of an older release.")
    if names == ["upgrade"]:
        own: AbstractContextManager[Deployment] = old_stack(options.before or BEFORE, "HEAD")
    else:
        own = nullcontext(deployment) if deployment else private_stack(ha=ha)
    with (
        paged as woken,
        own as found,
        live(console) as shown,
    ):
        told = environment(found)
        with_limits = with_limits and bool(set(names) - WITHOUT_LIMITS)
        ceiling = limits.measure(found.database, found.broker, shown.phase) if with_limits else []

        def so_far(loads: list[Load], left_out: list[str]) -> None:
            if keep is not None:
                keep(Results(told, loads, ceiling, [*left_out, "These are the results so far: the call goes on."]))

        loads, left_out = _put_on(found, options, shown, kept, woken, so_far)
        left_out += [f"{name}: needs a private stack." for name in names if name not in kept]
        if with_limits and not (found.database and found.broker):
            left_out.append("The servers' limits: need --database-url and --broker-url.")
    return Results(told, [_with_ratios(load, ceiling) for load in loads], ceiling, left_out)


def _put_on(
    deployment: Deployment,
    options: Options,
    shown: Live,
    names: Sequence[str],
    woken: Pager | None,
    keep: Callable[[list[Load], list[str]], None],
) -> tuple[list[Load], list[str]]:
    async def everything() -> tuple[list[Load], list[str]]:
        session = Session.open(deployment, options, shown)
        session.pager = woken
        try:
            await session.reach()
            loads: list[Load] = []
            session.keep = lambda more: keep([*loads, *more], session.left_out)
            for name in names:
                loads += await SCENARIOS[name](session)
            return loads, session.left_out
        finally:
            session.close()

    try:
        return asyncio.run(everything())
    except OSError as error:
        raise BenchmarkError(f"The benchmark lost the deployment: {type(error).__name__} {error}") from error


def _with_ratios(load: Load, ceiling: Sequence[Figure]) -> Load:
    """Throughput of W4 as a share of what this PostgreSQL took a minute ago, of rows that are written once."""
    bound = limits.bound(ceiling)
    rate = next((figure for figure in load.figures if figure.name == "engine.throughput.rate"), None)
    if bound is None or rate is None:
        return load
    share = Figure(
        "engine.throughput.of_bound",
        "W4 throughput, of the bound",
        100 * rate.value / bound,
        "%",
        False,
        Target(">=", 25),
        note=f"PostgreSQL took the rows of {bound:,.0f} workflows/s",
    )
    return replace(load, figures=[*load.figures, share])
