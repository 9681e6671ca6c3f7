"""The first page: one sentence, what needs the viewer, and how it has been for the last hour."""

from dataclasses import dataclass
from typing import Any

from django.http import QueryDict
from django.urls import reverse
from django.utils.safestring import SafeString

from console import snapshots
from console.charts import units
from console.charts.line import spark
from console.needs import ALERTS, APPROVALS, CLOCKS, ERRORS, FRAMES, HEALTH, alerts, approvals
from console.pages import Page, page, with_query
from console.shared import Look
from console.snapshots import Tiles
from console.viewers import may, reach
from erip.access.principals import Principal
from erip.access.spaces import LISTS
from erip.foundation.hooks import Need, needs_me
from workflows.conf import conf as engine_conf

#: things that need somebody which are listed; of the rest the number is given
MOST_NEEDS = 20


@dataclass(frozen=True, slots=True)
class Tile:
    """A number with its last hour. note: what it is measured against. state: "" is no judgement."""

    title: str
    value: str
    note: str
    picture: SafeString
    url: str
    state: str = ""


def own(viewer: Principal) -> tuple[Need, ...]:
    """What waits for this viewer alone."""
    return approvals(viewer) if may(viewer, APPROVALS) else ()


@page("Home", HEALTH, FRAMES, ALERTS, CLOCKS, APPROVALS, of=LISTS, own=own)
def home(query: QueryDict, viewer: Principal) -> Page:
    context: dict[str, Any] = {}
    if may(viewer, HEALTH):
        context["health"] = snapshots.health.look()
    if may(viewer, FRAMES):
        look = snapshots.tiles.look()
        context["tiles"] = tiles_of(look.value) if look.value is not None else None
        context["tiles_shown"], context["tiles_fresh"] = True, look.fresh
        context["until"] = look.value.until if look.value is not None else None
    needs = [need for find in needs_me.all() for need in find(lambda one: may(viewer, one))]
    if spaces := reach(viewer, ALERTS):
        needs += alerts(spaces)
    needs = sorted((*own(viewer), *needs), key=lambda need: not need.urgent)
    context["needs"], context["more_needs"] = needs[:MOST_NEEDS], max(0, len(needs) - MOST_NEEDS)
    # Who may see them in some spaces only finds them on their pages, and must not read here that there are none.
    context["needs_elsewhere"] = bool(reach(viewer, CLOCKS) or reach(viewer, APPROVALS))
    looks: list[Look[Any]] = []
    if spaces or may(viewer, ALERTS) or may(viewer, ERRORS):
        looks.append(snapshots.alerts.look())
    if may(viewer, CLOCKS) or may(viewer, APPROVALS):
        looks.append(snapshots.waits.look())
    context["needs_unknown"] = any(look.value is None for look in looks)
    context["needs_old"] = min((look.at for look in looks if not look.fresh and look.at is not None), default=None)
    return Page("console/home.html", context)


def tiles_of(found: Tiles) -> list[Tile]:
    """The numbers of the first page."""
    bound = engine_conf().lanes.bounds["critical"]
    critical = found.last("critical")
    connections, limit = found.last("connections"), found.last("connections_limit")
    free, size = found.last("free"), found.last("disk")

    def tile(title: str, name: str, value: str, note: str, url: str, state: str = "") -> Tile:
        lines = found.pictures[name].lines
        highest = units.of(
            found.pictures[name].wanted.metric, lines[0].high if lines else None, rate=_rate(found, name)
        )
        label = f"{title}, the last hour: now {value}, highest {highest}"
        return Tile(title, value, note, spark(found.drawn[name], found.window, label=label), url, state)

    def metrics(name: str, by: str = "") -> str:
        metric = found.pictures[name].wanted.metric
        return with_query(reverse("console:metrics"), chart=f"{metric}~{by}" if by else metric)

    accepted = found.last("accepted")
    return [
        tile(
            "Runs accepted",
            "accepted",
            units.number(None if accepted is None else accepted * 60),
            "a minute",
            metrics("accepted", "workflow"),
        ),
        tile(
            "Steps waiting", "waiting", units.number(found.last("waiting")), "for a worker", metrics("waiting", "lane")
        ),
        tile(
            "Critical work waits",
            "critical",
            units.of("_seconds", critical),
            f"bound {units.seconds(bound)}",
            reverse("console:capacity"),
            "" if critical is None or critical <= bound else "down",
        ),
        tile("Processor", "cpu", units.number(found.last("cpu")), "cores in use", metrics("cpu", "component")),
        tile(
            "Database connections",
            "connections",
            units.number(connections),
            f"of {units.number(limit)}",
            metrics("connections"),
            _share_state(connections, limit, 0.9),
        ),
        tile(
            "Disk free",
            "free",
            units.of("_bytes", free),
            f"of {units.of('_bytes', size)}",
            reverse("console:capacity"),
            "" if free is None or not size or free / size >= 0.1 else "degraded",
        ),
    ]


def _rate(found: Tiles, name: str) -> bool:
    return found.pictures[name].rate


def _share_state(value: float | None, most: float | None, from_: float) -> str:
    return "degraded" if value is not None and most and value / most >= from_ else ""
