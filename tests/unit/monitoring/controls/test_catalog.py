"""The files of the controls name only what there is, and OSCAL gets what it asks for."""

import re
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from monitoring.controls import looking  # noqa: F401  (its checks)
from monitoring.controls.catalog import frameworks, mechanisms
from monitoring.controls.oscal import component_definition, control_id
from monitoring.controls.periods import BadPeriod, period
from monitoring.controls.results import checks
from monitoring.controls.standing import watched

ROOT = Path(__file__).parents[4]
#: how many controls each framework has
SIZES = {"soc2": 61, "iso27001": 93, "gdpr": 18, "nis2": 12, "dora": 19}
FILES = {"access.json", "alerts.jsonl", "audit.jsonl", "checks.jsonl", "runs.json", "versions.jsonl"}


def test_mechanisms_name_checks_pages_and_evidence_that_there_are():
    for one in mechanisms().values():
        assert set(one.checks) <= checks().keys(), one.name
        assert set(one.evidence) <= FILES, one.name
        assert (ROOT / "docs" / one.page).is_file(), one.page


def test_controls_name_mechanisms_that_there_are_or_say_what_is_missing():
    assert {name: len(one.controls) for name, one in frameworks().items()} == SIZES
    for framework in frameworks().values():
        for control in framework.controls:
            assert set(control.by) <= mechanisms().keys(), control.id
            assert control.by or control.gap, f"{control.id} is neither served nor said to be missing"
            # Words of ours, and no text of a framework.
            assert len(control.about) < 60, control.id


def test_each_check_and_each_mechanism_serves_a_control():
    assert {name for one in frameworks().values() for control in one.controls for name in control.by} == set(
        mechanisms()
    )
    assert watched(list(frameworks())) == checks().keys()


def test_what_guards_secrets_people_and_their_data_is_a_mechanism():
    pages = {one.page for one in mechanisms().values()}
    assert {
        f"how-to/{one}.md" for one in ("api-keys", "machine-tokens", "secrets", "sensitive-data", "sign-in")
    } <= pages
    gdpr = {one.id: one for one in frameworks()["gdpr"].controls}
    for article in ("Art.15", "Art.17", "Art.20", "Art.30"):
        assert "sensitive-data" in gdpr[article].by
        assert gdpr[article].gap, "and what it does not cover is said"


@pytest.mark.parametrize("missing", ["break-glass", "row security"])
def test_what_is_missing_is_said_to_auditors_and_in_the_threat_model(missing):
    """Whoever builds one of these takes it out of both, and of here."""
    gaps = " ".join(one.gap for framework in frameworks().values() for one in framework.controls)
    assert missing in gaps
    assert missing in (ROOT / "SECURITY.md").read_text("utf-8")


def test_the_numbers_of_annex_a_are_complete():
    numbers = {"5": 37, "6": 8, "7": 14, "8": 34}
    expected = {f"A.{part}.{number}" for part, count in numbers.items() for number in range(1, count + 1)}
    assert {one.id for one in frameworks()["iso27001"].controls} == expected


def test_the_component_definition_is_as_oscal_asks():
    """The rules are those of NIST's JSON schema for component definitions, 1.1.2, for what we write."""
    token = re.compile(r"^(\w|_)(\w|[.\-_])*$")
    document = component_definition()["component-definition"]
    uuids = [document["uuid"]]
    assert document.keys() == {"uuid", "metadata", "components"}
    assert {"title", "last-modified", "version", "oscal-version"} == document["metadata"].keys()
    datetime.fromisoformat(document["metadata"]["last-modified"])
    for component in document["components"]:
        uuids.append(component["uuid"])
        assert {"uuid", "type", "title", "description", "control-implementations"} == component.keys()
        for implementation in component["control-implementations"]:
            uuids.append(implementation["uuid"])
            assert {"uuid", "source", "description", "implemented-requirements"} == implementation.keys()
            ids = [one["control-id"] for one in implementation["implemented-requirements"]]
            assert len(set(ids)) == len(ids) > 0
            for one in implementation["implemented-requirements"]:
                uuids.append(one["uuid"])
                assert token.match(one["control-id"])
                assert one["description"].strip() == one["description"] != ""
                for prop in one["props"]:
                    assert token.match(prop["name"])
                    assert re.match(r"^\S(.*\S)?$", prop["value"])
    assert all(UUID(one).version == 5 for one in uuids)
    assert len(set(uuids)) == len(uuids)
    assert component_definition() == component_definition()
    assert control_id("Art.21(2)(a)") == "art.21-2-a"


@pytest.mark.parametrize(
    ("text", "since", "until"),
    [
        ("2026", "2026-01-01", "2027-01-01"),
        ("2026Q4", "2026-10-01", "2027-01-01"),
        ("2026-12", "2026-12-01", "2027-01-01"),
        ("2026-10-01..2026-10-31", "2026-10-01", "2026-11-01"),
    ],
)
def test_periods_are_read(text, since, until):
    found = period(text)
    assert (found.since, found.until) == tuple(
        datetime.fromisoformat(day).replace(tzinfo=UTC) for day in (since, until)
    )


@pytest.mark.parametrize(
    "text", ["", "2026Q5", "2026-13", "26Q4", "2026-10-02..2026-10-01", "0000", "9999", "x" * 1000]
)
def test_what_is_no_period_is_refused(text):
    with pytest.raises(BadPeriod):
        period(text)
