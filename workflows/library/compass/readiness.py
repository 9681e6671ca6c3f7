"""How far the organisation meets the requirements it is assessed against.

    score = 100 * Σ weight * fulfilment * freshness / Σ weight, over the requirements that apply

freshness is 1 while the assessment is valid, and 0.5 once it is out of date: an old "yes" proves less.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from workflows.library.compass.contract import FrameworkReadiness, ReadinessOutput, Shortfall

STALE_FACTOR = 0.5
MOST_SHORTFALLS = 25


@dataclass(frozen=True, slots=True)
class RequirementFacts:
    framework: str
    reference: str
    title: str
    weight: float
    fulfilment: float
    assessed_on: date
    valid_days: int
    sample: bool = False

    def out_of_date(self, on: date) -> bool:
        return on > self.assessed_on + timedelta(days=self.valid_days)

    def credit(self, on: date) -> float:
        return self.fulfilment * (STALE_FACTOR if self.out_of_date(on) else 1.0)


def readiness(requirements: Sequence[RequirementFacts], on: date) -> ReadinessOutput:
    names = sorted({one.framework for one in requirements})
    frameworks = []
    for name in names:
        own = [one for one in requirements if one.framework == name]
        frameworks.append(
            FrameworkReadiness(
                framework=name,
                score=_score(own, on),
                requirements=len(own),
                out_of_date=sum(one.out_of_date(on) for one in own),
            )
        )
    short = [one for one in requirements if one.credit(on) < 1]
    short.sort(key=lambda one: (-one.weight * (1 - one.credit(on)), one.framework, one.reference))
    return ReadinessOutput(
        score=_score(requirements, on) if requirements else None,
        frameworks=frameworks,
        shortfalls=[
            Shortfall(
                framework=one.framework,
                reference=one.reference,
                title=one.title,
                fulfilment=one.fulfilment,
                assessed_on=one.assessed_on,
                out_of_date=one.out_of_date(on),
            )
            for one in short[:MOST_SHORTFALLS]
        ],
        requirements=len(requirements),
        sample_data=["requirements"] if any(one.sample for one in requirements) else [],
    )


def _score(requirements: Sequence[RequirementFacts], on: date) -> float:
    weight = sum(one.weight for one in requirements)
    return round(100 * sum(one.weight * one.credit(on) for one in requirements) / weight, 2)
