"""Who is on call, and when that changes. Pure: the moment is passed in.

Note [Hand-overs]
A hand-over is at a time of the clock on the wall of the rotation's zone: at 9:00 in winter and at 9:00 in summer. So
one shift in spring is an hour shorter than others, and one in autumn an hour longer. A time that the clock jumps over
in spring is as much later as the clock jumps (2:30 is 3:30), and one that comes twice in autumn is the first of the
two. Hand-overs are counted from the day `starts` in both directions: somebody was on call before it too, so that a plan
whose first day is tomorrow leaves nobody out today.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from monitoring.core.oncall import Override, Plan, Rotation


@dataclass(frozen=True, slots=True)
class Shift:
    """Somebody is on call from `starts` (UTC) until `ends`. instead_of: whose turn it would be; None: their own."""

    person: str
    starts: datetime
    ends: datetime
    instead_of: str | None = None


def hand_over(rotation: Rotation, number: int) -> datetime:
    """The moment (UTC) of the hand-over of this number; 0 is the first one of the day `starts`; it may be negative."""
    times = rotation.times
    rounds, place = divmod(number, len(times))
    day = rotation.first_day + timedelta(days=rounds * rotation.days)
    # fold=0: the first of two; and of a time that is jumped over, what Python makes of it by the offset before.
    return datetime.combine(day, times[place], ZoneInfo(rotation.zone)).astimezone(UTC)


def number_at(rotation: Rotation, at: datetime) -> int:
    """The number of the last hand-over at or before this moment."""
    days = (at.astimezone(ZoneInfo(rotation.zone)).date() - rotation.first_day).days
    number = (days // rotation.days) * len(rotation.at)
    # A zone's offset never differs by more than a day; so few steps lead there.
    while hand_over(rotation, number) > at:
        number -= 1
    while hand_over(rotation, number + 1) <= at:
        number += 1
    return number


def whose_turn(rotation: Rotation, at: datetime, *, later: int = 0) -> str:
    """Whose turn it is, without overrides. later: 1 is the one after them in the list."""
    return rotation.people[(number_at(rotation, at) + later) % len(rotation.people)]


def on_call(plan: Plan, overrides: Sequence[Override], rotation: str, at: datetime) -> str:
    """Who is on call at this moment. An override to somebody who is not in the plan any more counts for nothing."""
    replaced = _override(plan, overrides, rotation, at)
    return replaced.person if replaced is not None else whose_turn(plan.rotations[rotation], at)


def next_on_call(plan: Plan, overrides: Sequence[Override], rotation: str, at: datetime) -> str:
    """Who is called after the one on call: the next in the list who is somebody else."""
    now = on_call(plan, overrides, rotation, at)
    people = plan.rotations[rotation].people
    return next(
        (
            person
            for step in range(1, len(people) + 1)
            if (person := whose_turn(plan.rotations[rotation], at, later=step)) != now
        ),
        now,
    )


def shifts(
    plan: Plan, overrides: Sequence[Override], rotation: str, since: datetime, until: datetime, *, most: int = 2_000
) -> Iterator[Shift]:
    """The shifts that reach into this time, in their order, without gaps; those in a row of one person are one."""
    known = plan.rotations[rotation]
    number = number_at(known, since)
    # Who is on call changes at these moments and at no other.
    cuts = {hand_over(known, number)}
    while (at := hand_over(known, number + 1)) < until and len(cuts) < most:
        number += 1
        cuts.add(at)
    end = hand_over(known, number + 1)
    begin = min(cuts)
    for one in overrides:
        if one.rotation == rotation:
            cuts |= {at for at in (one.starts, one.ends) if begin < at < end}
    last: Shift | None = None
    ordered = [*sorted(cuts), end]
    for starts, ends in pairwise(ordered):
        person, turn = on_call(plan, overrides, rotation, starts), whose_turn(known, starts)
        instead = None if person == turn else turn
        if last is not None and (last.person, last.instead_of) == (person, instead):
            last = Shift(person, last.starts, ends, instead)
            continue
        if last is not None and last.ends > since:
            yield last
        last = Shift(person, starts, ends, instead)
    if last is not None:
        yield last


def _override(plan: Plan, overrides: Sequence[Override], rotation: str, at: datetime) -> Override | None:
    found = [
        one
        for one in overrides
        if one.rotation == rotation and one.person in plan.people and one.starts <= at < one.ends
    ]
    return max(found, key=lambda one: one.id, default=None)
