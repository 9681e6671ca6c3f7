"""What is unusual, compared with the same hour of other weeks. Pure.

Note [Anomalies]
An hour is compared with the same hour of the week (UTC) in the WEEKS weeks before it: Monday at nine with Mondays at
nine. Its distance from their median is counted in robust standard deviations, 1.4826 times the median of their
distances from the median (MAD): one odd week among them changes little. A value that is UNUSUAL of them away is
unusual. Where the weeks hardly differ, the deviation counts as FLOOR of the median at least, so that what is constant
is not unusual for a trifle.

Unknown is not no: with less than LEAST weeks nobody can say what is usual, and without a value nobody knows what is.
Nothing here wakes anybody.

Source of the scale: F. R. Hampel, "The influence curve and its role in robust estimation", 1974.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

#: weeks that an hour is compared with, and of these the least that say something
WEEKS, LEAST = 12, 4
#: robust standard deviations that are unusual, and of the median that one of them is at least
UNUSUAL, FLOOR = 5.0, 0.05
#: the MAD of normally distributed values, times this, is their standard deviation
_SCALE = 1.4826
WEEK, HOUR = 7 * 86_400, 3_600


class Finding(StrEnum):
    UNUSUAL = "unusual"
    USUAL = "usual"
    TOO_LITTLE = "not_enough_data"  # less than LEAST weeks are known
    UNKNOWN = "unknown"  # there is no value to compare


@dataclass(frozen=True, slots=True)
class Named:
    """A series that is looked at. where: labels; those that are not named are added up. least: what one robust standard
    deviation is at least, in the unit of the metric: below it nobody minds."""

    name: str
    metric: str
    where: Mapping[str, str]
    least: float


def _lanes(name: str, metric: str, least: float) -> list[Named]:
    return [
        Named(f"{name}, lane {lane}", metric, {"lane": lane}, least)
        for lane in ("critical", "high", "standard", "bulk")
    ]


def _of_processes(name: str, metric: str, least: float) -> list[Named]:
    return [Named(f"{name} of {kind}", metric, {"component": kind}, least) for kind in ("web", "worker", "leader")]


#: at most 30: what is looked at by everybody is looked at by nobody
NAMED: Sequence[Named] = (
    Named("runs accepted", "erip_runs_accepted_total", {}, 0.1),
    Named("requests", "erip_http_requests_total", {}, 0.5),
    Named("requests answered with 5xx", "erip_http_requests_total", {"status": "5xx"}, 0.05),
    Named("requests answered with 4xx", "erip_http_requests_total", {"status": "4xx"}, 0.2),
    *_lanes("steps that wait", "erip_lane_waiting_steps", 10.0),
    *_lanes("wait of the oldest step", "erip_lane_oldest_wait_seconds", 1.0),
    Named("runs past their deadline", "erip_run_deadlines_past", {}, 1.0),
    Named("errors", "erip_errors_total", {}, 0.02),
    *_of_processes("processor time", "erip_process_cpu_seconds_total", 0.05),
    *_of_processes("memory", "erip_process_memory_bytes", 50e6),
    Named("connections of PostgreSQL", "erip_postgresql_connections", {}, 5.0),
    Named("commits of PostgreSQL", "erip_postgresql_commits_total", {}, 5.0),
    Named("write-ahead log of PostgreSQL", "erip_postgresql_wal_bytes_total", {}, 100e3),
    Named("locks that wait in PostgreSQL", "erip_postgresql_locks_waiting", {}, 1.0),
    Named("oldest transaction of PostgreSQL", "erip_postgresql_oldest_transaction_seconds", {}, 10.0),
    Named("memory of Redis", "erip_redis_memory_bytes", {}, 10e6),
    Named("commands of Redis", "erip_redis_commands_total", {}, 20.0),
    Named("requests that wait in HAProxy", "erip_haproxy_queue", {}, 1.0),
)


@dataclass(frozen=True, slots=True)
class Judgement:
    """deviations: from the median, negative below it, in robust standard deviations; None: it cannot be said.
    weeks: how many were known."""

    finding: Finding
    value: float | None
    median: float | None
    mad: float | None
    deviations: float | None
    weeks: int


def judge(value: float | None, past: Sequence[float], *, least: float) -> Judgement:
    """How unusual a value is. past: what it was in the same hour of other weeks, as far as that is known."""
    weeks = len(past)
    if weeks < LEAST:
        return Judgement(Finding.TOO_LITTLE, value, None, None, None, weeks)
    median = statistics.median(past)
    mad = statistics.median(abs(one - median) for one in past)
    if value is None:
        return Judgement(Finding.UNKNOWN, None, median, mad, None, weeks)
    deviation = max(_SCALE * mad, FLOOR * abs(median), least)
    away = (value - median) / deviation
    return Judgement(Finding.UNUSUAL if abs(away) >= UNUSUAL else Finding.USUAL, value, median, mad, away, weeks)


def weeks_before(hour: int) -> list[int]:
    """The same hour in the weeks before. hour: its end, in seconds since the epoch."""
    return [hour - WEEK * number for number in range(1, WEEKS + 1)]


def hours(until: float, count: int) -> list[int]:
    """The ends of the last `count` hours that have ended, the oldest first."""
    last = int(until // HOUR * HOUR)
    return [last - HOUR * number for number in range(count - 1, -1, -1)]
