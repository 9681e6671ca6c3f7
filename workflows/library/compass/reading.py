"""The facts of an incident, read once for all obligations: the meaning of each word, and what is not known."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workflows.core.clocks.where import Where, places
from workflows.library.compass.contract import ComplianceInput
from workflows.library.vocabulary import (
    CATEGORIES,
    FACTS,
    PLACES,
    SECTORS,
    Word,
    key,
    named,
)
from workflows.library.vocabulary.places import within

if TYPE_CHECKING:
    from workflows.library.compass.obligations import Rule


def _own(words: Iterable[str]) -> dict[str, str]:
    """Words that the organisation's own obligations use: these count as known, whatever they mean."""
    return {key(word): word for word in words}


def _all_of(words: Sequence[Word] | None) -> frozenset[str] | None:
    """All that the words may mean; None while one of them is not known."""
    if words is None or not all(word.known for word in words):
        return None
    return frozenset[str]().union(*(reading for word in words for reading in word.readings))


@dataclass(frozen=True, slots=True)
class Reading:
    """Each field's words; None where the field is not known."""

    places: Sequence[Word] | None
    sector: Word | None
    categories: Sequence[Word] | None
    facts: Sequence[Word] | None
    #: place → number of people concerned who live there
    residents: Mapping[str, int]

    @classmethod
    def of(cls, given: ComplianceInput, rules: Iterable["Rule"]) -> "Reading":
        rules = list(rules)
        own_places = _own(word for rule in rules for word in rule.jurisdictions)
        residents: dict[str, int] = {}
        for name, count in given.residents.items():
            heads = PLACES.heads(name)
            if len(heads) == 1:
                residents[heads[0]] = residents.get(heads[0], 0) + count
        return cls(
            # An incident happens somewhere: an empty list of places says that nobody filled it in.
            places=PLACES.read_all(given.jurisdictions, own_places) if given.jurisdictions else None,
            sector=None
            if given.sector is None or not given.sector.strip()
            else SECTORS.read(given.sector, _own(word for rule in rules for word in rule.sectors)),
            categories=None
            if given.data_categories is None
            else CATEGORIES.read_all(
                given.data_categories, _own(word for rule in rules for word in rule.data_categories)
            ),
            facts=None
            if given.organisation_facts is None
            else FACTS.read_all(given.organisation_facts, _own(word for rule in rules for word in rule.conditions)),
            residents=residents,
        )

    def where(self, rule: "Rule") -> tuple[Where, ...]:
        """The places where the rule applies; () when none of them is known."""
        if self.places is None:
            return ()
        found: list[str] = []
        for word in self.places:
            if not word.known and rule.jurisdictions:
                # Nobody knows where this place is: it may be in any of the rule's places.
                found.extend(sorted(rule.jurisdictions))
            for head, reading in zip(word.heads, word.readings, strict=True):
                if not rule.jurisdictions or not reading.isdisjoint(rule.jurisdictions):
                    found.append(head)
        return places(found)

    def rules_out(self, rules: Iterable["Rule"]) -> frozenset[str]:
        """The codes of those that a known place, or a known list of facts, rules out: most of them, so cheaply."""
        places, facts = _all_of(self.places), _all_of(self.facts)
        return frozenset(
            rule.code
            for rule in rules
            if (places is not None and rule.jurisdictions and rule.jurisdictions.isdisjoint(places))
            or (facts is not None and not rule.conditions <= facts)
        )

    def only_in(self, places: frozenset[str]) -> bool:
        """Whether everybody concerned is known to be in one of `places`."""
        return self.places is not None and all(
            word.known and all(not reading.isdisjoint(places) for reading in word.readings) for word in self.places
        )

    def residents_of_parts(self, places: frozenset[str]) -> list[int]:
        """The numbers given for parts of the places, such as states."""
        return [count for place, count in self.residents.items() if place not in places and within(place) & places]

    def in_one_part_of(self, places: frozenset[str]) -> bool:
        """Whether everybody concerned is known to be in one and the same part of the places."""
        heads = {head for word in self.places or () for head in word.heads}
        return len(heads) == 1 and not heads & places and self.only_in(places)

    def assumptions(self, rules: Sequence["Rule"], given: ComplianceInput) -> list[str]:
        """Sentences about what was not known or could mean several things."""
        told: list[str] = []
        if self.places is None:
            told.append("jurisdictions are not given: every obligation that depends on the place is to be checked")
        told += named("jurisdiction", self.places or ())
        told += named("sector", [self.sector] if self.sector else ())
        told += named("data category", self.categories or ())
        told += named("organisation fact", self.facts or ())
        told += self._without_a_part(rules)
        for name in given.residents:
            if len(PLACES.heads(name)) != 1:
                told.append(f"residents of {name[:100]!r}: the place is not known, the number was not used")
        return told

    def _without_a_part(self, rules: Sequence["Rule"]) -> list[str]:
        """A country without its state, or the Union without the member state: the laws of the parts were left out."""
        words = self.places or ()
        in_force = frozenset[str]().union(*(reading for word in words for reading in word.readings))
        elsewhere = frozenset[str]().union(*(rule.jurisdictions for rule in rules)) - in_force
        told: list[str] = []
        for word in words:
            parts = sorted(place for place in elsewhere if len(word.heads) == 1 and word.heads[0] in within(place))
            if parts:
                told.append(f"{word.given!r} names no part of it: the law of {', '.join(parts[:60])} was left out")
        return told
