"""How much there is, how much of it is used, and when it will be used up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.http import QueryDict
from django.utils.safestring import SafeString

from console import reading
from console.charts import units
from console.charts.line import bar, chart, window_of
from console.core.trend import LEAST_SPAN, Trend, trend
from console.pages import Page, page
from console.reading import Picture, Wanted
from console.shared import Shared
from console.snapshots import OLD
from console.viewers import may
from erip.access.principals import Principal
from monitoring import store
from monitoring.core.components import GONE_AFTER, SILENT_AFTER
from monitoring.core.frames import TICK, TIERS, Reading
from monitoring.scaling.store import latest
from monitoring.store import Reported
from workflows.conf import conf as engine_conf
from workflows.core.states import Lane

SCALING = "autoscale.view_scalingevent"
#: days that the trend of the disk rests on at the most, and changes of the number of workers that are shown
TREND_DAYS, CHANGES = 14, 20
_LANES = (
    Wanted("erip_lane_oldest_wait_seconds", ("lane",)),
    Wanted("erip_lane_waiting_steps", ("lane",)),
    Wanted("erip_lane_capacity_steps", ("lane",)),
)
_FREE, _SIZE = Wanted("erip_disk_free_bytes"), Wanted("erip_disk_size_bytes")


@dataclass(frozen=True, slots=True)
class LaneRow:
    name: str
    bound: str
    now: str
    worst: str
    waiting: str
    rate: str
    state: str
    word: str
    picture: SafeString


@dataclass(frozen=True, slots=True)
class WorkerRow:
    kind: str
    host: str
    pid: int
    started: datetime
    state: str
    cpu: str
    memory: str
    threads: str


@dataclass(frozen=True, slots=True)
class Used:
    lanes: Sequence[Picture]
    until: float


def _used() -> Used:
    reading_ = Reading(TIERS[0], TICK)
    since, until = reading.span_of(reading_, 3_600, datetime.now(UTC))
    return Used(reading.read(_LANES, reading_, since=since, until=until), until.timestamp())


def _disk() -> tuple[Picture, Picture, datetime, datetime]:
    until = datetime.now(UTC)
    since = until - timedelta(days=TREND_DAYS)
    free, size = reading.read([_FREE, _SIZE], Reading(TIERS[-1], TIERS[-1].seconds), since=since, until=until)
    return free, size, since, until


used = Shared(_used, every=10.0)
#: frames of an hour: they change once an hour
disk = Shared(_disk, every=120.0)
workers = Shared(store.read_reports, every=5.0)
changes = Shared(lambda: latest(CHANGES), every=10.0)


def forget() -> None:
    """For tests: know nothing of what was read before."""
    for one in (used, disk, workers, changes):
        one.clear()


@page("Capacity", "monitoring.view_frame")
def capacity(query: QueryDict, viewer: Principal) -> Page:
    here, reports = used.look().value, workers.look()
    context: dict[str, Any] = {
        "lanes": lanes_of(here) if here is not None else None,
        "until": here.until if here is not None else None,
        "workers": workers_of(reports.value) if reports.value is not None else None,
        "workers_fresh": reports.fresh,
        **disk_of(disk.look().value),
    }
    if may(viewer, SCALING):
        context["scaling_shown"], context["changes"] = True, changes.look().value
    return Page("console/capacity.html", context)


def lanes_of(found: Used) -> list[LaneRow]:
    """Each lane against its bound, by the newest frame of the last two minutes."""
    oldest, waiting, rates = (
        {line.name: line for line in picture.lines if line.points[-1].at >= found.until - OLD}
        for picture in found.lanes
    )
    rows = []
    for lane in Lane:
        bound = engine_conf().lanes.bounds[lane]
        now = oldest[lane].last if lane in oldest else None
        state, word = judged(now, bound)
        shown = "unknown" if now is None else f"{units.seconds(now)} of {units.seconds(bound)}"
        rows.append(
            LaneRow(
                str(lane),
                units.seconds(bound),
                units.of("_seconds", now),
                units.of("_seconds", oldest[lane].high if lane in oldest else None),
                units.number(waiting[lane].last if lane in waiting else None),
                units.of("_rate", rates[lane].last, rate=True) if lane in rates else "not measured",
                state,
                word,
                bar(None if now is None else now / bound, state=state, label=f"{lane}: oldest wait {shown}"),
            )
        )
    return rows


def judged(wait: float | None, bound: float) -> tuple[str, str]:
    if wait is None:
        return "unknown", "unknown"
    if wait > bound:
        return "down", "late"
    return ("degraded", "near its bound") if wait > bound * 0.5 else ("ok", "in time")


def workers_of(reports: Sequence[Reported]) -> list[WorkerRow]:
    """The processes that report, and those that fell silent a short while ago."""
    rows = []
    for one in reports:
        if one.ended or one.age > GONE_AFTER:
            continue
        values = {name[1:]: value for name, value in zip(one.series, one.values, strict=False)}
        lived = max(1.0, (datetime.now(UTC) - one.started_at).total_seconds() - one.age)
        cpu = values.get("erip_process_cpu_seconds_total")
        rows.append(
            WorkerRow(
                one.kind,
                one.host,
                one.pid,
                one.started_at,
                "ok" if one.age <= SILENT_AFTER else "unknown",
                units.UNKNOWN if cpu is None else f"{units.number(cpu / lived)} cores",
                units.of("_bytes", values.get("erip_process_memory_bytes")),
                units.number(values.get("erip_process_threads")),
            )
        )
    return rows


def disk_of(found: tuple[Picture, Picture, datetime, datetime] | None) -> Mapping[str, Any]:
    """The disk, and when it will be full."""
    if found is None or not found[0].lines:
        return {"disk_sentence": "Unknown: the disk has not been measured for an hour yet."}
    free, size, since, until = found
    line = free.lines[0]
    left, newest = line.points[-1].mean, line.points[-1].at
    whole = size.lines[0].last if size.lines else None
    known = trend([(point.at, point.mean) for point in line.points], left)
    window = window_of(since, until, TIERS[-1].seconds)
    return {
        "disk_sentence": sentence(known, newest - line.points[0].at, datetime.fromtimestamp(newest, UTC)),
        "disk_free": units.of("_bytes", left),
        "disk_size": units.of("_bytes", whole),
        "disk_state": "unknown" if not whole else "degraded" if left / whole < 0.1 else "ok",
        "disk_chart": chart(free, window, label=f"Free bytes of the disk, the last {TREND_DAYS} days"),
        "disk_bar": bar(
            None if not whole else 1 - left / whole,
            state="ok" if whole and left / whole >= 0.1 else "degraded",
            label="Used: " + (units.UNKNOWN if not whole else f"{1 - left / whole:.0%}"),
        ),
    }  # fmt: skip


def sentence(found: Trend | None, span: float, at: datetime) -> str:
    """When the disk will be full, with how sure that is."""
    if found is None and span < 60:
        return f"Unknown when it will be full: {units.seconds(LEAST_SPAN)} of measurements are needed at the least."
    if found is None:
        return (
            f"Unknown when it will be full: there are {units.seconds(span)} of measurements, "
            f"and {units.seconds(LEAST_SPAN)} at the least are needed."
        )
    past = f"By the last {units.seconds(found.span)}"
    if found.likely is None and found.earliest is None:
        return f"{past} it will not be full within two years."
    if found.likely is None:
        return f"{past} it may be full on {_day(at, found.earliest)} at the earliest, or not within two years."
    latest_ = _day(at, found.latest) if found.latest is not None else "not within two years"
    earliest = _day(at, found.earliest)
    return f"{past} it will be full on {_day(at, found.likely)}: between {earliest} and {latest_}, about 95 % sure."


def _day(at: datetime, seconds: float | None) -> str:
    assert seconds is not None
    return (at + timedelta(seconds=seconds)).strftime("%Y-%m-%d %H:%M" if seconds < 2 * 86_400 else "%Y-%m-%d")
