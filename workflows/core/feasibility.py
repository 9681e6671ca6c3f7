"""Whether a run can take longer than its definition gives it: known when the definition is published.

Note [Longest way]
A step takes at most all of its attempts, each as long as its timeout, and the longest rests in between; a wait takes as
long as it says. What is not known then is left out: the wait for a worker, rests that a failure asks for
(`retry_after`), waits whose times are computed or that have no limit, and all but the first round of a `foreach` over a
computed list. So the longest way is what a run may take at least, if everything goes as badly as the definition allows.
A run that needs less ends in time: this is a warning, not a fault.
The longest way to a step that `deadlines` names is compared with the time that it leaves, as if that counted from the
start of the run. A clock that began earlier leaves less.
"""

from collections.abc import Mapping
from types import MappingProxyType

from erip.foundation.faults import Fault, join
from workflows.core.graph import Graph, StepNode, Work
from workflows.core.kinds import Approval, ForEach, Wait
from workflows.core.kinds.several import Group, Part
from workflows.core.kinds.wait import seconds_of

#: seconds, and the steps that take them
Way = tuple[float, tuple[str, ...]]


def longest(graph: Graph) -> tuple[float, tuple[str, ...]]:
    """(seconds, the steps that take them, in their order): the longest way through the essential steps."""
    return _ways(graph)[1]


def warnings(graph: Graph, known: Mapping[str, float] | None = None) -> tuple[Fault, ...]:
    """What the definition promises and may not keep. known: the seconds that obligations leave, by name; None: they
    cannot be looked up here."""
    found: list[Fault] = []
    ways, best = _ways(graph)
    if graph.timeout is not None and best[0] > graph.timeout:
        found.append(Fault("timeout", f"leaves {spell(graph.timeout)}, but the steps may take up to {_told(best)}"))
    for one in graph.deadlines:
        within = one.within if one.within is not None else (known or {}).get(one.name)
        path = join("deadlines", one.name)
        if within is None:
            if known is not None:
                found.append(Fault(path, "no obligation of this name leaves a fixed time: give within"))
        elif ways[one.by][0] > within:
            message = f"leaves {spell(within)}, but up to the end of {one.by} it may take {_told(ways[one.by])}"
            found.append(Fault(path, message))
    return tuple(found)


def _told(way: Way) -> str:
    seconds, steps = way
    return f"{spell(seconds)}: {' -> '.join(steps[:8])}{' -> …' if len(steps) > 8 else ''}"


def _ways(graph: Graph) -> tuple[Mapping[str, Way], Way]:
    """The longest way to the end of each step, and to the outcome of the run. A step that is not essential begins after
    the outcome."""
    ways: dict[str, Way] = {}
    outcome: Way = (0.0, ())
    for essential in (True, False):
        for id, node in graph.steps.items():
            if node.essential is not essential:
                continue
            first: Way = (0.0, ()) if essential else outcome
            before = max([first, *(ways[need] for need in node.needs if need in ways)], key=lambda way: way[0])
            own = _of_step(node)
            ways[id] = (before[0] + own, (*before[1], id) if own else before[1])
            if essential:
                outcome = max(outcome, ways[id], key=lambda way: way[0])
    return MappingProxyType(ways), outcome


def _of_step(node: StepNode) -> float:
    how = node.how
    if isinstance(how, ForEach):
        items = how.fan_out.foreach
        rounds = -(-len(items.value) // how.fan_out.max_parallel) if isinstance(items.value, list) else 1
        return rounds * _of_work(how.work)
    if isinstance(how, Wait):
        return _of_wait(how)
    if isinstance(how, Approval):
        return how.sla or 0.0
    return _of_work(node.work) if node.work is not None else 0.0


def _of_work(work: Work) -> float:
    retry = work.retry
    rest, rests = min(retry.backoff, retry.max_delay), 0.0
    for _ in range(retry.max_attempts - 1):
        rests += rest
        rest = min(rest * retry.factor, retry.max_delay)
    return retry.max_attempts * work.timeout + rests


def _of_wait(how: Wait) -> float:
    if how.duration is not None:
        return seconds_of(how.duration.render({})) if how.duration.constant else 0.0
    if how.several is None:
        return how.timeout or 0.0
    seconds, bounded = _of_group(how.several.root)
    if how.timeout is None:
        return seconds
    return min(seconds, how.timeout) if bounded else how.timeout


def _of_group(group: Group) -> tuple[float, bool]:
    """(seconds, whether it takes no longer). What has no known time may come at once, or never."""
    members = [_of_group(member) if isinstance(member, Group) else _of_part(member) for member in group.members]
    if group.every:
        return max(seconds for seconds, _ in members), all(bounded for _, bounded in members)
    known = [seconds for seconds, bounded in members if bounded]
    return (min(known), True) if known else (0.0, False)


def _of_part(part: Part) -> tuple[float, bool]:
    if part.duration is not None and part.duration.constant:
        return seconds_of(part.duration.render({})), True
    return 0.0, False


def spell(seconds: float) -> str:
    """Seconds as people write them: 96h, 1m30s."""
    whole, text = round(seconds, 3), ""
    for size, unit in ((3_600, "h"), (60, "m")):
        count, whole = divmod(whole, size)
        if count:
            text += f"{count:,.0f}{unit}"
    whole = round(whole, 3)
    return text + (f"{whole:g}s" if whole or not text else "")
