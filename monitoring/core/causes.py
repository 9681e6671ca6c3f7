"""Which component is the cause, when several complain. Pure: the same changes give the same ranking.

Note [Causes]
A component is a candidate if something was seen of itself: it failed, it is another one than before, another server has
its role, it was emptied. What is only affected (errors, reports that cannot be read) complains, and is no candidate.

    weight = directness * earliness * (1 + complaints that it explains), and a third of it if another one explains it

- directness: what was asked itself is worth more than what others say of it, and that more than mere silence.
- earliness: falls with the seconds by which it *certainly* began after the first candidate. A change happened between
  two looks; where those times overlap nobody knows which was first, and nothing is taken off.
- A candidate explains what depends on it (`components.NEEDS`, through any number of steps), did not certainly begin
  before it, and began in time: while it is down, at most REACH seconds after it was over, or at most SLOW seconds after
  it began to serve with less than it should.
- What happened more than QUIET seconds before the newest candidate, and explains nothing of what is newer, is another
  incident. It counts a fifth, unless it is down now.

The weights only order: they are no probabilities.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from monitoring.core.changes import Change, What
from monitoring.core.components import PROCESSES, State, Verdict, dependents

#: seconds: for which a change is remembered, between two incidents, in which a cause that is over (or lasts, and is not
#: down) shows its effects, and that halve the earliness
RECENT, QUIET, REACH, SLOW, LATE = 120.0, 15.0, 10.0, 60.0, 5.0
#: what a cause that another one explains, and one of an older incident, keep of their weight
_EXPLAINED, _OLD = 0.3, 0.2
#: changes shown of one cause
MOST_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing that was seen. at: by when, in seconds since the epoch; None: it is no event."""

    sentence: str
    at: float | None = None


@dataclass(frozen=True, slots=True)
class Cause:
    """A component that may be the cause.

    members: its servers of which something was seen, the first to change first. after, by: it began between the two, in
    seconds since the epoch. ongoing: it is not well now. explains: components that complain and depend on it.
    weight: orders causes, 0 to 1 for all of them together.
    """

    component: str
    members: tuple[str, ...]
    after: float
    by: float
    ongoing: bool
    explains: tuple[str, ...]
    weight: float
    evidence: tuple[Evidence, ...]

    @property
    def sentence(self) -> str:
        """The strongest piece of evidence."""
        return self.evidence[0].sentence


@dataclass(frozen=True, slots=True)
class _Trouble:
    """What is known of one component. until: when it was over; None: it is not."""

    component: str
    changes: Sequence[Change]
    after: float
    by: float
    until: float | None
    directness: float
    candidate: bool
    state: State


def rank(changes: Iterable[Change], verdicts: Mapping[str, Verdict], now: float) -> list[Cause]:
    """The causes of what is not well now, or was not within RECENT seconds; the likeliest first.

    changes: each once (`changes.merged`), on one clock with `now`, in seconds since the epoch.
    """
    troubles = _troubles(changes, verdicts, now)
    candidates = [one for one in troubles.values() if one.candidate]
    if not candidates:
        return []
    begin = _newest_incident([one.by for one in candidates])
    current = [one for one in candidates if one.by >= begin]
    first = min(one.by for one in current)
    known = set(troubles) | set(verdicts)
    weights: dict[str, float] = {}
    explained: dict[str, list[_Trouble]] = {}
    for one in candidates:
        explained[one.component] = [
            other for other in troubles.values() if other is not one and _explains(one, other, known)
        ]
        weight = one.directness * (1 + len(explained[one.component]))
        weight /= 1 + max(0.0, one.after - first) / LATE
        if any(other is not one and _explains(other, one, known) for other in candidates):
            weight *= _EXPLAINED
        newer = any(other.by >= begin for other in explained[one.component])
        if one.by < begin and not newer and one.state is not State.DOWN:
            weight *= _OLD
        weights[one.component] = weight
    total = sum(weights.values())
    ordered = sorted(candidates, key=lambda one: (-weights[one.component], one.by, one.component))
    return [
        _cause(one, explained[one.component], candidates, troubles, verdicts, weights[one.component] / total)
        for one in ordered
    ]


def _troubles(changes: Iterable[Change], verdicts: Mapping[str, Verdict], now: float) -> dict[str, _Trouble]:
    by_component: dict[str, list[Change]] = {}
    for change in sorted(changes, key=lambda one: (one.by, one.after, one.member, one.what)):
        if now - change.by <= RECENT:
            by_component.setdefault(change.component, []).append(change)
    found = {}
    for component in sorted({*by_component, *verdicts}):
        verdict = verdicts.get(component)
        state = verdict.state if verdict is not None else State.UNKNOWN
        # Its own trouble, or another one's that is about it.
        ill = verdict is not None and state is not State.OK and (not verdict.about or component in verdict.about)
        blamed = any(component in one.about for one in verdicts.values() if one.state is not State.OK)
        mine = by_component.get(component, [])
        begun = _last_incident([one for one in mine if one.what is not What.RECOVERED])
        if not begun and not blamed and not (verdict is not None and state is not State.OK):
            continue
        if begun:
            after, by = begun[0].after, begun[0].by
        else:
            # Nobody here saw it begin, so it may have been at any time.
            by = now - ((verdict.age if verdict is not None else None) or 0.0)
            after = now - RECENT
        over = [one.by for one in mine if one.what is What.RECOVERED and one.by >= by]
        until = None if ill or blamed else max([by, *over, *(one.by for one in begun)])
        directness = max((_directness(one) for one in begun), default=0.0)
        if ill:
            directness = max(directness, _of_state(component, state))
        if blamed:
            directness = max(directness, 0.5)
        found[component] = _Trouble(
            component, begun, after, by, until, directness or 0.2, directness > _SYMPTOM, state if ill else State.OK
        )
    return found


#: directness of what is only affected
_SYMPTOM = 0.25


def _directness(change: Change) -> float:
    if change.what is What.ERRORS:
        return 0.2
    if change.component in PROCESSES and not change.direct:
        return 0.8 if change.what is What.RESTARTED else 0.7
    if not change.direct:
        return 0.8
    return 0.9 if change.what is What.MOVED else 1.0


def _of_state(component: str, state: State) -> float:
    if component in PROCESSES:
        # Reports that cannot be read say nothing of the processes; those that are missing do.
        return _SYMPTOM if state is State.UNKNOWN else 0.6
    return {State.UNKNOWN: 0.3, State.DEGRADED: 0.8, State.DOWN: 1.0}.get(state, 0.0)


def _explains(one: _Trouble, other: _Trouble, known: Iterable[str]) -> bool:
    if other.component not in dependents(one.component, known):
        return False
    if other.by < one.after:
        return False
    if one.until is not None:
        return other.after <= one.until + REACH
    return one.state is State.DOWN or other.after <= one.by + SLOW


def _last_incident(changes: Sequence[Change]) -> list[Change]:
    """The last of the changes of a component that belong together."""
    begin = _newest_incident([one.by for one in changes]) if changes else 0.0
    return [one for one in changes if one.by >= begin]


def _newest_incident(times: Sequence[float]) -> float:
    """When the newest group of times without a gap of more than QUIET seconds begins."""
    ordered = sorted(times, reverse=True)
    begin = ordered[0]
    for time in ordered[1:]:
        if begin - time > QUIET:
            break
        begin = time
    return begin


# --- what is said of it


def _cause(
    one: _Trouble,
    explained: Sequence[_Trouble],
    candidates: Sequence[_Trouble],
    troubles: Mapping[str, _Trouble],
    verdicts: Mapping[str, Verdict],
    weight: float,
) -> Cause:
    known = {*troubles, *verdicts}
    said: list[Evidence] = []
    for change in sorted(one.changes, key=lambda change: (-_directness(change), change.by)):
        if change.sentence not in {each.sentence for each in said} and len(said) < MOST_SHOWN:
            said.append(Evidence(change.sentence, change.by))
    for name, witness in verdicts.items():
        if witness.state is not State.OK and one.component in witness.about and name != one.component:
            said.append(Evidence(f"{name} says: {witness.sentence}"))
    verdict = verdicts.get(one.component)
    if verdict is not None and one.state is not State.OK and verdict.sentence not in {each.sentence for each in said}:
        said.insert(0 if not said else 1, Evidence(verdict.sentence, None))
    for other in sorted(candidates, key=lambda each: each.by):
        if other is not one and abs(other.by - one.by) <= 2 * QUIET and (sentence := _order(one, other)):
            said.append(Evidence(sentence))
    uppers = dependents(one.component, known)
    if uppers:
        names = [each.component for each in explained]
        listed = f": {', '.join(names)}" if names else ""
        verb = "complains" if len(names) == 1 else "complain"
        said.append(Evidence(f"{len(names) or 'None'} of {len(uppers)} that depend on it {verb}{listed}."))
    lower = [name for name in sorted(known) if one.component in dependents(name, known)]
    well = [name for name in lower if name not in troubles]
    if well:
        said.append(Evidence(f"What it depends on is well: {', '.join(well)}."))
    ill = [name for name in lower if name in troubles and troubles[name].candidate]
    if ill:
        said.append(Evidence(f"It depends on what is not well, or was not: {', '.join(ill)}."))
    members = tuple(dict.fromkeys(change.member for change in one.changes if change.member))
    return Cause(
        one.component,
        members,
        one.after,
        one.by,
        one.until is None,
        tuple(each.component for each in explained),
        weight,
        tuple(said),
    )


def _order(one: _Trouble, other: _Trouble) -> str:
    """Which of the two began first, as far as it is certain."""
    if not one.changes or not other.changes:
        return ""
    if other.after > one.by:
        return f"It began {other.after - one.by:.1f} s or more before that of {other.component} did."
    if one.after > other.by:
        return f"It began {one.after - other.by:.1f} s or more after that of {other.component} did."
    return f"Whether it began before that of {other.component} is not known."
