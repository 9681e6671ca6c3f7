"""What the first page lists under "Needs you", of what the platform itself knows. Other apps add theirs with
`hooks.needs_me`."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from django.urls import reverse

from console import snapshots
from console.charts import units
from erip.access.principals import Principal
from erip.foundation.hooks import Need
from workflows.clocks.pressing import Pressing

HEALTH, FRAMES, ALERTS = "monitoring.view_componentstate", "monitoring.view_frame", "monitoring.view_alert"
RUNS, ERRORS = "workflows.view_workflowrun", "monitoring.view_errorgroup"
CLOCKS, APPROVALS = "clocks.view_legalclock", "workflows.view_approvaltask"
#: of each kind, those that are listed one by one; the rest is one line, so that no kind hides another one
MOST_OF_A_KIND: Final = 5
#: an approval that expires within this time is urgent
EXPIRES_SOON: Final = timedelta(hours=1)


def needs(may: Callable[[str], bool]) -> Iterator[Need]:
    """All of them. may: whether the viewer has a permission."""
    if may(ALERTS):
        yield from alerts()
    if may(HEALTH):
        yield from trouble(alerts_too=may(ALERTS))
    if may(CLOCKS):
        yield from clocks()
    if may(FRAMES) and may(RUNS):
        yield from deadlines()
    if may(ERRORS):
        yield from regressions()


def alerts(spaces: frozenset[str] | None = None) -> Iterator[Need]:
    """Alerts that nobody has taken on. spaces: only those of workflows in these."""
    found = snapshots.alerts_in(spaces).value
    waiting = [one for one in (found.open if found is not None else ()) if one.waits]
    for urgent in (True, False):
        some = [one for one in waiting if one.urgent is urgent]
        for one in some[:MOST_OF_A_KIND]:
            yield Need(
                one.row["summary"] or one.row["rule"],
                reverse("console:alert", args=[one.row["id"]]),
                " · ".join(part for part in (one.row["rule"], one.labels) if part),
                urgent=urgent,
                since=one.row["fired_at"] or one.row["since"],
            )
        if (rest := len(some) - MOST_OF_A_KIND) > 0:
            fire = "more alert fires" if rest == 1 else "more alerts fire"
            yield Need(f"{rest:,} {fire}", reverse("console:alerts"), "Nobody has taken them on.", urgent=urgent)


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


def clocks() -> Iterator[Need]:
    """Legal clocks that are overdue or due soon, each with its moment."""
    found = snapshots.waits.look().value
    if found is None:
        return
    now = datetime.now(UTC)
    late = [one for one in found.clocks if one.due_at < now]
    soon = found.clocks[len(late) :]
    # They are read by due: if there are more than were read, the last kind of those has more.
    yield from _clocks(late, "overdue", urgent=True, more=found.more_clocks and not soon)
    yield from _clocks(soon, "due within a day", urgent=False, more=found.more_clocks)


def _clocks(some: Sequence[Pressing], state: str, *, urgent: bool, more: bool) -> Iterator[Need]:
    for one in some[:MOST_OF_A_KIND]:
        said = f"{'Was' if urgent else 'Is'} due {units.moment(one.due_at)}"
        parts = [said, f"to {one.authority}" if one.authority else "", one.workflow]
        parts += ["provisional"] if one.provisional else []
        parts += [] if one.verified else ["not verified: check the law"]
        yield Need(
            f"{one.regime}: {one.title}",
            reverse("console:clock", args=[one.number]),
            " · ".join(part for part in parts if part),
            urgent=urgent,
        )
    rest = len(some) - MOST_OF_A_KIND
    if rest > 0:
        many = f"At least {rest:,}" if more else f"{rest:,}"
        clocks_are = "more legal clock is" if rest == 1 and not more else "more legal clocks are"
        yield Need(
            f"{many} {clocks_are} {state}", reverse("console:clocks"), "By due, the first of all on top.", urgent=urgent
        )


def approvals(viewer: Principal) -> tuple[Need, ...]:
    """Approvals that wait for the vote of this viewer, who may see approvals."""
    found = snapshots.waits_for(viewer.name).value
    if found is None:
        return ()
    now = datetime.now(UTC)
    mine = found.approvals.of(viewer.name)
    inbox = reverse("console:approvals")
    needs = []
    for one, may in mine[:MOST_OF_A_KIND]:
        parts = ["Waits for your vote", one.workflow, one.business_key or ""]
        parts += [f"in place of {person.removeprefix('user:')}" for person in may if person]
        parts += [f"expires {units.moment(one.due_at)}"] if one.due_at is not None else []
        needs.append(
            Need(
                one.title,
                reverse("console:approval", args=[one.number]),
                " · ".join(part for part in parts if part),
                urgent=one.due_at is not None and one.due_at < now + EXPIRES_SOON,
                since=one.opened_at,
            )
        )
    if (rest := len(mine) - MOST_OF_A_KIND) > 0:
        waits = "more approval waits" if rest == 1 else "more approvals wait"
        needs.append(Need(f"{rest:,} {waits} for your vote", inbox, "Oldest first."))
    if found.approvals.more and found.approvals.groups.get(viewer.name, {}):
        looked = f"The oldest {len(found.approvals.open):,} were looked at."
        needs.append(Need("More approvals are open than are looked at here", inbox, looked))
    return tuple(needs)


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
    found = snapshots.alerts.look().value
    for row in found.regressions if found is not None else ():
        yield Need(
            f"Back again: {row['title']}",
            reverse("console:error", args=[row["id"]]),
            f"{row['what']} · {units.number(float(row['count']))} in all",
            since=row["regressed_at"],
        )
