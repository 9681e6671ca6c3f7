"""Putting the shipped reference data into the database, without ever touching what an admin did."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from django.db import models, transaction

from workflows.library import cache
from workflows.library.models import (
    Asset,
    Control,
    KevCatalogue,
    LoadedReference,
    LossFactor,
    Organisation,
    PastIncident,
    Requirement,
)
from workflows.library.nexus.data import load_catalogue
from workflows.library.nexus.kev import parse_catalogue
from workflows.library.shipping import obligations, tables
from workflows.library.shipping.files import fixture

FIXTURES: Final = Path(__file__).parent / "fixtures"
Row = dict[str, Any]


@transaction.atomic
def load_reference_data() -> dict[str, int]:
    """Rows added or brought up to date, by kind. Idempotent. Nothing that somebody changed or deleted is touched; the
    sample organisation's rows, once loaded, never are.
    """
    organisation = fixture("sample-organisation.yaml")
    added = {
        "obligations": obligations.bring_up_to_date(),
        "decision_tables": tables.bring_up_to_date(),
        "organisations": _load("organisations", organisation["organisation"], "name", _insert(Organisation)),
        "assets": _load("assets", organisation["assets"], "name", _insert(Asset)),
        "controls": _load("controls", organisation["controls"], "code", _insert_controls),
        "past_incidents": _load("past_incidents", organisation["past_incidents"], "reference", _insert(PastIncident)),
        "loss_factors": _load("loss_factors", organisation["loss_factors"], "code", _insert(LossFactor)),
        "requirements": _load("requirements", organisation["requirements"], "key", _insert_requirements),
        "kev_entries": _load_kev_sample(),
    }
    transaction.on_commit(cache.forget)
    return added


def _load(name: str, rows: Sequence[Row], key: str, insert: Callable[[list[Row]], None]) -> int:
    # The lock makes two bootstraps at once load one after the other.
    LoadedReference.objects.bulk_create([LoadedReference(name=name)], ignore_conflicts=True)
    done = LoadedReference.objects.select_for_update().get(name=name)
    new = [row for row in rows if row[key] not in done.keys]
    if new:
        insert(new)
        done.keys = [*done.keys, *(row[key] for row in new)]
        done.save()
    return len(new)


def _insert(model: type[models.Model]) -> Callable[[list[Row]], None]:
    def insert(rows: list[Row]) -> None:
        # If an admin entered a row under the same name first, that row stays as it is.
        model._default_manager.bulk_create([model(**row) for row in rows], ignore_conflicts=True)

    return insert


def _insert_controls(rows: list[Row]) -> None:
    ids = dict(Asset.objects.values_list("name", "id"))
    own = [{name: value for name, value in row.items() if name != "assets"} for row in rows]
    theirs = set(Control.objects.filter(code__in=[row["code"] for row in rows]).values_list("code", flat=True))
    _insert(Control)(own)
    controls = dict(Control.objects.filter(code__in=[row["code"] for row in rows]).values_list("code", "id"))
    through = Control.assets.through
    through._default_manager.bulk_create(
        [
            through(control_id=controls[row["code"]], asset_id=ids[asset])
            for row in rows
            if row["code"] not in theirs
            for asset in row["assets"]
            if asset in ids
        ],
        ignore_conflicts=True,
    )


def _insert_requirements(rows: list[Row]) -> None:
    _insert(Requirement)([{name: value for name, value in row.items() if name != "key"} for row in rows])


def _load_kev_sample() -> int:
    if KevCatalogue.objects.exists():
        return 0
    content = (FIXTURES / "kev-sample.json").read_bytes()
    return load_catalogue(parse_catalogue(content), content, sample=True).added


def sample_incident() -> Row:
    """The input that the demo runs breach-response on."""
    incident: Row = json.loads((Path(__file__).parent / "samples" / "incident.json").read_text(encoding="utf-8"))
    return incident
