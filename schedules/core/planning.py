"""What a schedule does about the moments that have come: pure, from what is stored and the time.

Note [Late and missed]
A moment that is at most LATE seconds old when a leader looks at it starts as usual. An older one was missed: the
platform was away, or the schedule was paused. `catch_up` decides what becomes of it: none is started, or the latest
one (unless a later one starts as usual), or all of them in their order; never one that is older than `catch_up_within`.

Note [Overlap]
The run before is the last one that the schedule planned by itself (not one that a person asked for). While it goes on,
a start is made all the same (`allow`), left out (`skip`), or waits for its end (`wait`). Only one start waits: a later
one takes its place.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from schedules.core.occurrences import Occurrence, occurrences
from schedules.core.spec import Spec

#: seconds after which a moment counts as missed
LATE = 60.0
#: moments that are decided on in one go
PORTION = 500
_INSTANT = timedelta(microseconds=1)

STARTING, WAITING, SKIPPED = "STARTING", "WAITING", "SKIPPED"


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of one moment. until: it stands for all moments up to this one."""

    at: datetime
    outcome: str
    reason: str = ""
    until: datetime | None = None
    caught_up: bool = False


@dataclass(frozen=True, slots=True)
class Planned:
    decisions: Sequence[Decision]
    #: the next moment, and when it is due; None: there is none any more
    next_at: datetime | None
    next_start: datetime | None
    #: whether the start that waited so far gives its place to a later one
    overtaken: bool = False


@dataclass
class _Round:
    spec: Spec
    now: datetime
    #: whether the run before goes on, or is about to start
    busy: bool
    #: whether a start waits for its end
    waits: bool
    decisions: list[Decision] = field(default_factory=list)
    overtaken: bool = False

    def start(self, one: Occurrence, *, caught_up: bool) -> None:
        if self.busy and self.spec.overlap == "skip":
            self.decisions.append(Decision(one.at, SKIPPED, "the run before goes on", caught_up=caught_up))
        elif self.busy and self.spec.overlap == "wait":
            self._wait(one, caught_up)
        else:
            self.decisions.append(Decision(one.at, STARTING, caught_up=caught_up))
            self.busy = True

    def _wait(self, one: Occurrence, caught_up: bool) -> None:
        if self.waits:
            mine = [number for number, each in enumerate(self.decisions) if each.outcome == WAITING]
            if mine:
                former = self.decisions[mine[0]]
                reason = "a later start took its place"
                self.decisions[mine[0]] = Decision(former.at, SKIPPED, reason, caught_up=former.caught_up)
            else:
                self.overtaken = True
        self.decisions.append(Decision(one.at, WAITING, "waits for the run before", caught_up=caught_up))
        self.waits = True


def plan(name: str, spec: Spec, *, next_at: datetime | None, now: datetime, busy: bool, waits: bool) -> Planned:
    """Decide on the moments from `next_at` that are due at `now`; at most PORTION of them.

    next_at: the first moment that was not decided on yet. busy: whether the run before goes on. waits: whether a start
    waits for its end.
    """
    if next_at is None:
        return Planned([], None, None)
    round_ = _Round(spec, now, busy, waits)
    # By the moments themselves, which come up to `jitter` before the starts.
    late = spec.catch_up_within if spec.catch_up != "none" else LATE
    oldest = now - timedelta(seconds=max(late, LATE) + spec.jitter)
    begin = next_at
    if next_at < oldest:
        # However many they are, they are left out in one row.
        begin = max(next_at, oldest)
        why = "was missed" if spec.catch_up == "none" else "was missed for longer than catch_up_within"
        round_.decisions.append(Decision(next_at, SKIPPED, why, until=begin - _INSTANT))
    #: of the missed ones that start nothing: the first and the last
    missed: list[Occurrence] = []
    following: Occurrence | None = None
    for one in occurrences(spec, begin - _INSTANT):
        start = one.starts(name, spec.jitter)
        if start > now or len(round_.decisions) >= PORTION:
            following = one
            break
        if (now - start).total_seconds() <= LATE:
            _leave_out(round_, missed, start_last=False)
            missed = []
            round_.start(one, caught_up=False)
        elif spec.catch_up == "all":
            round_.start(one, caught_up=True)
        else:
            missed = [*missed[:1], one]
    _leave_out(round_, missed, start_last=spec.catch_up == "latest")
    at = following.at if following else None
    due = following.starts(name, spec.jitter) if following else None
    return Planned(round_.decisions, at, due, round_.overtaken)


def _leave_out(round_: _Round, missed: Sequence[Occurrence], *, start_last: bool) -> None:
    """Decide on moments that were missed, of which these are the first and the last one. However many lie in between,
    one row is enough. start_last: the last one starts, since no later one does."""
    if not missed:
        return
    first, last = missed[0], missed[-1]
    if not start_last:
        round_.decisions.append(Decision(first.at, SKIPPED, "was missed", until=last.at))
        return
    if first is not last:
        reason = "was missed, and a later one too"
        round_.decisions.append(Decision(first.at, SKIPPED, reason, until=last.at - _INSTANT))
    round_.start(last, caught_up=True)
