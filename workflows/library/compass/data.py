"""Reading the obligations and the requirements."""

from collections.abc import Callable, Iterable, Sequence
from uuid import UUID

from workflows.core.clocks.clock import BadClock, Clock
from workflows.library.cache import cached, token_of
from workflows.library.compass.obligations import Rule
from workflows.library.compass.readiness import RequirementFacts
from workflows.library.models import Obligation, Requirement
from workflows.library.vocabulary import CATEGORIES, FACTS, PLACES, SECTORS, Vocabulary, jurisdiction, slug

AREA = "compass"


def rules() -> Sequence[Rule]:
    return cached(AREA, "rules", _load_rules)


def law() -> UUID | None:
    """What stands for the state of the duties: another one after each change. Read it before `rules`."""
    return token_of(AREA)


def requirements() -> Sequence[RequirementFacts]:
    return cached(AREA, "requirements", _load_requirements)


def _load_rules() -> Sequence[Rule]:
    return tuple(rule_of(row) for row in Obligation.objects.filter(enabled=True).order_by("code"))


def rule_of(row: Obligation) -> Rule:
    """The row as the computation sees it. If its clocks cannot be read, the rule has none, and gives the reason."""
    broken = ""
    try:
        clocks = tuple(Clock.of(clock) for clock in row.clocks)
    except (BadClock, TypeError) as error:
        clocks, broken = (), str(error)
    return Rule(
        code=row.code,
        regime=row.regime,
        title=row.title,
        authority=row.authority,
        citation=row.citation,
        source_url=row.source_url,
        wording=row.wording,
        clocks=clocks,
        document=tuple(row.clocks) if clocks else (),
        broken=broken,
        # An admin's words are read in the same way as a user's.
        jurisdictions=_read(PLACES, row.jurisdictions, jurisdiction),
        sectors=_read(SECTORS, row.sectors),
        data_categories=_read(CATEGORIES, row.data_categories),
        conditions=_read(FACTS, row.conditions),
        min_severity=row.min_severity,
        min_records=row.min_records,
        max_records=row.max_records,
        per_state=row.per_state,
        in_force_from=row.in_force_from,
        in_force_until=row.in_force_until,
        note=row.note,
        not_in_force=row.not_in_force,
        encryption_exempts=row.encryption_exempts,
        stops=row.stops,
        verified=row.verified,
        reviewed_on=row.reviewed_on,
    )


def _read(vocabulary: Vocabulary, words: Iterable[str], else_: Callable[[str], str] = slug) -> frozenset[str]:
    """A word that may mean several things binds for each of them; one that is not known is the organisation's own."""
    return frozenset(head for word in words for head in vocabulary.heads(word) or (else_(word),))


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
            sample=row.sample,
        )
        for row in Requirement.objects.filter(applicable=True)
    )
