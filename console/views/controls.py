"""Controls of frameworks: what serves each, and whether that holds."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.http import QueryDict
from django.urls import reverse

from console.pages import Page, page, with_query
from console.shared import SharedBy
from monitoring.controls.catalog import frameworks
from monitoring.controls.standing import Standing, Stands, all_of
from monitoring.store.controls import latest_results

#: the icon of a standing
ICONS = {
    Standing.FAILS: "down",
    Standing.UNKNOWN: "unknown",
    Standing.ABSENT: "degraded",
    Standing.HOLDS: "ok",
    Standing.DESCRIBED: "unknown",
    Standing.NOT_COVERED: "unknown",
}


@dataclass(frozen=True, slots=True)
class Line:
    """A control as the page shows it. word: how it stands."""

    stands: Stands
    word: str
    icon: str


_lists: SharedBy[Sequence[Line]] = SharedBy(every=30.0)


@page("Controls", "monitoring.view_controlstate")
def controls(query: QueryDict, viewer: object) -> Page:
    known = frameworks()
    chosen = query.get("framework", "")
    name = chosen if chosen in known else next(iter(known))
    look = _lists.look(name, lambda: _read(name))
    here = reverse("console:controls")
    lines = look.value or ()
    context = {
        "look": look,
        "lines": look.value,
        "framework": known[name],
        "frameworks": [(one.title, with_query(here, framework=one.name), one.name == name) for one in known.values()],
        "counts": [
            (str(one).replace("_", " "), count)
            for one in Standing
            if (count := sum(line.stands.standing is one for line in lines))
        ],
    }
    return Page("console/controls.html", context, every=30, around="console/controls_page.html")


def _read(name: str) -> Sequence[Line]:
    return [
        Line(one, str(one.standing).replace("_", " "), ICONS[one.standing]) for one in all_of(name, latest_results())
    ]
