"""The words that describe incidents, and which word lies within which.

A user may write `UK`, `finance` or `PHI`; the library compares `GB`, `financial_services` and `health`. A word that is
not known is kept, in lower case: it matches rows that an admin wrote with the same word, and is otherwise unknown,
never "no" (`words.py`). One file for each kind of word: `places`, `sectors`, `categories`, `kinds`.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from workflows.core.formats import moment
from workflows.library.vocabulary import categories, places, sectors
from workflows.library.vocabulary.categories import CATEGORIES
from workflows.library.vocabulary.kinds import FACTS, INCIDENTS, VECTORS
from workflows.library.vocabulary.places import EU_MEMBERS, PLACES, jurisdiction
from workflows.library.vocabulary.sectors import SECTORS
from workflows.library.vocabulary.words import Vocabulary, Word, holds, key, named

__all__ = [
    "CATEGORIES",
    "EU_MEMBERS",
    "FACTS",
    "INCIDENTS",
    "PLACES",
    "SECTORS",
    "SEVERITIES",
    "VECTORS",
    "Vocabulary",
    "Word",
    "attack_vector",
    "categories_in_force",
    "data_categories",
    "data_category",
    "holds",
    "incident_type",
    "jurisdiction",
    "jurisdictions_in_force",
    "key",
    "named",
    "organisation_fact",
    "sector",
    "sectors_in_force",
    "severity_rank",
    "slug",
]

Severity = Literal["low", "medium", "high", "critical"]
SEVERITIES: Final[tuple[str, ...]] = ("low", "medium", "high", "critical")


def slug(value: str) -> str:
    """`Payment Card` → `payment_card`; letters of every script stay."""
    return key(value)


def _one(vocabulary: Vocabulary, value: str) -> str:
    """The meaning of the word if there is exactly one, else the word itself."""
    heads = vocabulary.heads(value)
    return heads[0] if len(heads) == 1 else slug(value)


def sector(value: str) -> str:
    return _one(SECTORS, value)


def data_category(value: str) -> str:
    return _one(CATEGORIES, value)


def organisation_fact(value: str) -> str:
    return _one(FACTS, value)


def incident_type(value: str) -> str:
    return _one(INCIDENTS, value)


def attack_vector(value: str) -> str:
    return _one(VECTORS, value)


def data_categories(values: Iterable[str]) -> list[str]:
    """Every category that the words may stand for, each once: `Payment` is payment_card and financial."""
    found: dict[str, None] = {}
    for value in values:
        found.update(dict.fromkeys(CATEGORIES.heads(value) or (slug(value),)))
    return list(found)


def jurisdictions_in_force(codes: Iterable[str]) -> frozenset[str]:
    """Every place whose law applies to one of `codes`: `US-CA` brings `US`, `DE` brings `EU`."""
    return frozenset[str]().union(*(places.within(code) for code in codes))


def sectors_in_force(words: Iterable[str]) -> frozenset[str]:
    return frozenset[str]().union(*(sectors.within(word) for word in words))


def categories_in_force(words: Iterable[str]) -> frozenset[str]:
    return frozenset[str]().union(*(categories.within(word) for word in words))


def severity_rank(value: str) -> int:
    """0 for low … 3 for critical; -1 for any other word."""
    return SEVERITIES.index(value) if value in SEVERITIES else -1


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def _moment(value: object) -> object:
    """RFC 3339, read as the API reads it; a number is not a moment."""
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str):
        raise ValueError("must be a date-time like 2026-11-30T12:00:00Z (RFC 3339)")
    return moment(value)


def _cve(value: object) -> object:
    return value.strip().upper() if isinstance(value, str) else value


def _once(values: list[str]) -> list[str]:
    return list(dict.fromkeys(values))


AnySeverity = Annotated[Severity, BeforeValidator(_lower)]
CveId = Annotated[str, BeforeValidator(_cve), Field(pattern=r"^CVE-[0-9]{4}-[0-9]{4,19}$")]
CveList = Annotated[list[CveId], Field(max_length=500), AfterValidator(_once)]
IncidentType = Annotated[str, Field(max_length=100), AfterValidator(incident_type)]
AttackVector = Annotated[str, Field(max_length=100), AfterValidator(attack_vector)]
DataCategories = Annotated[
    list[Annotated[str, Field(max_length=60)]], Field(max_length=100), AfterValidator(data_categories)
]
# Kept as given: COMPASS reads them with the words of its obligations, and names those that it does not know.
GivenJurisdictions = Annotated[list[Annotated[str, Field(max_length=60)]], Field(max_length=300)]
GivenCategories = Annotated[list[Annotated[str, Field(max_length=60)]], Field(max_length=100)]
GivenFacts = Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=50)]
# A leap second is a moment here as it is at the door (`core/formats.py`).
Moment = Annotated[AwareDatetime, BeforeValidator(_moment)]


class StepInput(BaseModel):
    """What a library step takes; a field it does not know is a fault, not a silent loss."""

    model_config = ConfigDict(extra="forbid")


class StepOutput(BaseModel):
    """What a library step gives. Every field has a default, so that a later step can be given a part of it."""

    model_config = ConfigDict(extra="forbid")
