"""CVSS scores against the formulas of the specifications, written down here a second time."""

from fractions import Fraction
from itertools import product
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.library.nexus.cvss_scores import score_readable, score_vectors

WEIGHTS = {
    "AV": {"N": "0.85", "A": "0.62", "L": "0.55", "P": "0.2"},
    "AC": {"L": "0.77", "H": "0.44"},
    "UI": {"N": "0.85", "R": "0.62"},
    "CIA": {"H": "0.56", "L": "0.22", "N": "0"},
    "E": {"X": "1", "H": "1", "F": "0.97", "P": "0.94", "U": "0.91"},
    "RL": {"X": "1", "U": "1", "W": "0.97", "T": "0.96", "O": "0.95"},
    "RC": {"X": "1", "C": "1", "R": "0.96", "U": "0.92"},
}
PRIVILEGES = {"U": {"N": "0.85", "L": "0.62", "H": "0.27"}, "C": {"N": "0.85", "L": "0.68", "H": "0.5"}}
BASE = list(product("NALP", "LH", "NLH", "NR", "UC", "HLN", "HLN", "HLN"))


def vector(version: str, metrics: tuple[str, ...], *further: str) -> str:
    names = ("AV", "AC", "PR", "UI", "S", "C", "I", "A")
    return "/".join([f"CVSS:{version}", *(f"{n}:{m}" for n, m in zip(names, metrics, strict=True)), *further])


def roundup(version: str, value: Fraction) -> float:
    """3.0: the smallest number with one decimal that is not less. 3.1, Appendix A: the same, after five decimals."""
    if version == "3.1":
        value = Fraction(round(float(value) * 100_000), 100_000)
    return ceil(value * 10) / 10


def base_score(version: str, metrics: tuple[str, ...]) -> float:
    """Specification of 3.0 (section 8.1) and of 3.1 (section 7.1)."""
    av, ac, pr, ui, scope, *impacts = metrics
    iss = Fraction(1)
    for one in impacts:
        iss *= 1 - Fraction(WEIGHTS["CIA"][one])
    iss = 1 - iss
    if scope == "U":
        impact = Fraction("6.42") * iss
    else:
        impact = Fraction("7.52") * (iss - Fraction("0.029")) - Fraction("3.25") * (iss - Fraction("0.02")) ** 15
    if impact <= 0:
        return 0.0
    ease = Fraction("8.22") * Fraction(WEIGHTS["AV"][av]) * Fraction(WEIGHTS["AC"][ac])
    ease *= Fraction(PRIVILEGES[scope][pr]) * Fraction(WEIGHTS["UI"][ui])
    total = (impact + ease) * (Fraction("1.08") if scope == "C" else 1)
    return roundup(version, min(total, Fraction(10)))


@pytest.mark.parametrize("version", ["3.0", "3.1"])
def test_every_base_vector_has_the_score_of_the_base_formula(version: str) -> None:
    assert len(BASE) == 2592
    scores = score_vectors([vector(version, metrics) for metrics in BASE])
    wrong = [
        (found.vector, found.score, right)
        for metrics, found in zip(BASE, scores, strict=True)
        if not found.score == found.base_score == (right := base_score(version, metrics))
    ]
    assert wrong == []
    assert {one.score_is for one in scores} == {"base"}
    assert {(one.temporal_score, one.environmental_score) for one in scores} == {(None, None)}


def test_the_vector_that_the_environmental_formula_scores_lower() -> None:
    [found] = score_vectors(["CVSS:3.1/AV:N/AC:H/PR:N/UI:R/S:C/C:H/I:H/A:H"])
    assert (found.score, found.base_score) == (8.3, 8.3)


@given(
    st.sampled_from(["3.0", "3.1"]),
    st.sampled_from(BASE),
    st.sampled_from("XHFPU"),
    st.sampled_from("XUWTO"),
    st.sampled_from("XCRU"),
)
def test_temporal_metrics_give_the_temporal_score(
    version: str, metrics: tuple[str, ...], exploit: str, remedy: str, report: str
) -> None:
    [found] = score_vectors([vector(version, metrics, f"E:{exploit}", f"RL:{remedy}", f"RC:{report}")])
    factor = Fraction(1)
    for name, value in (("E", exploit), ("RL", remedy), ("RC", report)):
        factor *= Fraction(WEIGHTS[name][value])
    base = base_score(version, metrics)
    assert found.base_score == base
    if (exploit, remedy, report) == ("X", "X", "X"):
        assert (found.score, found.score_is, found.temporal_score) == (base, "base", None)
    else:
        expected = roundup(version, Fraction(str(base)) * factor)
        assert (found.score, found.score_is, found.temporal_score) == (expected, "temporal", expected)


def environmental_score(version: str, metrics: tuple[str, ...], wanted: tuple[str, str, str]) -> float:
    """Section 7.3 (3.1) and 8.3 (3.0), without modified base metrics; `wanted` are the security requirements."""
    av, ac, pr, ui, scope, *impacts = metrics
    miss = Fraction(1)
    for impact, need in zip(impacts, wanted, strict=True):
        weight = Fraction({"X": "1", "H": "1.5", "M": "1", "L": "0.5"}[need])
        miss *= 1 - Fraction(WEIGHTS["CIA"][impact]) * weight
    miss = min(1 - miss, Fraction("0.915"))
    if scope == "U":
        changed = Fraction("6.42") * miss
    elif version == "3.0":
        changed = Fraction("7.52") * (miss - Fraction("0.029")) - Fraction("3.25") * (miss - Fraction("0.02")) ** 15
    else:
        changed = (
            Fraction("7.52") * (miss - Fraction("0.029"))
            - Fraction("3.25") * (miss * Fraction("0.9731") - Fraction("0.02")) ** 13
        )
    if changed <= 0:
        return 0.0
    ease = Fraction("8.22") * Fraction(WEIGHTS["AV"][av]) * Fraction(WEIGHTS["AC"][ac])
    ease *= Fraction(PRIVILEGES[scope][pr]) * Fraction(WEIGHTS["UI"][ui])
    return roundup(version, min((changed + ease) * (Fraction("1.08") if scope == "C" else 1), Fraction(10)))


@given(st.sampled_from(["3.0", "3.1"]), st.sampled_from(BASE), st.tuples(*[st.sampled_from("XHML")] * 3))
def test_environmental_metrics_give_the_environmental_score(
    version: str, metrics: tuple[str, ...], wanted: tuple[str, str, str]
) -> None:
    further = [f"{name}:{value}" for name, value in zip(("CR", "IR", "AR"), wanted, strict=True)]
    [found] = score_vectors([vector(version, metrics, *further)])
    assert found.base_score == base_score(version, metrics)
    if wanted == ("X", "X", "X"):
        # "Not defined" is no environmental metric.
        assert (found.score_is, found.score, found.environmental_score) == ("base", found.base_score, None)
    else:
        expected = environmental_score(version, metrics, wanted)
        assert (found.score_is, found.score, found.environmental_score) == ("environmental", expected, expected)


def test_version_2_scores_what_is_there() -> None:
    base, temporal, full = score_vectors(
        [
            # The guide's own example, CVE-2002-0392
            "AV:N/AC:L/Au:N/C:N/I:N/A:C",
            "AV:N/AC:L/Au:N/C:N/I:N/A:C/E:F/RL:OF/RC:C",
            "AV:N/AC:L/Au:N/C:N/I:N/A:C/E:F/RL:OF/RC:C/CDP:H/TD:H/CR:M/IR:M/AR:H",
        ]
    )
    assert (base.score, base.score_is) == (7.8, "base")
    assert (temporal.base_score, temporal.temporal_score, temporal.score) == (7.8, 6.4, 6.4)
    assert (full.base_score, full.temporal_score, full.environmental_score, full.score) == (7.8, 6.4, 9.2, 9.2)


V4 = "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:N/VA:N/SC:N/SI:N/SA:N"


@pytest.mark.parametrize(
    ("further", "kind", "scores"),
    [
        ("", "CVSS-B", (8.7, None, None, None)),
        ("/E:X/CR:X", "CVSS-B", (8.7, None, None, None)),
        ("/E:U", "CVSS-BT", (8.7, 6.6, None, None)),
        ("/CR:L", "CVSS-BE", (8.7, None, 7.9, None)),
        ("/E:U/CR:L", "CVSS-BTE", (8.7, 6.6, 7.9, 4.5)),
        # Supplemental metrics change no score.
        ("/S:P/AU:Y/R:I/V:C/RE:H/U:Red", "CVSS-B", (8.7, None, None, None)),
    ],
)
def test_each_score_of_version_4_stands_under_its_own_name(
    further: str, kind: str, scores: tuple[float | None, ...]
) -> None:
    [found] = score_vectors([V4 + further])
    assert (found.cvss_b, found.cvss_bt, found.cvss_be, found.cvss_bte) == scores
    assert found.base_score == found.cvss_b
    assert (found.score_is, found.score) == (kind, [one for one in scores if one is not None][-1])


GOOD = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"


@pytest.mark.parametrize(
    "published",
    [
        GOOD + "/",
        GOOD.replace("/AC", "//AC"),
        "/" + GOOD,
        f" ({GOOD}) ",
        GOOD.lower(),
        GOOD.replace("/", " / "),
        GOOD + "/A:H",
        GOOD + "/E:Z",
        GOOD + "/XX:Y",
        GOOD + "/CR",
    ],
)
def test_one_wrong_detail_costs_no_score(published: str) -> None:
    [found] = score_vectors([published])
    assert (found.score, found.vector) == (9.8, GOOD)


@pytest.mark.parametrize(
    "published",
    ["", "/", GOOD.removesuffix("/A:H"), GOOD.replace("AV:N", "AV:X"), GOOD + "/AV:P", "CVSS:5.0/AV:N", "CVSS:"],
)
def test_a_vector_whose_mandatory_metrics_are_not_known_has_no_score_and_the_others_do(published: str) -> None:
    scores, faults = score_readable([GOOD, published, GOOD])
    assert [one.index for one in scores] == [0, 2]
    assert len(faults) == 1
    assert faults[0].startswith("cvss_vectors[1]: ")
