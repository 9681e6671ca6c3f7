"""The figures of a run, with what ERIP promises and what we aim at."""

from collections.abc import Sequence

from ..figures import Figure, Target
from ..statistics import summarise
from .availability import Availability
from .compare import Findings
from .outages import Outage

#: percent, and seconds
CLAIMED_AVAILABILITY, AIMED_AVAILABILITY = 99.9, 99.99
CLAIMED_FAILOVER, AIMED_FAILOVER = 5.0, 3.0
CLAIMED_RECOVERY = 30.0


def of_availability(found: Availability) -> list[Figure]:
    name = "uptime.availability"
    claimed, aimed = Target(">=", CLAIMED_AVAILABILITY, claim=True), Target(">=", AIMED_AVAILABILITY)
    note = f"{found.asked - found.right:,} of {found.asked:,} operations were not answered rightly in the end"
    return [
        Figure(name, "availability: answered rightly ÷ asked", found.percent, "%", False, claimed, note),
        Figure(f"{name}.aim", "availability, our own aim", found.percent, "%", False, aimed),
        Figure(f"{name}.at_once", "availability without retries", found.percent_at_once, "%", False),
    ]


def of_outages(outages: Sequence[Outage], *, planned: int, calm: tuple[int, int]) -> list[Figure]:
    """planned: faults on the schedule. calm: tries before the first fault, and those of them that were disturbed."""
    carried_out = Target(">=", planned)
    tries, disturbed = calm
    figures = [
        Figure(
            "uptime.calm",
            "tries that failed or were slow before the first fault",
            disturbed,
            "",
            True,
            note=f"of {tries:,}; where there are any, the machine was too busy, and the figures below say so too",
        ),
        Figure("uptime.faults", "faults carried out", len(outages), "", None, carried_out),
    ]
    if not outages:
        return figures
    noticed = f"{sum(outage.noticed for outage in outages)} of {len(outages)} faults were noticed by a client at all"
    for what, title, values, claim, aim in (
        ("failover", "failover (first failure → first success)", [one.failover for one in outages], 95, 95),
        ("recovery", "recovery (fault → all normal)", [one.recovery for one in outages], 100, None),
        ("gap", "longest gap of a fault", [one.gap for one in outages], None, None),
    ):
        found = summarise(values)
        targets = {"failover": CLAIMED_FAILOVER, "recovery": CLAIMED_RECOVERY}
        for percent, word, value in ((50, "p50", found.p50), (95, "p95", found.p95), (100, "max", found.max)):
            target = Target("<", targets[what], claim=True) if percent == claim else None
            note = noticed if (what, percent) == ("failover", 50) else ""
            figures.append(Figure(f"uptime.{what}.{word}", f"{title}, {word}", value / 1000, "s", True, target, note))
            if percent == aim:
                own = Target("<", AIMED_FAILOVER)
                title_own = f"failover, {word}, our own aim"
                figures.append(Figure(f"uptime.{what}.{word}.aim", title_own, value / 1000, "s", True, own))
    whole = [outage.mark.whole for outage in outages]
    known = [seconds for seconds in whole if seconds is not None]
    if known:
        lasting = len(whole) - len(known)
        missing = f"{lasting} faults left something missing to the end" if lasting else ""
        title = "fault → every node at its place, at most"
        figures.append(Figure("uptime.whole.max", title, max(known), "s", True, note=missing))
    return figures


def of_ledger(found: Findings, *, twice: int | None, events: bool, drained: float) -> list[Figure]:
    """twice: recordings of a step that was recorded before; None where they cannot be counted. drained: seconds."""
    none = Target("==", 0, claim=True)
    counts: list[tuple[str, str, int]] = [
        ("lost", "accepted runs lost", len(found.lost)),
        ("unended", "runs that did not end", len(found.unended)),
        ("failed", "runs that failed", len(found.failed)),
        ("duplicated", "idempotency keys with two runs", len(found.duplicated)),
        ("uncancelled", "confirmed cancels not carried out", len(found.uncancelled)),
    ]
    if twice is not None:
        counts.append(("twice", "step results recorded twice", twice))
    if events:
        counts += [
            ("events_lost", "accepted events lost", len(found.events_lost)),
            ("events_twice", "events recorded twice", len(found.events_twice)),
            ("disordered", "keys whose events are out of order", len(found.disordered)),
        ]
    return [
        *(Figure(f"uptime.{name}", title, count, "", True, none) for name, title, count in counts),
        Figure("uptime.drained", "end of the load → every run has ended", drained, "s", True),
    ]
