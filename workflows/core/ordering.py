"""What `needs` makes of the steps: an order, and everything a step can count on."""

from collections.abc import Mapping, Sequence

Needs = Mapping[str, Sequence[str]]


def cycles(needs: Needs) -> list[tuple[str, ...]]:
    """The cycles, each as (a, b, …, a) where a needs b and so on; no two listed cycles share a path.

    The last but one is the step whose `needs` closes the cycle.
    """
    found: list[tuple[str, ...]] = []
    state: dict[str, int] = {}  # 1: on the way, 2: done
    for start in needs:
        if start in state:
            continue
        way: list[str] = [start]
        todo = [iter(needs[start])]
        state[start] = 1
        while todo:
            step = next(todo[-1], None)
            if step is None:
                todo.pop()
                state[way.pop()] = 2
            elif state.get(step) == 1:
                found.append((*way[way.index(step) :], step))
            elif step in needs and step not in state:
                state[step] = 1
                way.append(step)
                todo.append(iter(needs[step]))
    return found


def topological(needs: Needs) -> list[str]:
    """The steps, each after all that it needs: next is always the first possible one in the order given.

    `needs` has no cycle.
    """
    waiting = {step: set(wanted) for step, wanted in needs.items()}
    done: dict[str, None] = {}
    while waiting:
        step = next((step for step, wanted in waiting.items() if wanted <= done.keys()), None)
        if step is None:
            raise ValueError("the steps need each other in a circle")
        del waiting[step]
        done[step] = None
    return list(done)


def ancestors(needs: Needs, order: Sequence[str]) -> dict[str, frozenset[str]]:
    """For each step, all steps that end before it starts: those that it needs, and those that they need. `order` is
    topological."""
    found: dict[str, frozenset[str]] = {}
    for step in order:
        direct = needs[step]
        found[step] = frozenset(direct).union(*(found[other] for other in direct))
    return found
