"""Reference data, the catalogue's loader, caches and what the database refuses."""

import json
import os
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from tests.workers import until
from workflows.decisions import stored
from workflows.library import cache
from workflows.library import models as library_models
from workflows.library.atlas import data as atlas
from workflows.library.clearance.data import in_force
from workflows.library.clearance.former import as_document
from workflows.library.compass import data as compass
from workflows.library.models import (
    Asset,
    Control,
    KevCatalogue,
    KevEntry,
    LossFactor,
    Obligation,
    ReferenceVersion,
)
from workflows.library.nexus import data as nexus
from workflows.library.reference import FIXTURES, load_reference_data

pytestmark = pytest.mark.django_db

SAMPLE = FIXTURES / "kev-sample.json"
DATA = Path(os.environ.get("ERIP_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data") / "kev.json"


@pytest.fixture(autouse=True)
def _no_old_cache() -> None:
    cache.forget()


def load(path: Path | str, *options: str) -> dict[str, Any]:
    out = StringIO()
    call_command("load_kev", str(path), "--json", *options, stdout=out)
    return dict(json.loads(out.getvalue()))


def changed(tmp_path: Path, change: Any) -> Path:
    document = json.loads(SAMPLE.read_text())
    change(document)
    document["count"] = len(document["vulnerabilities"])
    path = tmp_path / "kev.json"
    path.write_text(json.dumps(document))
    return path


def test_reference_data_loads_once() -> None:
    first = load_reference_data()
    assert first["obligations"] >= 100
    assert all(count > 0 for count in first.values())
    assert set(load_reference_data().values()) == {0}
    assert Control.objects.get(code="C-01").assets.count() == 5


def test_what_an_admin_changed_or_deleted_stays_so() -> None:
    load_reference_data()
    Obligation.objects.filter(code="gdpr-33").update(title="Ours")
    Obligation.objects.filter(code="pci-brands").delete()
    Asset.objects.all().delete()
    load_reference_data()
    assert Obligation.objects.get(code="gdpr-33").title == "Ours"
    assert not Obligation.objects.filter(code="pci-brands").exists()
    assert not Asset.objects.exists()


def test_every_shipped_row_passes_its_own_validation() -> None:
    load_reference_data()
    for model in (Obligation, Asset, Control, LossFactor):
        for row in model.objects.all():  # type: ignore[attr-defined]
            row.full_clean()


def test_clocks_that_nobody_changed_are_renewed_by_the_migration() -> None:
    load_reference_data()
    migration = import_module("workflows.library.migrations.0004_legal_days")
    for code, (old, _new) in migration.CLOCKS.items():
        Obligation.objects.filter(code=code).update(clocks=old)
    own = [{"trigger": "detected", "amount": 1, "unit": "months", "timezone": "Europe/Vienna"}]
    Obligation.objects.filter(code="nis2-final").update(clocks=own)
    migration.renew(apps, None)
    assert Obligation.objects.get(code="nis2-final").clocks == own
    assert Obligation.objects.get(code="dora-final").clocks == migration.CLOCKS["dora-final"][1]


def test_every_followed_obligation_exists_and_every_source_is_a_link() -> None:
    load_reference_data()
    codes = set(Obligation.objects.values_list("code", flat=True))
    for row in Obligation.objects.all():
        assert row.source_url.startswith(("https://", "http://"))
        for clock in row.clocks:
            if clock["trigger"].startswith("after:"):
                assert clock["trigger"].removeprefix("after:") in codes


def test_a_catalogue_loads_and_loads_again_without_a_change() -> None:
    first = load(SAMPLE)
    assert (first["added"], first["updated"], first["withdrawn"]) == (6, 0, 0)
    again = load(SAMPLE)
    assert (again["added"], again["updated"], again["unchanged"]) == (0, 0, 6)
    assert KevCatalogue.objects.count() == 1


def test_a_changed_catalogue_updates_adds_and_withdraws(tmp_path: Path) -> None:
    load(SAMPLE)

    def change(document: dict[str, Any]) -> None:
        rows = document["vulnerabilities"]
        rows[0]["dueDate"] = "2027-01-01"
        rows[1]["cveID"] = "CVE-1900-9999"
        document["catalogVersion"] = "sample-2"

    found = load(changed(tmp_path, change))
    assert (found["added"], found["updated"], found["unchanged"], found["withdrawn"]) == (1, 1, 4, 1)
    known = nexus.known_exploited()
    assert known.version == "sample-2"
    assert "CVE-1900-0002" not in known.entries
    assert str(known.entries["CVE-1900-0001"].due_date) == "2027-01-01"


def test_an_older_catalogue_is_refused_unless_asked_for(tmp_path: Path) -> None:
    load(SAMPLE)
    older = changed(
        tmp_path, lambda document: document.update(dateReleased="2020-01-01T00:00:00Z", catalogVersion="old")
    )
    with pytest.raises(CommandError, match="--allow-older"):
        load(older)
    assert load(older, "--allow-older")["version"] == "old"


def test_a_broken_catalogue_changes_nothing_and_names_its_faults(tmp_path: Path) -> None:
    load(SAMPLE)

    def change(document: dict[str, Any]) -> None:
        document["vulnerabilities"][0]["dueDate"] = "2027-01-01"
        document["vulnerabilities"][3]["cveID"] = "nonsense"
        del document["vulnerabilities"][4]["product"]

    with pytest.raises(CommandError, match=r"(?s)vulnerabilities\[3\]\.cveID.*vulnerabilities\[4\]\.product"):
        load(changed(tmp_path, change))
    assert str(KevEntry.objects.get(pk="CVE-1900-0001").due_date) == "2026-11-10"
    with pytest.raises(CommandError, match="cannot be read"):
        load(tmp_path / "nowhere.json")


def test_the_sample_gives_way_to_a_real_catalogue_and_does_not_come_back(tmp_path: Path) -> None:
    load_reference_data()
    assert KevEntry.objects.filter(sample=True, withdrawn=False).count() == 6
    load(changed(tmp_path, lambda document: document.update(vulnerabilities=document["vulnerabilities"][:1])))
    load_reference_data()
    assert list(KevEntry.objects.filter(withdrawn=False).values_list("cve_id", "sample")) == [("CVE-1900-0001", False)]


@pytest.mark.skipif(not DATA.exists(), reason=f"CISA's catalogue is not at {DATA}; ERIP_TEST_DATA names its folder")
def test_cisas_own_catalogue_loads_in_a_few_statements() -> None:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        found = load(DATA)
    assert (found["entries"], found["added"]) == (1404, 1404)
    assert len(queries) < 15
    assert load(DATA)["unchanged"] == 1404
    known = nexus.known_exploited()
    moveit = known.entries["CVE-2023-34362"]
    assert (moveit.vendor, moveit.ransomware) == ("Progress", True)


def test_a_cached_value_is_loaded_once_and_renewed_after_any_write(monkeypatch: pytest.MonkeyPatch) -> None:
    load_reference_data()
    cache.forget()
    atlas.assets()
    with CaptureQueriesContext(connection) as queries:
        for _ in range(50):
            atlas.assets()
    assert len(queries) == 0
    # The change is made in SQL, which sends no signal; the versions are checked a second later.
    monkeypatch.setattr(cache, "CHECK_SECONDS", 0.0)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE library_asset SET name = 'Renamed' WHERE name = 'Billing'")
    assert "Renamed" in {asset.name for asset in atlas.assets()}
    before = compass.rules()
    atlas.assets()
    with CaptureQueriesContext(connection) as queries:
        assert compass.rules() is before
    assert len(queries) == 1


def test_a_link_between_control_and_asset_renews_the_controls(monkeypatch: pytest.MonkeyPatch) -> None:
    load_reference_data()
    monkeypatch.setattr(cache, "CHECK_SECONDS", 0.0)
    assert "Billing" not in next(one for one in atlas.controls() if one.code == "C-01").assets
    Control.objects.get(code="C-01").assets.add(Asset.objects.get(name="Billing"))
    assert "Billing" in next(one for one in atlas.controls() if one.code == "C-01").assets


def test_a_version_that_was_rolled_back_never_comes_again() -> None:
    load_reference_data()
    seen = set()
    for _ in range(3):
        with transaction.atomic():
            Asset.objects.filter(name="Billing").update(records=1)
            seen.add(ReferenceVersion.objects.get(area="atlas").token)
            transaction.set_rollback(True)
    assert len(seen) == 3


FORMER = {
    "fields": {"n": {"type": "number", "min": 0}},
    "rows": [
        {"id": "a", "when": {"n": {"gte": 5}}, "then": {"level": "x", "urgency": "y", "sla_hours": 1, "approvers": []}},
        {"id": "b", "when": {}, "then": {"level": "z", "urgency": "y", "sla_hours": 2, "approvers": ["ciso"]}},
    ],
}


def version_in_force(name: str) -> int | None:
    found = in_force(name)
    return found.number if found is not None else None


def test_a_table_that_is_published_is_in_force_for_the_steps_soon() -> None:
    document = as_document(FORMER)
    stored.publish("t", document, author="me")
    assert (version_in_force("t"), version_in_force("u")) == (1, None)
    token = ReferenceVersion.objects.get(area="clearance").token
    document["rules"][0]["then"]["level"] = '"other"'
    stored.publish("t", document, author="me")
    # The database renews the token, whoever publishes; the caches look at it once a second.
    assert ReferenceVersion.objects.get(area="clearance").token != token
    until(lambda: version_in_force("t") == 2)


def test_the_former_tables_become_decision_tables_by_the_migration() -> None:
    """Of each, the latest version, by its author; where the name is taken already, the one that has it stays."""
    for name in ("ours", "taken"):
        table = library_models.DecisionTable.objects.create(name=name, description=f"of {name}")
        for number in (1, 2):
            table.versions.create(number=number, document=FORMER, author=f"author {number}")
    stored.publish("taken", as_document(FORMER), author="somebody")
    migration = import_module("workflows.library.migrations.0009_clearance_by_decision_tables")
    migration.publish(apps, None)
    migration.publish(apps, None)
    made = stored.version("ours")
    assert (made.number, made.author, made.document) == (1, "author 2", as_document(FORMER, description="of ours"))
    assert [one.author for one in stored.history("taken")] == ["somebody"]
    # Nothing would be published by publishing it again.
    assert not stored.publish("ours", made.document, author="x").created


@pytest.mark.parametrize(
    ("model", "change"),
    [
        (LossFactor, {"low": 5, "mode": 1}),
        (LossFactor, {"probability": 1.5}),
        (Control, {"effectiveness": -0.1}),
        (Asset, {"criticality": 6}),
        (KevEntry, {"due_date": None}),
    ],
)
def test_the_database_refuses_nonsense(model: Any, change: dict[str, Any]) -> None:
    load_reference_data()
    row = model.objects.first()
    with pytest.raises(IntegrityError), transaction.atomic():
        model.objects.filter(pk=row.pk).update(**change)


def test_an_obligation_with_a_bad_clock_is_refused_in_the_form() -> None:
    load_reference_data()
    row = Obligation.objects.get(code="gdpr-33")
    row.clocks = [{"trigger": "detected", "amount": 72, "unit": "moons"}]
    with pytest.raises(ValidationError, match="unit must be one of"):
        row.full_clean()
