"""Whether a run can take longer than its definition gives it: known when the definition is published.

Note [Longest way]
A step takes at most all of its attempts, each as long as its timeout, and the longest rests in between; a wait takes as
long as it says. What is not known then is left out: the wait for a worker, rests that a failure asks for
(`retry_after`), waits whose times are computed or that have no limit, and all but the first round of a `foreach` over a
computed list. So the longest way is what a run may take at least, if everything goes as badly as the definition allows.
A run that needs less ends in time: this is a warning, not a fault.
"""

from erip.foundation.faults import Fault
from workflows.core.graph import Graph, StepNode, Work
from workflows.core.kinds import ForEach, Wait
from workflows.core.kinds.wait import seconds_of


def longest(graph: Graph) -> tuple[float, tuple[str, ...]]:
    """(seconds, the steps that take them, in their order): the longest way through the essential steps."""
    ways: dict[str, tuple[float, tuple[str, ...]]] = {}
    best: tuple[float, tuple[str, ...]] = (0.0, ())
    for id, node in graph.steps.items():
        if not node.essential:
            continue
        before = max((ways[need] for need in node.needs if need in ways), key=lambda way: way[0], default=(0.0, ()))
        own = _of_step(node)
        ways[id] = (before[0] + own, (*before[1], id) if own else before[1])
        best = max(best, ways[id], key=lambda way: way[0])
    return best


def warnings(graph: Graph) -> tuple[Fault, ...]:
    """What the definition promises and may not keep."""
    if graph.timeout is None:
        return ()
    seconds, steps = longest(graph)
    if seconds <= graph.timeout:
        return ()
    way = " -> ".join(steps[:8]) + (" -> …" if len(steps) > 8 else "")
    return (Fault("timeout", f"leaves {spell(graph.timeout)}, but the steps may take up to {spell(seconds)}: {way}"),)


def _of_step(node: StepNode) -> float:
    how = node.how
    if isinstance(how, ForEach):
        items = how.fan_out.foreach
        rounds = -(-len(items.value) // how.fan_out.max_parallel) if isinstance(items.value, list) else 1
        return rounds * _of_work(how.work)
    if isinstance(how, Wait):
        return _of_wait(how)
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
    times = [
        seconds_of(part.duration.render({})) if part.duration is not None and part.duration.constant else None
        for part in how.several.parts
    ]
    known = [time for time in times if time is not None]
    if how.several.every:
        # A part without a known time may take no time at all, or until the time limit.
        least = max(known, default=0.0)
        return min(how.timeout, least) if how.timeout is not None and None not in times else how.timeout or least
    return min([*known, *([how.timeout] if how.timeout is not None else [])], default=0.0)


def spell(seconds: float) -> str:
    """Seconds as people write them: 96h, 1m30s."""
    whole, text = round(seconds, 3), ""
    for size, unit in ((3_600, "h"), (60, "m")):
        count, whole = divmod(whole, size)
        if count:
            text += f"{count:,.0f}{unit}"
    whole = round(whole, 3)
    return text + (f"{whole:g}s" if whole or not text else "")
