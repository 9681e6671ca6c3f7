"""The trust score: 0.30 compliance + 0.30 security + 0.25 risk + 0.15 operations, each from 0 to 100.

A figure that does not exist is not a zero: its weight is shared out among the others in proportion, and the result is
marked as incomplete. Grades: A from 90, B from 80, C from 70, D from 60, else E.
"""

from collections.abc import Mapping
from typing import Final

from workflows.library.trust.contract import OperationsOutput, Part, TrustOutput

WEIGHTS: Final = {"compliance": 0.30, "security": 0.30, "risk": 0.25, "operations": 0.15}
_GRADES: Final = ((90, "A"), (80, "B"), (70, "C"), (60, "D"))


class NothingToScore(ValueError):
    """Not one of the four figures exists."""


def trust_score(figures: Mapping[str, float | None]) -> TrustOutput:
    """Raises NothingToScore."""
    there = {name: value for name in WEIGHTS if (value := figures.get(name)) is not None}
    if not there:
        raise NothingToScore("a trust score needs at least one of compliance, security, risk and operations")
    share = sum(WEIGHTS[name] for name in there)
    parts = []
    total = 0.0
    for name, weight in WEIGHTS.items():
        value = there.get(name)
        used = weight / share if value is not None else 0.0
        points = used * value if value is not None else 0.0
        total += points
        parts.append(
            Part(
                dimension=name,
                score=value,
                weight=weight,
                weight_used=round(used, 4),
                points=round(points, 2),
            )
        )
    score = round(min(100.0, total), 2)
    return TrustOutput(
        score=score,
        grade=next((grade for least, grade in _GRADES if score >= least), "E"),
        breakdown=parts,
        weakest=min(there, key=lambda name: there[name]),
        complete=len(there) == len(WEIGHTS),
    )


def operations(
    *, runs: int, succeeded: int, incidents: int, contained: int, target_hours: float | None
) -> OperationsOutput:
    """The mean of two shares: runs that succeeded, and incidents that were contained within the target."""
    run_score = 100 * succeeded / runs if runs else None
    containment = 100 * contained / incidents if incidents else None
    there = [value for value in (run_score, containment) if value is not None]
    return OperationsOutput(
        score=round(sum(there) / len(there), 2) if there else None,
        runs=runs,
        runs_succeeded=succeeded,
        run_score=None if run_score is None else round(run_score, 2),
        incidents=incidents,
        contained_in_time=contained,
        containment_target_hours=target_hours,
        containment_score=None if containment is None else round(containment, 2),
    )
