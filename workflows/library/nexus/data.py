"""Reading and writing the threat-intelligence tables."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from django.db import transaction

from workflows.library.cache import cached
from workflows.library.models import KevCatalogue, KevEntry, PastIncident
from workflows.library.nexus.kev import Catalogue, Entry
from workflows.library.nexus.similarity import Traits
from workflows.library.vocabulary import attack_vector, data_categories, incident_type

AREA = "nexus"


@dataclass(frozen=True, slots=True)
class Known:
    """The catalogue in force, by CVE id."""

    version: str | None
    entries: Mapping[str, Entry]
    samples: frozenset[str]


@dataclass(frozen=True, slots=True)
class Past:
    reference: str
    title: str
    traits: Traits
    occurred_on: date
    records: int
    loss: float
    hours_to_contain: float | None
    sample: bool


def known_exploited() -> Known:
    return cached(AREA, "kev", _load_known)


def past_incidents() -> Sequence[Past]:
    return cached(AREA, "past", _load_past)


def _load_known() -> Known:
    newest = KevCatalogue.objects.order_by("-id").values_list("version", flat=True).first()
    entries: dict[str, Entry] = {}
    samples: set[str] = set()
    for row in KevEntry.objects.filter(withdrawn=False).order_by():
        entries[row.cve_id] = Entry(
            cve_id=row.cve_id,
            vendor=row.vendor,
            product=row.product,
            name=row.name,
            date_added=row.date_added,
            due_date=row.due_date,
            description="",
            required_action=row.required_action,
            ransomware=row.ransomware,
            notes="",
            cwes=tuple(row.cwes),
        )
        if row.sample:
            samples.add(row.cve_id)
    return Known(newest, entries, frozenset(samples))


def _load_past() -> Sequence[Past]:
    return tuple(
        Past(
            reference=row.reference,
            title=row.title,
            traits=Traits(
                # An admin's words are read in the same way as a user's.
                incident_type=incident_type(row.incident_type) or None,
                attack_vector=attack_vector(row.attack_vector) or None,
                data_categories=frozenset(data_categories(row.data_categories)),
                cves=frozenset(row.cves),
            ),
            occurred_on=row.occurred_on,
            records=row.records,
            loss=row.loss,
            hours_to_contain=row.hours_to_contain,
            sample=row.sample,
        )
        for row in PastIncident.objects.order_by("reference")
    )


class OlderCatalogue(ValueError):
    """The file was released before the catalogue that is loaded."""


@dataclass(frozen=True, slots=True)
class Loaded:
    version: str
    entries: int
    added: int
    updated: int
    unchanged: int
    withdrawn: int


_FIELDS = (
    "vendor",
    "product",
    "name",
    "date_added",
    "due_date",
    "description",
    "required_action",
    "ransomware",
    "notes",
    "cwes",
    "sample",
    "withdrawn",
)


@transaction.atomic
def load_catalogue(catalogue: Catalogue, content: bytes, *, sample: bool = False, allow_older: bool = False) -> Loaded:
    """Make the table hold this catalogue, in sets and in one transaction. Loading it again changes nothing.

    Entries that are no longer in the catalogue are marked as withdrawn and no longer matched.
    Raises OlderCatalogue, unless allow_older, when a newer release is loaded (a sample is older than any release).
    """
    # One loader at a time: otherwise each would count the other's rows as its own.
    list(KevCatalogue.objects.select_for_update().order_by("-id")[:1])
    newest = KevCatalogue.objects.order_by("-id").first()
    if newest and not newest.sample and not allow_older and (sample or catalogue.released_at < newest.released_at):
        raise OlderCatalogue(
            f"catalogue {catalogue.version} is older than {newest.version}, which is loaded; "
            "pass --allow-older to go back to it"
        )
    wanted = {entry.cve_id: _row(entry, sample) for entry in catalogue.entries}
    present = {row.cve_id: row for row in KevEntry.objects.all()}
    changed = [row for cve, row in wanted.items() if cve not in present or not _same(row, present[cve])]
    added = sum(row.cve_id not in present for row in changed)
    if changed:
        KevEntry.objects.bulk_create(
            changed,
            batch_size=500,
            update_conflicts=True,
            unique_fields=["cve_id"],
            update_fields=list(_FIELDS),
        )
    withdrawn = KevEntry.objects.filter(withdrawn=False).exclude(cve_id__in=list(wanted)).update(withdrawn=True)
    digest = hashlib.sha256(content).hexdigest()
    if newest is None or newest.sha256 != digest:
        KevCatalogue.objects.create(
            title=catalogue.title[:300],
            version=catalogue.version,
            released_at=catalogue.released_at,
            entries=len(wanted),
            sha256=digest,
            sample=sample,
        )
    return Loaded(
        version=catalogue.version,
        entries=len(wanted),
        added=added,
        updated=len(changed) - added,
        unchanged=len(wanted) - len(changed),
        withdrawn=withdrawn,
    )


def _row(entry: Entry, sample: bool) -> KevEntry:
    return KevEntry(
        cve_id=entry.cve_id,
        vendor=entry.vendor,
        product=entry.product,
        name=entry.name,
        date_added=entry.date_added,
        due_date=entry.due_date,
        description=entry.description,
        required_action=entry.required_action,
        ransomware=entry.ransomware,
        notes=entry.notes,
        cwes=list(entry.cwes),
        sample=sample,
        withdrawn=False,
    )


def _same(a: KevEntry, b: KevEntry) -> bool:
    return all(getattr(a, name) == getattr(b, name) for name in _FIELDS)
