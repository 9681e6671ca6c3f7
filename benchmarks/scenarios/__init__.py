"""The scenarios by name. Each is one function: it puts loads on a session's deployment and returns the results."""

from collections.abc import Awaitable, Callable

from ..figures import Load
from ..session import Session
from . import (
    causes,
    concurrent_workflows,
    decisions,
    engine,
    engine_crash,
    escalation,
    event_crash,
    event_throughput,
    filters,
    many,
    planner,
    pulse,
    replay,
    response_times,
    signals,
    size,
    starts,
    timers,
    traffic,
    upgrade,
    uptime,
    what_if,
)

Scenario = Callable[[Session], Awaitable[list[Load]]]

SCENARIOS: dict[str, Scenario] = {
    "concurrent-workflows": concurrent_workflows.run,
    "response-times": response_times.run,
    "decisions": decisions.run,
    "engine": engine.run,
    "engine-crash": engine_crash.run,
    "event-throughput": event_throughput.run,
    "event-crash": event_crash.run,
    "filters": filters.run,
    "many": many.run,
    "replay": replay.run,
    "signals": signals.run,
    "size": size.run,
    "starts": starts.run,
    "timers": timers.run,
    "traffic": traffic.run,
    "uptime": uptime.run,
    "upgrade": upgrade.run,
    "causes": causes.run,
    "escalation": escalation.run,
    "planner": planner.run,
    "pulse": pulse.run,
    "what-if": what_if.run,
}
#: those that `all` leaves out: they take many minutes, or need a profile
LONG = frozenset(
    {"planner", "replay", "size", "timers", "traffic", "uptime", "upgrade", "causes", "escalation", "pulse", "what-if"}
)
#: those that would harm a deployment that others use
PRIVATE_ONLY = frozenset(
    {
        "engine-crash",
        "event-throughput",
        "event-crash",
        "filters",
        "many",
        "planner",
        "replay",
        "size",
        "timers",
        "upgrade",
        "causes",
        "escalation",
        "pulse",
        "what-if",
    }
)
#: those for which the machine's ceiling means nothing: they do not test speed
WITHOUT_LIMITS = frozenset(
    {
        "decisions",
        "event-crash",
        "filters",
        "many",
        "planner",
        "replay",
        "signals",
        "starts",
        "timers",
        "traffic",
        "uptime",
        "upgrade",
        "causes",
        "escalation",
        "pulse",
        "what-if",
    }
)
