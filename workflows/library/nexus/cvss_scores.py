"""CVSS vectors (v2, v3.0, v3.1, v4.0) to scores, by FIRST's formulas as the `cvss` package implements them."""

from collections.abc import Sequence
from decimal import Decimal

from cvss import CVSS2, CVSS3, CVSS4
from cvss.exceptions import CVSSError

from workflows.library.nexus.contract import CvssScore


class BadVectors(ValueError):
    """Some vectors are no CVSS vectors; `faults` names each by its index."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


def score_vectors(vectors: Sequence[str]) -> list[CvssScore]:
    """Scores in the order of the vectors. Raises BadVectors that names every bad vector at once."""
    scores: list[CvssScore] = []
    faults: list[str] = []
    for index, vector in enumerate(vectors):
        try:
            scores.append(_score(index, vector.strip()))
        except (CVSSError, ValueError) as error:
            # A vector may be long and hostile: the message quotes a bounded part of it.
            shown = vector if len(vector) <= 80 else vector[:77] + "..."
            faults.append(f"cvss_vectors[{index}]: {shown!r} is not a CVSS vector: {error}")
    if faults:
        raise BadVectors(faults)
    return scores


def _score(index: int, vector: str) -> CvssScore:
    parsed: CVSS2 | CVSS3 | CVSS4
    if vector.startswith("CVSS:4.0/"):
        parsed, version = CVSS4(vector), "4.0"
    elif vector.startswith(("CVSS:3.0/", "CVSS:3.1/")):
        parsed, version = CVSS3(vector), vector[5:8]
    elif vector.startswith("CVSS:"):
        raise ValueError("the versions known are 2, 3.0, 3.1 and 4.0")
    else:
        # Version 2 vectors have no prefix; some sources put them in parentheses.
        parsed, version = CVSS2(vector.removeprefix("(").removesuffix(")")), "2.0"
    known: list[Decimal | float] = [value for value in parsed.scores() if value is not None]
    # The last known score is the most specific one: environmental, else temporal, else base.
    value = float(known[-1])
    return CvssScore(
        index=index,
        vector=parsed.clean_vector(),
        version=version,
        base_score=float(known[0]),
        score=value,
        severity=rating(value),
    )


def rating(score: float) -> str:
    """The qualitative scale of CVSS v3 and v4 (v2 had none of its own: NVD applies low/medium/high alike)."""
    if score == 0:
        return "none"
    if score < 4:
        return "low"
    if score < 7:
        return "medium"
    return "high" if score < 9 else "critical"
