"""What the pages show of the whole platform, each read once for all viewers: Note [One look for all]."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from django.db.models import F

from console import reading
from console.charts.line import Window, window_of
from console.reading import Line, Picture, Point, Wanted
from console.shared import Look, Shared, SharedBy
from console.viewers import viewers
from erip.foundation.db import walls
from monitoring import oncall
from monitoring.alerting import in_force
from monitoring.api.health import document
from monitoring.core.alerts import Alert, Silence, Stage, why_not
from monitoring.core.frames import TICK, TIERS, Reading
from monitoring.core.rules import Rule
from monitoring.store import listing
from people import inbox, waiting
from workflows.clocks import pressing
from workflows.clocks.models import OPEN, LegalClock
from workflows.clocks.showing import overdue
from workflows.decisions import stored
from workflows.engine.spaces import of_workflows, workflows_in

#: seconds that the sparklines of the first page show, and between two of their points
SPARK_SPAN, SPARK_STEP = 3_600, 60
#: seconds after which a number says nothing of now
OLD = 120
#: resolved alerts that are shown
RESOLVED = 20
#: errors that are back which the first page lists
MOST_ERRORS = 5
#: legal clocks that are shown
MOST_CLOCKS = 200
#: decision tables that are shown
MOST_TABLES = 200
#: open approvals on a page of the list
MOST_APPROVALS = 50

#: name of a tile → what it shows
TILES: Mapping[str, Wanted] = {
    "accepted": Wanted("erip_runs_accepted_total"),
    "waiting": Wanted("erip_lane_waiting_steps"),
    "critical": Wanted("erip_lane_oldest_wait_seconds", where=(("lane", "critical"),)),
    "cpu": Wanted("erip_process_cpu_seconds_total"),
    "connections": Wanted("erip_postgresql_connections"),
    "connections_limit": Wanted("erip_postgresql_connections_limit"),
    "free": Wanted("erip_disk_free_bytes"),
    "disk": Wanted("erip_disk_size_bytes"),
    "past": Wanted("erip_run_deadlines_past"),
    "near": Wanted("erip_run_deadlines_near"),
    "next": Wanted("erip_run_next_deadline_seconds"),
}


@dataclass(frozen=True, slots=True)
class Tiles:
    """pictures: of each tick, with one line each. drawn: those lines, in steps that fit a sparkline."""

    pictures: Mapping[str, Picture]
    drawn: Mapping[str, Line | None]
    window: Window
    until: float

    def last(self, name: str) -> float | None:
        """The newest value, if it is of the newest two minutes: an old one is no answer to "how is it"."""
        lines = self.pictures[name].lines
        if not lines or lines[0].points[-1].at < self.until - OLD:
            return None
        return lines[0].last


def _tiles() -> Tiles:
    # Every frame: a mean of six of them would be no number of runs.
    reading_ = Reading(TIERS[0], TICK)
    since, until = reading.span_of(reading_, SPARK_SPAN, datetime.now(UTC))
    found = dict(zip(TILES, reading.read(list(TILES.values()), reading_, since=since, until=until), strict=True))
    if not found["accepted"].known and found["waiting"].lines:
        # What waits and what comes in is counted together, and a workflow is kept from its first run on: where the one
        # is known and the other is not kept at all, no run has ever been accepted. That is none, and not unknown.
        none = tuple(Point(point.at, 0.0, 0.0, 0.0) for point in found["waiting"].lines[0].points)
        if none:
            found["accepted"] = replace(found["accepted"], lines=(Line("", none),))
    drawn = {name: one.lines[0].thinned(SPARK_STEP) if one.lines else None for name, one in found.items()}
    return Tiles(found, drawn, window_of(since, until, SPARK_STEP), until.timestamp())


@dataclass(frozen=True, slots=True)
class ShownAlert:
    """An alert as the pages show it. row: as it is stored. labels: as one line. kept_back: why nobody is sent it,
    `silenced` or `inhibited`."""

    row: Mapping[str, Any]
    labels: str
    rule: Rule | None
    kept_back: str | None

    @property
    def urgent(self) -> bool:
        return bool(self.row["severity"] == "page")

    @property
    def waits(self) -> bool:
        """Whether it fires, and nobody has taken it on."""
        return bool(self.row["stage"] == "firing" and self.row["acknowledged_at"] is None and self.kept_back is None)


@dataclass(frozen=True, slots=True)
class Alerts:
    open: Sequence[ShownAlert]
    resolved: Sequence[ShownAlert]
    silences: Sequence[Mapping[str, Any]]
    rules: Mapping[str, Rule]
    #: of this site; None: the shipped one of this name is switched off
    own: Mapping[str, Rule | None]
    #: errors that are back after somebody had resolved them
    regressions: Sequence[Mapping[str, Any]]


def _alerts() -> Alerts:
    now = datetime.now(UTC).timestamp()
    known = listing.overview(resolved=RESOLVED, regressions=MOST_ERRORS)
    rules = in_force(known.own)
    covering = [Silence(row["rule"], row["labels"], row["ends_at"].timestamp()) for row in known.silences]
    core = [_core(row) for row in known.open]
    found = []
    for row, alert in zip(known.open, core, strict=True):
        kept_back = None
        if alert.stage is Stage.FIRING and not alert.acknowledged:
            kept_back = why_not(alert, core, rules, covering, now)
        found.append(shown(row, rules, kept_back))
    # What waits for somebody first, what wakes somebody before the rest, the newest before the older.
    found.sort(key=lambda one: (not one.waits, one.row["stage"] != "firing", not one.urgent, -one.row["id"]))
    resolved = [shown(row, rules) for row in known.resolved]
    return Alerts(found, resolved, known.silences, rules, known.own, known.regressions)


def _on_call() -> Sequence[Mapping[str, Any]]:
    now = datetime.now(UTC)
    return oncall.who(oncall.read(now), now)


def _core(row: Mapping[str, Any]) -> Alert:
    return Alert(
        row["rule"],
        tuple((name, value) for name, value in row["labels"]),
        row["serial"],
        Stage(row["stage"]),
        row["since"].timestamp(),
        row["held_at"].timestamp(),
        acknowledged=row["acknowledged_at"] is not None,
    )


def shown(row: Mapping[str, Any], rules: Mapping[str, Rule], kept_back: str | None = None) -> ShownAlert:
    """An alert's row as it is shown."""
    labels = ", ".join(f"{name} {value}" for name, value in row["labels"])
    return ShownAlert(row, labels, rules.get(row["rule"]), kept_back)


@dataclass(frozen=True, slots=True)
class OpenClocks:
    """rows: the first MOST_CLOCKS that are open, by due, each with whether it is overdue, and whether it is due soon.
    more: there are more."""

    rows: Sequence[tuple[LegalClock, bool, bool]]
    more: bool


def _clocks(spaces: frozenset[str] | None = None) -> OpenClocks:
    now = datetime.now(UTC)
    found = LegalClock.objects.filter(of_workflows(spaces), state__in=OPEN)
    found = found.order_by(F("due_at").asc(nulls_last=True), "id")
    rows = list(found[: MOST_CLOCKS + 1])
    shown = [(row, overdue(row, now), pressing.due_soon(row, now)) for row in rows[:MOST_CLOCKS]]
    return OpenClocks(shown, len(rows) > MOST_CLOCKS)


@dataclass(frozen=True, slots=True)
class Waits:
    """What waits for people. clocks: those that press, by due, MOST of them; more_clocks: there are more."""

    clocks: Sequence[pressing.Pressing]
    more_clocks: bool
    approvals: waiting.Waiting


def _waits() -> Waits:
    """For all who looked lately, in one statement."""
    rows = list(pressing.rows().union(*waiting.parts(viewers.names()), all=True))
    clocks = pressing.found(rows)
    return Waits(clocks[: pressing.MOST], len(clocks) > pressing.MOST, waiting.found(rows))


def waits_for(me: str) -> Look[Waits]:
    """What waits for people, this viewer among them."""
    look = waits.look()
    if look.value is not None and me not in look.value.approvals.groups:
        # They came after it was read.
        waits.forget()
        look = waits.look()
    return look


#: read as often as a frame is written, or twice as often where a change must be seen soon
tiles = Shared(_tiles, every=10.0)
health = Shared(document, every=2.0)
alerts = Shared(_alerts, every=5.0)
#: for each rotation who is on call
on_call = Shared(_on_call, every=15.0)
#: pages of approvals that are open, by the id that they are behind; one approval with all that is known of it; of each
#: person what waits for them
approvals: SharedBy[list[inbox.Asked]] = SharedBy(every=5.0)
approval: SharedBy[Any] = SharedBy(every=3.0)
my_approvals: SharedBy[Any] = SharedBy(every=5.0, most=512)
#: legal clocks that are open, by due, and one with all that is known of it
clocks = Shared(_clocks, every=5.0)
#: the same of some spaces, and the workflows that are in them
clocks_in: SharedBy[OpenClocks] = SharedBy(every=5.0)
workflows_of: SharedBy[frozenset[str]] = SharedBy(every=5.0)
clock: SharedBy[Any] = SharedBy(every=3.0)
#: decision tables, and a version of one with all that is known of it
decisions = Shared(lambda: stored.page(limit=MOST_TABLES)[0], every=5.0)
decision: SharedBy[Any] = SharedBy(every=5.0)
#: what is to be said of a version, which never changes
decision_report: SharedBy[Any] = SharedBy(every=3600.0)
#: legal clocks that press, and approvals that wait for those who look
waits = Shared(_waits, every=10.0)


def forget_decisions() -> None:
    """A version was published here."""
    decisions.forget()
    decision.forget()


def open_approvals(after: int, spaces: frozenset[str] | None = None) -> Look[list[inbox.Asked]]:
    """Those behind this id, oldest first: one more than a page shows, if there are more. spaces: only those of
    workflows in these, read behind the second wall."""

    def asked() -> list[inbox.Asked]:
        return inbox.asked(after=after, limit=MOST_APPROVALS + 1, spaces=spaces)

    return approvals.look((after, spaces), lambda: walls.read(spaces, asked))


def open_clocks(spaces: frozenset[str] | None) -> Look[OpenClocks]:
    """The same for clocks."""
    if spaces is None:
        return clocks.look()
    return clocks_in.look(spaces, lambda: walls.read(spaces, lambda: _clocks(spaces)))


def alerts_in(spaces: frozenset[str] | None) -> Look[Alerts]:
    """Alerts whose labels name a workflow in these spaces, without what is about the whole platform; None: all."""
    look = alerts.look()
    if spaces is None or look.value is None:
        return look
    names = workflows_of.look(spaces, lambda: frozenset(workflows_in(spaces))).value
    if names is None:
        return Look(None, None, False)
    known = look.value
    seen = Alerts(_of_workflows(known.open, names), _of_workflows(known.resolved, names), (), known.rules, {}, ())
    return Look(seen, look.at, look.fresh)


def _of_workflows(found: Sequence[ShownAlert], names: frozenset[str]) -> Sequence[ShownAlert]:
    return [without_platform(one) for one in found if dict(one.row["labels"]).get("workflow") in names]


def without_platform(one: ShownAlert) -> ShownAlert:
    """An alert without what it says of the whole platform: what waits in a lane, and which servers are not well."""
    return replace(one, row={**one.row, "impact": None, "impact_at": None, "causes": None, "rung": 0, "told": []})


def forget() -> None:
    """For tests: know nothing of what was read before."""
    clocks_in.forget()
    workflows_of.forget()
    for one in (tiles, health, alerts, on_call, waits, clocks, decisions, reading.series):
        one.clear()
    approvals.forget()
    decision.forget()
    decision_report.forget()
    approval.forget()
    my_approvals.forget()
    clock.forget()


__all__ = [
    "Look",
    "alerts",
    "alerts_in",
    "approval",
    "approvals",
    "clock",
    "clocks",
    "clocks_in",
    "decision",
    "decision_report",
    "decisions",
    "forget",
    "forget_decisions",
    "health",
    "my_approvals",
    "on_call",
    "open_approvals",
    "open_clocks",
    "tiles",
    "waits",
    "waits_for",
]
