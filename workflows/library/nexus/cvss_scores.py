"""CVSS vectors (v2, v3.0, v3.1, v4.0) to scores, by FIRST's formulas as the `cvss` package implements them.

A vector is scored by the metrics that it states, each score under its own name:

    v2, v3   base_score, temporal_score, environmental_score; the last two only with such metrics
    v4       cvss_b, and cvss_bt, cvss_be, cvss_bte only with threat metrics, environmental ones, or both

`score` is the most specific of them. It is never the environmental formula of a vector that has only base metrics: in
version 3.1 that formula gives other numbers than the base formula (specification section 7.3 against 7.1).

A published vector is often a little wrong. Readable parts are scored and the rest is named in `note`: stray slashes
and spaces, parentheses, lower case, a metric given twice with one value, an optional metric or value that does not
exist. A vector that lacks a mandatory metric has no score; it is reported as a fault, and the others are scored.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cvss import CVSS2, CVSS3, CVSS4, constants2, constants3, constants4
from cvss.exceptions import CVSSError

from workflows.library.nexus.contract import CvssScore

_PREFIX: Final = re.compile(r"CVSS:\s*(?P<version>[0-9.]+)\s*/|CVSS2#", re.IGNORECASE)


class BadVectors(ValueError):
    """Some vectors are no CVSS vectors; `faults` names each by its index."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class _Version:
    """One version of CVSS: what its metrics may say, and which of them belong to which group."""

    prefix: str
    values: Mapping[str, Sequence[str]]
    mandatory: frozenset[str]
    #: temporal in v2 and v3, threat in v4
    threat: frozenset[str]
    environmental: frozenset[str]
    undefined: str
    parse: Callable[[str], Any]


_ENVIRONMENTAL_4: Final = frozenset(
    "CR IR AR MAV MAC MAT MPR MUI MVC MVI MVA MSC MSI MSA".split()  # noqa: SIM905
)


def _values(table: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    return {metric: list(values) for metric, values in table.items()}


def _versions() -> dict[str, _Version]:
    found = {
        "2.0": _Version(
            "",
            _values(constants2.METRICS_VALUES),
            frozenset(constants2.METRICS_MANDATORY),
            frozenset(constants2.TEMPORAL_METRICS),
            frozenset(constants2.ENVIRONMENTAL_METRICS),
            "ND",
            CVSS2,
        ),
        "4.0": _Version(
            "CVSS:4.0/",
            _values(constants4.METRICS_VALUE_NAMES),
            frozenset(constants4.METRICS_MANDATORY),
            frozenset({"E"}),
            _ENVIRONMENTAL_4,
            "X",
            CVSS4,
        ),
    }
    for version in ("3.0", "3.1"):
        found[version] = _Version(
            f"CVSS:{version}/",
            _values(constants3.METRICS_VALUES),
            frozenset(constants3.METRICS_MANDATORY),
            frozenset(constants3.TEMPORAL_METRICS),
            frozenset(constants3.ENVIRONMENTAL_METRICS),
            "X",
            CVSS3,
        )
    return found


_VERSIONS: Final = _versions()


def score_readable(vectors: Sequence[str]) -> tuple[list[CvssScore], list[str]]:
    """The scores of the vectors that can be read, in their order, and a fault for each of the others."""
    scores: list[CvssScore] = []
    faults: list[str] = []
    for index, vector in enumerate(vectors):
        try:
            scores.append(_score(index, vector))
        except (CVSSError, ValueError) as error:
            # A vector may be long and hostile: the message quotes only a bounded part of it.
            shown = vector if len(vector) <= 80 else vector[:77] + "..."
            faults.append(f"cvss_vectors[{index}]: {shown!r} is not a CVSS vector: {str(error)[:200]}")
    return scores, faults


def score_vectors(vectors: Sequence[str]) -> list[CvssScore]:
    """Scores in the order of the vectors. Raises BadVectors that names every bad vector at once."""
    scores, faults = score_readable(vectors)
    if faults:
        raise BadVectors(faults)
    return scores


def _score(index: int, vector: str) -> CvssScore:
    number, version, metrics, notes = _read(vector)
    stated = {name for name, value in metrics.items() if value != version.undefined}
    threat, environmental = bool(stated & version.threat), bool(stated & version.environmental)
    clean = version.parse(_written(version, metrics)).clean_vector()
    found: dict[str, float] = {}
    if number == "4.0":
        found["cvss_b"] = _part(version, metrics, version.threat | version.environmental)
        if threat:
            found["cvss_bt"] = _part(version, metrics, version.environmental)
        if environmental:
            found["cvss_be"] = _part(version, metrics, version.threat)
        if threat and environmental:
            found["cvss_bte"] = _part(version, metrics, frozenset())
        base = found["cvss_b"]
        names = {"cvss_b": "CVSS-B", "cvss_bt": "CVSS-BT", "cvss_be": "CVSS-BE", "cvss_bte": "CVSS-BTE"}
        kind = names[next(reversed(found))]
    else:
        base, *rest = version.parse(_written(version, metrics)).scores()
        base, kind = float(base), "base"
        if threat:
            found["temporal_score"], kind = float(rest[0]), "temporal"
        if environmental:
            found["environmental_score"], kind = float(rest[1]), "environmental"
    value = next(reversed(found.values()), base)
    return CvssScore(
        index=index,
        vector=clean,
        version=number,
        base_score=base,
        score=value,
        score_is=kind,
        severity=rating(value),
        note="; ".join(notes),
        **found,
    )


def _part(version: _Version, metrics: Mapping[str, str], without: frozenset[str]) -> float:
    """The score of the vector without some of its metrics."""
    parsed = version.parse(_written(version, {name: value for name, value in metrics.items() if name not in without}))
    return float(parsed.scores()[0])


def _written(version: _Version, metrics: Mapping[str, str]) -> str:
    return version.prefix + "/".join(f"{name}:{value}" for name, value in metrics.items())


def _read(vector: str) -> tuple[str, _Version, dict[str, str], list[str]]:
    """(number, version, metrics, notes) of a vector. Raises ValueError."""
    # Version 2 vectors have no prefix; some sources put them in parentheses.
    text = vector.strip().removeprefix("(").removesuffix(")").strip()
    match = _PREFIX.match(text.lstrip("/"))
    number = "2.0"
    if match is not None:
        text = text.lstrip("/")[match.end() :]
        number = match["version"] or "2.0"
        number = "2.0" if number == "2" else number
    elif text.upper().startswith("CVSS"):
        raise ValueError("the versions known are 2, 3.0, 3.1 and 4.0")
    version = _VERSIONS.get(number)
    if version is None:
        raise ValueError("the versions known are 2, 3.0, 3.1 and 4.0")
    names = {name.upper(): name for name in version.values}
    metrics: dict[str, str] = {}
    notes: list[str] = []
    for part in text.split("/"):
        field = part.strip()
        if not field:
            if "stray / ignored" not in notes:
                notes.append("stray / ignored")
            continue
        given, _, said = (piece.strip() for piece in field.partition(":"))
        name = names.get(given.upper())
        value = next((one for one in version.values[name] if one.upper() == said.upper()), None) if name else None
        if name is None or value is None:
            if name in version.mandatory:
                raise ValueError(f"{field[:40]!r} is not a metric with a value")
            notes.append(f"{field[:40]!r} is not a metric of version {number} and was left out")
        elif metrics.setdefault(name, value) != value:
            raise ValueError(f"{name} has two values")
    missing = sorted(version.mandatory - set(metrics))
    if missing:
        raise ValueError(f"the mandatory metrics {', '.join(missing)} are missing")
    return number, version, metrics, notes


def rating(score: float) -> str:
    """The qualitative scale of CVSS v3 and v4 (v2 had none of its own: NVD applies low/medium/high alike)."""
    if score == 0:
        return "none"
    if score < 4:
        return "low"
    if score < 7:
        return "medium"
    return "high" if score < 9 else "critical"
