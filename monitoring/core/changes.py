"""What changed between two looks: the raw material of `monitoring.core.causes`.

Note [Changes]
A supervisor starts a killed server again within half a second, so that no look may ever see it down. What stays is
that it is another one: PostgreSQL's start time, Redis's `run_id`, the process of a HAProxy, the life of a worker. So
changes of identity count as much as silence does. A change happened at some moment between the last look that saw it
as before and the first that saw it changed; both are kept, since more is not known.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from monitoring.core.components import GONE_AFTER, REPORT_EVERY, SILENT_AFTER, Member, Observation, State

#: changes that one process remembers, and seconds for which it tells others of them
MOST, TOLD_FOR = 60, 120.0
#: seconds without a report after which a process is missed, where all others report as they should
_MISSED_AFTER = 2.25 * REPORT_EVERY
#: seconds without a report after which a process that has a successor on its host counts as replaced
_REPLACED_AFTER = 1.5 * REPORT_EVERY


class What(StrEnum):
    FAILED = "failed"  # it does not serve, or with less than it should
    RESTARTED = "restarted"  # it is another one than before
    MOVED = "moved"  # another server of the component has its role
    EMPTIED = "emptied"  # its data was thrown away
    ERRORS = "errors"  # it answers with errors: a symptom, seldom a cause
    RECOVERED = "recovered"  # it serves again


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a component, or of one of its members ("": of the whole).

    after, by: it happened after the one and not after the other, in seconds since the epoch on the observer's clock.
    direct: whether the thing itself was asked; False: another server said so, or its reports are missing.
    """

    component: str
    member: str
    what: What
    after: float
    by: float
    sentence: str
    direct: bool = True


class Eye:
    """Compares each look with what was known before it. For one thread, and one probe."""

    def __init__(self) -> None:
        self._before: Observation | None = None
        self._members: dict[tuple[str, str], tuple[Member, float]] = {}
        self._identities: dict[str, str] = {}

    def look(self, seen: Observation, begun: float) -> list[Change]:
        """What changed. begun: when the look began: what did not answer had failed by then."""
        found = [*self._whole(seen, begun), *self._parts(seen, begun)]
        self._before = seen
        return found

    def _whole(self, seen: Observation, begun: float) -> list[Change]:
        before = self._before
        # Members, where they are known, say more exactly which of them is another one.
        identity, known = seen.identity, self._identities.get(seen.component, "")
        if identity:
            self._identities[seen.component] = identity
        if before is None or State.UNKNOWN in (seen.state, before.state):
            return []
        found = []
        if identity and known and identity != known and not any(one.identity for one in seen.members):
            subject = seen.identity_of or seen.component
            what = What.MOVED if seen.identity_of else What.RESTARTED
            sentence = f"{subject} was started anew." if what is What.RESTARTED else f"{subject} has another leader."
            found.append(Change(subject, "", what, before.at, seen.at, sentence, not seen.identity_of))
        if before.state is State.OK and seen.state is not State.OK:
            for subject in seen.about or (seen.component,):
                direct = subject == seen.component
                found.append(Change(subject, "", What.FAILED, before.at, max(before.at, begun), seen.sentence, direct))
        elif before.state is not State.OK and seen.state is State.OK:
            for subject in before.about or (seen.component,):
                direct = subject == seen.component
                found.append(Change(subject, "", What.RECOVERED, before.at, seen.at, seen.sentence, direct))
        return found

    def _parts(self, seen: Observation, begun: float) -> list[Change]:
        found = []
        for one in seen.members:
            key = (one.component, one.name)
            known = self._members.get(key)
            identity = one.identity or (known[0].identity if known is not None else "")
            counters = one.counters or (known[0].counters if known is not None else {})
            role = one.role or (known[0].role if known is not None else "")
            self._members[key] = (replace(one, identity=identity, counters=counters, role=role), seen.at)
            if known is not None:
                found += _compared(known[0], one, known[1], seen.at, begun)
        return found


def _compared(before: Member, now: Member, after: float, at: float, begun: float) -> list[Change]:
    def change(what: What, by: float, sentence: str) -> Change:
        return Change(now.component, now.name, what, after, max(after, by), sentence, now.direct)

    found = []
    failed, had_failed = (one.state in (State.DOWN, State.DEGRADED) for one in (now, before))
    if failed and not had_failed:
        found.append(change(What.FAILED, begun, now.sentence))
    if had_failed and now.state is State.OK:
        found.append(change(What.RECOVERED, at, f"{now.name} serves again."))
    same = not (before.identity and now.identity and before.identity != now.identity)
    if not same:
        found.append(change(What.RESTARTED, at, f"{now.name} was started anew."))
    if now.leads and before.role and before.role != now.role:
        found.append(change(What.MOVED, at, f"{now.name} is {now.role} in place of another one."))
    if same:
        for name, what, sentence in _COUNTED:
            if now.counters.get(name, 0.0) > before.counters.get(name, now.counters.get(name, 0.0)):
                found.append(change(what, at, sentence.format(name=now.name)))
    return found


#: counter of a member → what it means that it rose
_COUNTED = (
    ("flushes", What.EMPTIED, "{name} was emptied (FLUSHALL or FLUSHDB)."),
    ("errors", What.ERRORS, "{name} answered with errors."),
    ("failures", What.FAILED, "{name} was found down by the checks."),
)


@dataclass(frozen=True, slots=True)
class Reporting:
    """One life of a process, as its report says. age: seconds since that; age_of_start: since the process began.
    ended: in good order."""

    kind: str
    host: str
    pid: int
    age_of_start: float
    age: float
    ended: bool


def replaced(lives: Sequence[Reporting]) -> dict[int, int]:
    """Processes that ended without a farewell, and the one that was started on the same host in place of each.

    Both as places in `lives`.
    """
    found: dict[int, int] = {}
    silent = [place for place, one in enumerate(lives) if not one.ended and one.age > _REPLACED_AFTER]
    for place in sorted(silent, key=lambda place: -lives[place].age):
        gone = lives[place]
        for other, one in enumerate(lives):
            younger = one.age_of_start < gone.age_of_start and one.age < gone.age
            # The process that is gone may have lived for as long as it takes until its next report.
            after = one.age_of_start < gone.age + REPORT_EVERY
            if (one.kind, one.host) == (gone.kind, gone.host) and younger and after and other not in found.values():
                found[place] = other
                break
    return found


def of_lives(lives: Sequence[Reporting], now: float) -> list[Change]:
    """Processes that fell silent without a farewell, and those that were started in their place.

    Reports that are old altogether say nothing of any single process: then the database did not take them.
    """
    if min((life.age for life in lives), default=SILENT_AFTER) >= SILENT_AFTER:
        return []
    heirs = replaced(lives)
    # On a machine that is so busy that others are late as well, who is missed must be later than they are.
    late = [life.age for life in lives if not life.ended and life.age <= _MISSED_AFTER]
    missed_after = min(SILENT_AFTER, max(_MISSED_AFTER, 0.75 * REPORT_EVERY + max(late, default=0.0)))
    found = []
    for place, life in enumerate(lives):
        if life.ended or life.age > GONE_AFTER:
            continue
        last = now - life.age
        name, who = f"{life.host}/{life.pid}", f"The {life.kind} on {life.host} (process {life.pid})"
        if place in heirs:
            by = max(last, min(last + missed_after, now - lives[heirs[place]].age_of_start))
            sentence = f"{who} ended without a word, and was replaced."
            found.append(Change(life.kind, name, What.RESTARTED, last, by, sentence, False))
        elif life.age > missed_after:
            sentence = f"{who} stopped reporting."
            # It may have lived for as long as nobody missed it: where all are busy, reports come late.
            found.append(Change(life.kind, name, What.FAILED, last, last + missed_after, sentence, False))
    return found


def merged(changes: Iterable[Change]) -> list[Change]:
    """The same changes, each once: what several processes saw is one change, whose moment they know better together.
    In the order of time."""
    found: dict[tuple[str, str, What], list[Change]] = {}
    for one in sorted(changes, key=lambda one: (one.by, one.after, one.sentence)):
        same = found.setdefault((one.component, one.member, one.what), [])
        for number, other in enumerate(same):
            if other.after <= one.by and one.after <= other.by:
                after, by = max(one.after, other.after), min(one.by, other.by)
                same[number] = replace(other, after=after, by=by, direct=one.direct or other.direct)
                break
        else:
            same.append(one)
    listed = [one for same in found.values() for one in same]
    return sorted(listed, key=lambda one: (one.by, one.after, one.component, one.member, one.what))


def told(change: Change, now: float) -> Mapping[str, object]:
    """A change as it stands in a report: with ages, since the reader's clock may be another."""
    return {
        "change": str(change.what),
        "of": change.component,
        "member": change.member,
        "after_age": now - change.after,
        "by_age": now - change.by,
        "said": change.sentence,
        "direct": change.direct,
    }


def heard(stored: Mapping[str, object], reported: float) -> Change | None:
    """The reverse; None for anything else that stands in a report.

    reported: when the report was written, in seconds since the epoch by the reader's clock.
    """
    try:
        after, by = (reported - float(str(stored[name])) for name in ("after_age", "by_age"))
        if not (math.isfinite(after) and math.isfinite(by) and after <= by):
            return None
        what = What(str(stored["change"]))
        return Change(
            str(stored["of"]), str(stored["member"]), what, after, by, str(stored["said"]), bool(stored["direct"])
        )
    except (KeyError, ValueError, TypeError):
        return None
