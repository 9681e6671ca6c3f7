"""CVSS, similarity, the catalogue's format, posture and the trust score."""

import json
from contextlib import suppress
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from workflows.library.atlas.contract import PostureInput
from workflows.library.atlas.posture import AssetFacts, ControlFacts, assess
from workflows.library.nexus.contract import EnrichInput, EnrichOutput, KevMatch, SimilarIncident
from workflows.library.nexus.cvss_scores import BadVectors, score_vectors
from workflows.library.nexus.kev import CatalogueInvalid, parse_catalogue
from workflows.library.nexus.similarity import Traits, likeness, most_alike
from workflows.library.nexus.threat import summarise
from workflows.library.trust.score import WEIGHTS, NothingToScore, operations, trust_score


def test_vectors_of_every_version_are_scored_as_first_scores_them() -> None:
    scores = score_vectors(
        [
            "AV:N/AC:L/Au:N/C:P/I:P/A:P",
            "(AV:N/AC:L/Au:N/C:C/I:C/A:C)",
            "CVSS:3.0/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N",
            "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/E:U/RL:O",
            "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N",
        ]
    )
    assert [(one.version, one.base_score, one.score, one.severity) for one in scores] == [
        ("2.0", 7.5, 7.5, "high"),
        ("2.0", 10.0, 10.0, "critical"),
        ("3.0", 6.1, 6.1, "medium"),
        ("3.1", 9.8, 8.5, "high"),
        ("4.0", 9.3, 9.3, "critical"),
    ]


def test_every_bad_vector_is_named_by_its_index() -> None:
    good = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
    with pytest.raises(BadVectors) as error:
        score_vectors([good, "CVSS:3.1/AV:N", good, "nonsense", "CVSS:5.0/AV:N", ""])
    assert [fault.split(":")[0] for fault in error.value.faults] == [f"cvss_vectors[{n}]" for n in (1, 3, 4, 5)]
    assert "4.0" in error.value.faults[2]


@given(st.text(max_size=60))
def test_no_text_makes_the_scoring_crash(vector: str) -> None:
    with suppress(BadVectors):
        assert 0 <= score_vectors([vector])[0].score <= 10


WORDS = st.frozensets(st.sampled_from(["a", "b", "c", "d"]))
TRAITS = st.builds(
    Traits,
    incident_type=st.sampled_from([None, "x", "y"]),
    attack_vector=st.sampled_from([None, "p", "q"]),
    data_categories=WORDS,
    cves=WORDS,
)


@given(TRAITS, TRAITS)
def test_likeness_lies_between_0_and_1_and_is_1_for_itself(a: Traits, b: Traits) -> None:
    assert 0 <= likeness(a, b).score <= 1
    if a != Traits():
        assert likeness(a, a).score == pytest.approx(1)


def test_likeness_follows_its_weights() -> None:
    new = Traits("ransomware", "phishing", frozenset(["health", "personal"]), frozenset(["CVE-1"]))
    past = Traits("ransomware", "other", frozenset(["health"]), frozenset(["CVE-1", "CVE-2"]))
    found = likeness(new, past)
    assert found.score == pytest.approx(0.35 + 0.20 * 0.5 + 0.20 * 0.5)
    assert found.shared == ("ransomware", "health", "CVE-1")
    # What is not known of the new incident is left out, and not counted against the past one.
    assert likeness(Traits("ransomware"), past).score == 1


def test_the_most_alike_come_first_and_strangers_not_at_all() -> None:
    new = Traits("x", "p")
    past = [("b", Traits("x", "p")), ("c", Traits("y", "q")), ("a", Traits("x", "p")), ("d", Traits("x", "q"))]
    assert [key for key, _ in most_alike(new, past, 10)] == ["a", "b", "d"]
    assert [key for key, _ in most_alike(new, past, 1)] == ["a"]


def match(**fields: Any) -> KevMatch:
    base: dict[str, Any] = {
        "cve": "CVE-1900-0001",
        "vendor": "V",
        "product": "P",
        "name": "n",
        "date_added": date(2026, 1, 1),
        "due_date": date(2026, 1, 22),
        "overdue": False,
        "ransomware": False,
        "required_action": "a",
    }
    return KevMatch(**(base | fields))


def score(**fields: Any) -> EnrichOutput:
    base: dict[str, Any] = {
        "severity": None,
        "cves": [],
        "matches": [],
        "scores": [],
        "similar": [],
        "catalogue_version": "1",
    }
    return summarise(**(base | fields))


def test_the_threat_score_follows_its_rules() -> None:
    similar = SimilarIncident(
        reference="r",
        title="t",
        similarity=0.6,
        shared=[],
        occurred_on=date(2025, 1, 1),
        records=0,
        loss=0,
        hours_to_contain=None,
    )
    medium = score_vectors(["CVSS:3.0/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N"])
    assert score().threat_score == 0
    assert score(severity="medium").threat_score == 50
    assert score(severity="critical", scores=medium).threat_score == 61
    assert score(severity="critical", scores=medium, unreadable=["x"]).threat_score == 90
    assert score(severity="low", scores=medium, unreadable=["x"]).threat_score == 61
    assert score(matches=[match()]).threat_score == 85
    assert score(matches=[match(ransomware=True)]).threat_score == 95
    assert score(severity="low", similar=[similar]).threat_score == 30
    found = score(
        severity="critical", matches=[match(ransomware=True)], similar=[similar], cves=["CVE-1900-0001", "CVE-2"]
    )
    assert (found.threat_score, found.threat_level, found.ransomware_use) == (100, "critical", True)
    assert found.cves_not_in_catalogue == ["CVE-2"]


def test_a_threat_of_which_nothing_is_known_is_not_a_low_one() -> None:
    unknown = score(cves=["CVE-2024-3400"], unreadable=["cvss_vectors[0]: 'x' is not a CVSS vector"])
    assert not unknown.threat_known
    assert any("not known" in one for one in unknown.assumptions)
    assert unknown.cvss_unreadable == ["cvss_vectors[0]: 'x' is not a CVSS vector"]
    assert all(score(**one).threat_known for one in ({"severity": "low"}, {"matches": [match()]}))
    # How open the assets are is then assessed as if no threat were given.
    asset = AssetFacts("a", 5, True, "", "", frozenset(), 0)
    exposed = [assess([asset], [], PostureInput(threat=one)).exposure_score for one in (unknown, None)]
    assert exposed == [100, 100]


def test_without_a_catalogue_it_is_not_known_whether_a_cve_is_exploited() -> None:
    nothing_loaded = score(severity="high", cves=["CVE-2024-3400"], only_sample=True)
    assert (nothing_loaded.known_exploited, nothing_loaded.exploitation_known) == (False, False)
    assert any("whether the CVEs are exploited is not known" in one for one in nothing_loaded.assumptions)
    in_the_sample = score(severity="high", matches=[match()], only_sample=True)
    assert (in_the_sample.known_exploited, in_the_sample.exploitation_known) == (True, True)
    assert score(severity="high", cves=["CVE-2024-3400"]).exploitation_known


def test_a_bad_cve_is_named_by_its_index() -> None:
    with pytest.raises(ValidationError) as error:
        EnrichInput(cves=["cve-2024-3400 ", "CVE-24-1"])
    assert [one["loc"] for one in error.value.errors()] == [("cves", 1)]
    assert EnrichInput(cves=["cve-2024-3400 ", "CVE-2024-3400"]).cves == ["CVE-2024-3400"]


def catalogue(**changes: Any) -> dict[str, Any]:
    entry = {
        "cveID": "CVE-1900-0001",
        "vendorProject": "V",
        "product": "P",
        "vulnerabilityName": "N",
        "dateAdded": "2026-01-01",
        "shortDescription": "s",
        "requiredAction": "r",
        "dueDate": "2026-01-22",
        "knownRansomwareCampaignUse": "Known",
        "notes": "",
        "cwes": ["CWE-1"],
    }
    document = {
        "title": "t",
        "catalogVersion": "1",
        "dateReleased": "2026-01-01T10:00:00.1234Z",
        "count": 1,
        "vulnerabilities": [entry | changes.pop("entry", {})],
    }
    return document | changes


def faults_of(document: Any) -> list[str]:
    with pytest.raises(CatalogueInvalid) as error:
        parse_catalogue(document if isinstance(document, bytes) else json.dumps(document).encode())
    return error.value.faults


def test_a_catalogue_is_read() -> None:
    found = parse_catalogue(b"\xef\xbb\xbf" + json.dumps(catalogue()).encode())
    assert (found.version, found.released_at.year, len(found.entries)) == ("1", 2026, 1)
    assert found.entries[0].ransomware
    assert found.entries[0].due_date == date(2026, 1, 22)


def test_every_fault_of_a_catalogue_is_named() -> None:
    twice = catalogue()
    twice["vulnerabilities"] *= 2
    assert faults_of(twice) == [
        "vulnerabilities[1].cveID: CVE-1900-0001 was already at vulnerabilities[0]",
        "count: says 1, but the file holds 2 vulnerabilities (cut short?)",
    ]
    bad = catalogue(
        entry={
            "cveID": "XYZ",
            "dueDate": "22/01/2026",
            "knownRansomwareCampaignUse": "Maybe",
            "product": 7,
            "cwes": "x",
        },
        dateReleased="today",
    )
    assert [fault.split(":")[0] for fault in faults_of(bad)] == [
        "dateReleased",
        "vulnerabilities[0].product",
        "vulnerabilities[0].cveID",
        "vulnerabilities[0].dueDate",
        "vulnerabilities[0].knownRansomwareCampaignUse",
        "vulnerabilities[0].cwes",
    ]


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"nul", b"[" * 100_000, b'{"vulnerabilities": 7}'])
def test_what_is_no_catalogue_is_refused_with_a_reason(content: bytes) -> None:
    assert faults_of(content)


def asset(name: str, **fields: Any) -> AssetFacts:
    base: dict[str, Any] = {
        "name": name,
        "criticality": 4,
        "internet_facing": True,
        "vendor": "",
        "product": "",
        "data_categories": frozenset(),
        "records": 10,
    }
    return AssetFacts(**(base | fields))


def control(code: str, effectiveness: float, assets: list[str], **fields: Any) -> ControlFacts:
    base: dict[str, Any] = {
        "code": code,
        "name": code,
        "nist_csf": ("PR.AA-03",),
        "iso27001": ("A.8.5",),
        "mitigates": frozenset(),
        "weight": 1.0,
        "effectiveness": effectiveness,
        "target": 0.8,
        "assets": frozenset(assets),
    }
    return ControlFacts(**(base | fields))


def test_exposure_is_what_reach_and_controls_leave_of_the_threat() -> None:
    assets = [asset("web"), asset("db", internet_facing=False, criticality=1)]
    controls = [control("a", 0.8, ["web", "db"]), control("b", 0.4, ["db"])]
    found = assess(assets, controls, PostureInput(threat=EnrichOutput(threat_score=50)))
    web, db = 0.5 * 1.0 * (1 - 0.4), 0.5 * 0.6 * (1 - 0.6)
    assert {one.name: one.exposure for one in found.affected_assets} == {
        "web": 100 * web,
        "db": pytest.approx(100 * db),
    }
    assert found.exposure_score == pytest.approx(100 * (4 * web + 1 * db) / 5)
    assert found.protection_score == pytest.approx(100 * (4 * 0.4 + 1 * 0.6) / 5)
    assert found.records_at_risk == 20


def test_gaps_name_control_frameworks_and_the_assets_without_it() -> None:
    assets = [asset("web", criticality=3), asset("db", criticality=1)]
    controls = [
        control("full", 0.9, ["web", "db"]),
        control("part", 0.4, ["web"]),
        control("heavy", 0.4, ["web"], weight=3),
    ]
    found = assess(assets, controls, PostureInput())
    assert [gap.control for gap in found.control_gaps] == ["heavy", "part"]
    gap = found.control_gaps[1]
    assert (gap.coverage, gap.gap, gap.uncovered_assets) == (0.75, pytest.approx(1 - 0.75 * 0.5), ["db"])
    assert (gap.nist_csf, gap.iso27001) == (["PR.AA-03"], ["A.8.5"])


def test_concerned_are_the_named_else_those_running_the_product_or_holding_the_data() -> None:
    assets = [
        asset("a", vendor="V", product="P"),
        asset("b", vendor="V", product="Q"),
        asset("c", data_categories=frozenset(["health"])),
        asset("d"),
    ]
    threat = EnrichOutput(kev_matches=[match()])

    def names(**fields: Any) -> list[str]:
        return sorted(one.name for one in assess(assets, [], PostureInput(**fields)).affected_assets)

    assert names(assets=["D", "nowhere"]) == ["d"]
    assert names(threat=threat) == ["a"]
    assert names(threat=threat, data_categories=["phi"]) == ["a", "c"]
    assert names() == ["a", "b", "c", "d"]
    assert assess(assets, [], PostureInput(assets=["d"])).scope == "named"
    assert assess(assets, [], PostureInput(threat=threat)).scope == "matched"
    assert assess(assets, [], PostureInput()).scope == "all"
    assert assess(assets, [], PostureInput(assets=["nowhere"])).unknown_assets == ["nowhere"]


def test_only_controls_against_the_kind_of_threat_count() -> None:
    controls = [control("any", 0.5, ["a"]), control("other", 1.0, ["a"], mitigates=frozenset(["phishing"]))]
    found = assess([asset("a")], controls, PostureInput(incident_type="Ransomware"))
    assert (found.controls_considered, found.protection_score) == (1, 50)


def test_the_trust_score_has_the_weights_that_are_promised() -> None:
    assert WEIGHTS == {"compliance": 0.30, "security": 0.30, "risk": 0.25, "operations": 0.15}
    found = trust_score({"compliance": 100, "security": 50, "risk": 40, "operations": 20})
    assert found.score == 58
    assert [(part.dimension, part.points) for part in found.breakdown] == [
        ("compliance", 30),
        ("security", 15),
        ("risk", 10),
        ("operations", 3),
    ]
    assert (found.weakest, found.grade, found.complete) == ("operations", "E", True)


def test_a_missing_figure_is_no_zero() -> None:
    found = trust_score({"compliance": 80, "security": 80, "risk": None, "operations": None})
    assert (found.score, found.complete, found.grade) == (80, False, "B")
    with pytest.raises(NothingToScore):
        trust_score({})


def test_operations_judge_by_what_there_is() -> None:
    both = operations(runs=10, succeeded=9, incidents=4, contained=2, target_hours=72)
    assert (both.score, both.run_score, both.containment_score) == (70, 90, 50)
    assert operations(runs=0, succeeded=0, incidents=4, contained=3, target_hours=72).score == 75
    assert operations(runs=0, succeeded=0, incidents=0, contained=0, target_hours=None).score is None
