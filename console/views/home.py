"""The first page: one sentence, what needs the viewer, and how it has been for the last hour."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict
from django.urls import reverse
from django.utils.safestring import SafeString

from console import snapshots
from console.charts import units
from console.charts.line import spark
from console.pages import Page, page, with_query
from console.snapshots import Tiles
from console.viewers import may
from erip.access.principals import Principal
from erip.foundation.hooks import Need, needs_me
from workflows.conf import conf as engine_conf

HEALTH, FRAMES, ALERTS = "monitoring.view_componentstate", "monitoring.view_frame", "monitoring.view_alert"
#: things that need somebody which are listed; of the rest the number is given
MOST_NEEDS = 12


@dataclass(frozen=True, slots=True)
class Tile:
    """A number with its last hour. note: what it is measured against. state: "" is no judgement."""

    title: str
    value: str
    note: str
    picture: SafeString
    url: str
    state: str = ""


@page("Home", HEALTH, FRAMES, ALERTS)
def home(query: QueryDict, viewer: Principal) -> Page:
    context: dict[str, Any] = {}
    if may(viewer, HEALTH):
        context["health"] = snapshots.health.look()
    if may(viewer, FRAMES):
        look = snapshots.tiles.look()
        context["tiles"] = tiles_of(look.value) if look.value is not None else None
        context["tiles_shown"], context["tiles_fresh"] = True, look.fresh
        context["until"] = look.value.window.until if look.value is not None else None
    needs = sorted(
        (need for find in needs_me.all() for need in find(lambda one: may(viewer, one))),
        key=lambda need: not need.urgent,
    )
    context["needs"], context["more_needs"] = needs[:MOST_NEEDS], max(0, len(needs) - MOST_NEEDS)
    if may(viewer, ALERTS):
        context["alerts"] = snapshots.alerts.look()
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
        return Tile(title, value, note, spark(lines[0] if lines else None, found.window, label=label), url, state)

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


@needs_me
def alerts_that_fire(may_: Callable[[str], bool]) -> list[Need]:
    """Alerts that nobody has taken on."""
    found = snapshots.alerts.look().value if may_(ALERTS) else None
    if found is None:
        return []
    return [
        Need(
            one.row["summary"] or one.row["rule"],
            reverse("console:alert", args=[one.row["id"]]),
            " · ".join(part for part in (one.row["rule"], one.labels) if part),
            urgent=one.urgent,
            since=one.row["fired_at"] or one.row["since"],
        )
        for one in found.open
        if one.waits
    ]


@needs_me
def trouble(may_: Callable[[str], bool]) -> list[Need]:
    """The component that explains the trouble, unless an alert says so already."""
    found = snapshots.health.look().value if may_(HEALTH) else None
    if found is None or found["state"] not in ("down", "unknown") or found["cause"] is None:
        return []
    known = snapshots.alerts.look().value if may_(ALERTS) else None
    if known is not None and any(one.rule is not None and one.rule.component == found["cause"] for one in known.open):
        return []
    cause = next((one for one in found["components"] if one["component"] == found["cause"]), None)
    if cause is None:
        return []
    title = f"{cause['component'].capitalize()} is {cause['state']}"
    url = f"{reverse('console:health')}#c-{cause['component']}"
    return [Need(title, url, cause["sentence"], urgent=cause["state"] == "down", since=cause["since"])]


@needs_me
def deadlines(may_: Callable[[str], bool]) -> list[Need]:
    """Runs that are late, or about to be."""
    found = snapshots.tiles.look().value if may_(FRAMES) and may_("workflows.view_workflowrun") else None
    if found is None:
        return []
    past, near, nearest = found.last("past"), found.last("near"), found.last("next")
    url = reverse("admin:workflows_workflowrun_changelist")
    needs = []
    if past:
        many = "A run is" if past == 1 else f"{past:,.0f} runs are"
        needs.append(Need(f"{many} past the deadline", url, "Unfinished, and late already.", urgent=True))
    if near and near > (past or 0):
        soon = near - (past or 0)
        many = "A run has its deadline" if soon == 1 else f"{soon:,.0f} runs have their deadlines"
        detail = f"The nearest is in {units.seconds(nearest)}." if nearest is not None and nearest > 0 else ""
        needs.append(Need(f"{many} within the hour", url, detail))
    return needs
