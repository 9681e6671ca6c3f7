"""Reading the obligations and the requirements."""

from collections.abc import Sequence

from workflows.library.cache import cached
from workflows.library.compass.clocks import Clock
from workflows.library.compass.obligations import Rule
from workflows.library.compass.readiness import RequirementFacts
from workflows.library.models import Obligation, Requirement
from workflows.library.vocabulary import data_category, jurisdiction, sector, slug

AREA = "compass"


def rules() -> Sequence[Rule]:
    return cached(AREA, "rules", _load_rules)


def requirements() -> Sequence[RequirementFacts]:
    return cached(AREA, "requirements", _load_requirements)


def _load_rules() -> Sequence[Rule]:
    return tuple(
        Rule(
            code=row.code,
            regime=row.regime,
            title=row.title,
            authority=row.authority,
            citation=row.citation,
            source_url=row.source_url,
            wording=row.wording,
            clocks=tuple(Clock.of(clock) for clock in row.clocks),
            # The words that an admin typed are read as a user's are.
            jurisdictions=frozenset(jurisdiction(word) for word in row.jurisdictions),
            sectors=frozenset(sector(word) for word in row.sectors),
            data_categories=frozenset(data_category(word) for word in row.data_categories),
            conditions=frozenset(slug(word) for word in row.conditions),
            min_severity=row.min_severity,
            min_records=row.min_records,
            max_records=row.max_records,
            in_force_from=row.in_force_from,
            in_force_until=row.in_force_until,
            note=row.note,
        )
        for row in Obligation.objects.filter(enabled=True).order_by("code")
    )


def _load_requirements() -> Sequence[RequirementFacts]:
    return tuple(
        RequirementFacts(
            framework=row.framework,
            reference=row.reference,
            title=row.title,
            weight=row.weight,
            fulfilment=row.fulfilment,
            assessed_on=row.assessed_on,
            valid_days=row.valid_days,
        )
        for row in Requirement.objects.filter(applicable=True)
    )
