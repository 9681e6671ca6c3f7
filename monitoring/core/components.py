"""Components of the platform, what depends on what, and what is said of each.

Note [Unknown]
What was seen is good for as long as it takes until the next look must have ended: the interval of the probe and the
time that one look may take. What is older is `unknown`, whatever it said. A process that does not report is unknown
first and down later: silence alone does not say whether it was killed, is frozen or is cut off.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class State(StrEnum):
    OK = "ok"
    DEGRADED = "degraded"  # it serves, with less than it should
    DOWN = "down"  # it does not serve, as far as the observer can see
    UNKNOWN = "unknown"  # nobody knows, which is not "ok"


#: from good to bad; unknown is worse than degraded, since it may be anything
ORDER = (State.OK, State.DEGRADED, State.UNKNOWN, State.DOWN)

#: the value of erip_component_up; what is unknown has none
UP = {State.OK: 1.0, State.DEGRADED: 0.5, State.DOWN: 0.0}

#: component → what it cannot work without, or works worse without
NEEDS: Mapping[str, tuple[str, ...]] = {
    "etcd": (),
    "patroni": ("etcd",),
    "postgresql": ("patroni", "disk"),
    "sentinel": (),
    "redis": ("sentinel",),
    "haproxy": ("certificates",),
    "disk": (),
    "certificates": (),
    "web": ("postgresql", "haproxy"),
    "worker": ("postgresql", "redis"),
    "leader": ("postgresql",),
    "autoscaler": ("postgresql",),
}
#: kinds of process without which the platform does not do its work; any other kind may be absent
REQUIRED = ("web", "worker", "leader")
#: kinds of process in the order in which they are shown
PROCESSES = ("web", "worker", "leader", "autoscaler")

#: seconds between two reports of a process
REPORT_EVERY = 2.0
#: seconds of silence after which nobody knows how a process is, and after which it counts as gone
SILENT_AFTER, GONE_AFTER = 3 * REPORT_EVERY, 120.0


@dataclass(frozen=True, slots=True)
class Member:
    """One server of a component, as a probe saw it.

    component: often another one than the probe's own: HAProxy says how the web servers are.
    identity: changes when it was started anew. role: what it is among the others; leads: whether that is the first one.
    counters: what rises within one identity: `flushes`, `errors`, `failures`.
    direct: whether it was asked itself; False: somebody else said so.
    """

    component: str
    name: str
    state: State
    sentence: str = ""
    identity: str = ""
    role: str = ""
    leads: bool = False
    counters: Mapping[str, float] = field(default_factory=dict)
    direct: bool = True


@dataclass(frozen=True, slots=True)
class Observation:
    """What a probe saw.

    at: when the look ended, in seconds since the epoch, by the observer's clock.
    good_for: seconds for which it may be shown.
    sentence: for a person, without secrets. identity: changes when the thing observed was started anew.
    measures: name of a metric (with labels, as Prometheus writes them) → value.
    about: components whose trouble this is, if it is not its own: a HAProxy without servers works.
    identity_of: the component that is meant by the identity, if it is not its own.
    """

    component: str
    state: State
    sentence: str
    at: float
    good_for: float
    identity: str = ""
    measures: Mapping[str, float] = field(default_factory=dict)
    members: tuple[Member, ...] = ()
    about: tuple[str, ...] = ()
    identity_of: str = ""


@dataclass(frozen=True, slots=True)
class Life:
    """One life of a process of the platform, as it reported. age: seconds since then, by the database's clock."""

    kind: str
    host: str
    pid: int
    age: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is said of one component. age: seconds since what it rests on was seen; None: nothing was ever seen."""

    component: str
    state: State
    sentence: str
    age: float | None
    identity: str = ""
    about: tuple[str, ...] = ()


def of_observation(seen: Observation, now: float) -> Verdict:
    """The verdict on what a probe saw: Note [Unknown]."""
    age = max(0.0, now - seen.at)
    if age <= seen.good_for:
        return Verdict(seen.component, seen.state, seen.sentence, age, seen.identity, seen.about)
    sentence = f"Nobody has looked for {_seconds(age)}; before that: {seen.sentence}"
    return Verdict(seen.component, State.UNKNOWN, sentence, age, seen.identity)


def freshest(seen: Iterable[Observation]) -> dict[str, Observation]:
    """The newest observation of each component."""
    found: dict[str, Observation] = {}
    for one in seen:
        if one.component not in found or one.at > found[one.component].at:
            found[one.component] = one
    return found


def of_processes(kind: str, lives: Sequence[Life], read_age: float | None, *, lost: bool = False) -> Verdict:
    """The verdict on the processes of a kind.

    lives: all of this kind that have reported and did not end in good order.
    read_age: seconds since the reports were read from the database; None: never.
    lost: some reported a moment ago, and their reports are gone: a failover empties the table.
    """
    if read_age is None:
        return Verdict(kind, State.UNKNOWN, f"The reports of {_plural(kind)} could not be read yet.", None)
    ages = [life.age + read_age for life in lives]
    if ages and read_age > SILENT_AFTER:
        sentence = f"The reports of {_plural(kind)} could not be read for {_seconds(read_age)}."
        return Verdict(kind, State.UNKNOWN, sentence, min(ages))
    reporting = sum(age <= SILENT_AFTER for age in ages)
    silent = [(life, age) for life, age in zip(lives, ages, strict=True) if SILENT_AFTER < age <= GONE_AFTER]
    freshest_age = min(ages) if ages else read_age
    if reporting and not silent:
        verb = "reports" if reporting == 1 else "report"
        return Verdict(kind, State.OK, f"{reporting} {_plural(kind, reporting)} {verb}.", freshest_age)
    if silent:
        life, age = max(silent, key=lambda pair: pair[1])
        who = f"the {kind} on {life.host} (process {life.pid}) has been silent for {_seconds(age)}"
        if reporting:
            verb = "reports" if reporting == 1 else "report"
            return Verdict(kind, State.DEGRADED, f"{reporting} {verb}, but {who}.", freshest_age)
        # The youngest silence decides: one of them may yet report.
        state = State.DOWN if freshest_age > 5 * SILENT_AFTER else State.UNKNOWN
        return Verdict(kind, state, f"None reports: {who}.", freshest_age)
    if read_age > SILENT_AFTER:
        sentence = f"The reports of {_plural(kind)} could not be read for {_seconds(read_age)}."
        return Verdict(kind, State.UNKNOWN, sentence, read_age)
    if lost:
        sentence = f"The reports of {_plural(kind)} were lost, as in a failover, and none has reported since."
        return Verdict(kind, State.UNKNOWN, sentence, read_age)
    if kind in REQUIRED:
        return Verdict(kind, State.DOWN, f"No {kind} is running.", read_age)
    return Verdict(kind, State.OK, f"No {kind} is running, and none has to.", read_age)


def dependents(component: str, present: Iterable[str]) -> list[str]:
    """What needs this component, directly or not, of those present; what a missing one stands between is found too."""
    found: list[str] = []
    border = [component]
    while border:
        lower = border.pop(0)
        for upper, needs in NEEDS.items():
            if lower in needs and upper not in found:
                found.append(upper)
                border.append(upper)
    here = set(present)
    return [one for one in found if one in here]


def whole(verdicts: Iterable[Verdict]) -> State:
    """The state of the platform: that of its worst component."""
    return max((verdict.state for verdict in verdicts), key=ORDER.index, default=State.UNKNOWN)


def cause(verdicts: Mapping[str, Verdict]) -> Verdict | None:
    """The troubled component that explains most of the others: one that needs no troubled one itself."""
    troubled = {name for name, verdict in verdicts.items() if verdict.state is not State.OK}
    roots = [name for name in troubled if not any(name in dependents(other, troubled) for other in troubled - {name})]
    if not roots:
        return None
    first = max(
        sorted(roots),
        key=lambda name: (ORDER.index(verdicts[name].state), len(dependents(name, verdicts))),
    )
    return verdicts[first]


def sentence(verdicts: Mapping[str, Verdict], named: str | None = None) -> str:
    """The whole platform in one sentence. named: the component that is the cause, if that is known."""
    first = verdicts.get(named) if named is not None else None
    if first is None or first.state is State.OK:
        first = cause(verdicts)
    if first is None:
        return "Everything that is watched works."
    affected = dependents(first.component, verdicts)
    tail = f" It affects {', '.join(affected)}." if affected else ""
    others = sum(verdict.state is not State.OK for verdict in verdicts.values()) - 1
    more = f" {others} other component{'s are' if others > 1 else ' is'} not well." if others else ""
    return f"{first.component} is {first.state}: {first.sentence}{tail}{more}"


def _seconds(age: float) -> str:
    return f"{age:.0f} s" if age < 120 else f"{age / 60:.0f} min"


def _plural(kind: str, count: int = 2) -> str:
    noun = {"web": "web process", "worker": "worker", "leader": "leader", "autoscaler": "autoscaler"}.get(kind, kind)
    if count == 1:
        return noun
    return f"{noun}es" if noun.endswith("ss") else f"{noun}s"
