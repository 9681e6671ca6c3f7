"""Reading the assets, the controls and the organisation."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from workflows.library.atlas.posture import AssetFacts, ControlFacts, data_held
from workflows.library.cache import cached
from workflows.library.models import Asset, Control, Organisation
from workflows.library.vocabulary import attack_vector, data_categories, incident_type

AREA = "atlas"


@dataclass(frozen=True, slots=True)
class OrganisationFacts:
    name: str
    currency: str
    risk_appetite: float
    observed_since: date
    containment_target_hours: float
    sample: bool


def assets() -> Sequence[AssetFacts]:
    return cached(AREA, "assets", _load_assets)


def controls() -> Sequence[ControlFacts]:
    return cached(AREA, "controls", _load_controls)


def organisation() -> OrganisationFacts | None:
    return cached(AREA, "organisation", _load_organisation)


def _load_assets() -> Sequence[AssetFacts]:
    return tuple(
        AssetFacts(
            name=row.name,
            criticality=row.criticality,
            internet_facing=row.internet_facing,
            vendor=row.vendor,
            product=row.product,
            data_categories=data_held(data_categories(row.data_categories)),
            records=row.records,
            sample=row.sample,
        )
        for row in Asset.objects.order_by("name")
    )


def _load_controls() -> Sequence[ControlFacts]:
    return tuple(
        ControlFacts(
            code=row.code,
            name=row.name,
            nist_csf=tuple(row.nist_csf),
            iso27001=tuple(row.iso27001),
            # A word may name a kind of incident or a way of attack: it is read as both.
            mitigates=frozenset(kind(word) for word in row.mitigates for kind in (incident_type, attack_vector)),
            weight=row.weight,
            effectiveness=row.effectiveness,
            target=row.target,
            assets=frozenset(asset.name for asset in row.assets.all()),
            sample=row.sample,
        )
        for row in Control.objects.prefetch_related("assets").order_by("code")
    )


def _load_organisation() -> OrganisationFacts | None:
    # An organisation that a user entered takes precedence over the sample.
    row = Organisation.objects.order_by("sample", "id").first()
    if row is None:
        return None
    return OrganisationFacts(
        name=row.name,
        currency=row.currency,
        risk_appetite=row.risk_appetite,
        observed_since=row.observed_since,
        containment_target_hours=row.containment_target_hours,
        sample=row.sample,
    )
