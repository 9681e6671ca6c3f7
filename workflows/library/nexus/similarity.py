"""How alike two incidents are.

The similarity is a weighted mean of four comparisons, over those that the new incident says anything about:

    incident type     0.35   1 when equal, else 0
    attack vector     0.25   1 when equal, else 0
    data categories   0.20   Jaccard index |A and B| / |A or B|
    CVEs              0.20   Jaccard index

A trait that the new incident leaves out is left out of the mean: not knowing the vector makes two incidents neither
more nor less alike. A trait that only the new incident states counts as 0. The result lies in [0, 1], is 1 for
equal incidents, and does not depend on the order of any list.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

WEIGHTS: Final = {"incident_type": 0.35, "attack_vector": 0.25, "data_categories": 0.20, "cves": 0.20}


@dataclass(frozen=True, slots=True)
class Traits:
    """What is compared."""

    incident_type: str | None = None
    attack_vector: str | None = None
    data_categories: frozenset[str] = frozenset()
    cves: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Likeness:
    score: float
    shared: tuple[str, ...]


def jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    """|A and B| / |A or B|; 0 for two empty sets, which have nothing in common."""
    union = len(a | b)
    return len(a & b) / union if union else 0.0


def likeness(new: Traits, past: Traits) -> Likeness:
    total = weight = 0.0
    shared: list[str] = []
    for name, mine, theirs in (
        ("incident_type", new.incident_type, past.incident_type),
        ("attack_vector", new.attack_vector, past.attack_vector),
    ):
        if mine:
            weight += WEIGHTS[name]
            if mine == theirs:
                total += WEIGHTS[name]
                shared.append(mine)
    for name, own, other in (
        ("data_categories", new.data_categories, past.data_categories),
        ("cves", new.cves, past.cves),
    ):
        if own:
            weight += WEIGHTS[name]
            total += WEIGHTS[name] * jaccard(own, other)
            shared.extend(sorted(own & other))
    return Likeness(total / weight if weight else 0.0, tuple(shared))


def most_alike(new: Traits, past: Iterable[tuple[str, Traits]], limit: int) -> list[tuple[str, Likeness]]:
    """The `limit` most similar, best first; ties by key, so that a rerun names the same ones."""
    found = [(key, likeness(new, traits)) for key, traits in past]
    found = [(key, like) for key, like in found if like.score > 0]
    found.sort(key=lambda pair: (-pair[1].score, pair[0]))
    return found[:limit]
