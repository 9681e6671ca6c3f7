"""The components, what they need, and which of them explains the trouble."""

from django.http import QueryDict

from console import snapshots
from console.charts.graph import graph
from console.pages import Page, page
from monitoring.core.components import dependents

#: the order of the table: what is worst comes first
_WORST = ("down", "unknown", "degraded", "ok")


@page("Health", "monitoring.view_componentstate")
def health(query: QueryDict, viewer: object) -> Page:
    found = snapshots.health.look().value
    if found is None:
        return Page("console/health.html", {"health": None}, every=5)
    states = {one["component"]: one["state"] for one in found["components"]}
    ordered = sorted(found["components"], key=lambda one: _WORST.index(one["state"]))
    affects = found["cause"] is not None and bool(dependents(found["cause"], states))
    return Page(
        "console/health.html",
        {"health": found, "graph": graph(states, found["cause"]), "components": ordered, "affects": affects},
        every=5,
    )
