"""What the first page lists under "Needs you", of what PULSE knows. Other apps add theirs with `hooks.needs_me`."""

from collections.abc import Callable, Iterator

from django.urls import reverse

from console import snapshots
from console.charts import units
from erip.foundation.hooks import Need

HEALTH, FRAMES, ALERTS = "monitoring.view_componentstate", "monitoring.view_frame", "monitoring.view_alert"
RUNS, ERRORS = "workflows.view_workflowrun", "monitoring.view_errorgroup"


def needs(may: Callable[[str], bool]) -> Iterator[Need]:
    """All of them. may: whether the viewer has a permission."""
    if may(ALERTS):
        yield from alerts()
    if may(HEALTH):
        yield from trouble(alerts_too=may(ALERTS))
    if may(FRAMES) and may(RUNS):
        yield from deadlines()
    if may(ERRORS):
        yield from regressions()


def alerts() -> Iterator[Need]:
    """Alerts that nobody has taken on."""
    found = snapshots.alerts.look().value
    for one in found.open if found is not None else ():
        if one.waits:
            yield Need(
                one.row["summary"] or one.row["rule"],
                reverse("console:alert", args=[one.row["id"]]),
                " · ".join(part for part in (one.row["rule"], one.labels) if part),
                urgent=one.urgent,
                since=one.row["fired_at"] or one.row["since"],
            )


def trouble(*, alerts_too: bool) -> Iterator[Need]:
    """The component that explains the trouble, unless an alert that the viewer sees says so already."""
    found = snapshots.health.look().value
    if found is None or found["state"] not in ("down", "unknown"):
        return
    cause = next((one for one in found["components"] if one["component"] == found["cause"]), None)
    known = snapshots.alerts.look().value if alerts_too else None
    if cause is None or cause["state"] == "ok":
        return
    if known is not None and any(one.rule is not None and one.rule.component == found["cause"] for one in known.open):
        return
    title = f"{cause['component'].capitalize()} is {cause['state']}"
    url = f"{reverse('console:health')}#c-{cause['component']}"
    yield Need(title, url, cause["sentence"], urgent=cause["state"] == "down", since=cause["since"])


def deadlines() -> Iterator[Need]:
    """Runs that are late, or about to be."""
    found = snapshots.tiles.look().value
    if found is None:
        return
    past, near, nearest = found.last("past"), found.last("near"), found.last("next")
    url = reverse("admin:workflows_workflowrun_changelist")
    if past:
        many = "A run is" if past == 1 else f"{past:,.0f} runs are"
        yield Need(f"{many} past the deadline", url, "Unfinished, and late already.", urgent=True)
    if near and near > (past or 0):
        soon = near - (past or 0)
        many = "A run has its deadline" if soon == 1 else f"{soon:,.0f} runs have their deadlines"
        detail = f"The nearest is in {units.seconds(nearest)}." if nearest is not None and nearest > 0 else ""
        yield Need(f"{many} within the hour", url, detail)


def regressions() -> Iterator[Need]:
    """Errors that are back after somebody had resolved them."""
    for row in snapshots.regressions.look().value or ():
        yield Need(
            f"Back again: {row['title']}",
            reverse("console:error", args=[row["id"]]),
            f"{row['what']} · {units.number(float(row['count']))} in all",
            since=row["regressed_at"],
        )
