"""Reading the loss factors."""

from collections.abc import Sequence
from dataclasses import dataclass

from workflows.library.cache import cached
from workflows.library.models import LossFactor
from workflows.library.vocabulary import data_categories, incident_type

AREA = "prism"


@dataclass(frozen=True, slots=True)
class Factor:
    code: str
    name: str
    per_record: bool
    low: float
    mode: float
    high: float
    probability: float
    cap: float | None
    incident_types: frozenset[str]
    data_categories: frozenset[str]
    sample: bool = False


def factors() -> Sequence[Factor]:
    return cached(AREA, "factors", _load)


def _load() -> Sequence[Factor]:
    return tuple(
        Factor(
            code=row.code,
            name=row.name,
            per_record=row.basis == LossFactor.Basis.RECORD,
            low=row.low,
            mode=row.mode,
            high=row.high,
            probability=row.probability,
            cap=row.cap,
            incident_types=frozenset(incident_type(word) for word in row.incident_types),
            data_categories=frozenset(data_categories(row.data_categories)),
            sample=row.sample,
        )
        for row in LossFactor.objects.order_by("code")
    )
