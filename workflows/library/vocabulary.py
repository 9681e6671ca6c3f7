"""The words incidents are described with, and which word lies within which.

A user may write `UK`, `finance` or `PHI`; the library compares `GB`, `banking` and `health`. Unknown words are kept
as they are, in lower case: they match rows that an admin wrote with the same word.
"""

import re
from collections.abc import Iterable
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

Severity = Literal["low", "medium", "high", "critical"]
SEVERITIES: Final[tuple[str, ...]] = ("low", "medium", "high", "critical")

EU_MEMBERS: Final = frozenset(
    "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK".split()  # noqa: SIM905
)

_JURISDICTION_ALIASES: Final = {
    "UK": "GB",
    "EL": "GR",
    "USA": "US",
    "CALIFORNIA": "US-CA",
    "NEW YORK": "US-NY",
    "EUROPEAN UNION": "EU",
    "UNITED STATES": "US",
    "UNITED KINGDOM": "GB",
}

_SECTOR_ALIASES: Final = {
    "finance": "financial_services",
    "financial": "financial_services",
    "bank": "banking",
    "healthcare": "health",
    "hospital": "health",
    "utilities": "energy",
    "public_sector": "public_administration",
    "government": "public_administration",
    "telecom": "digital_infrastructure",
    "telecommunications": "digital_infrastructure",
    "cloud": "digital_infrastructure",
    "msp": "ict_service_management",
    "it_services": "ict_service_management",
    "saas": "digital_providers",
    "technology": "digital_providers",
}

# A sector lies within a wider one: a rule for financial services binds a bank.
_SECTOR_PARENTS: Final = {
    "banking": "financial_services",
    "insurance": "financial_services",
    "investment": "financial_services",
    "payments": "financial_services",
    "financial_market": "financial_services",
}

_CATEGORY_ALIASES: Final = {
    "pii": "personal",
    "personal_data": "personal",
    "customer_data": "personal",
    "phi": "health",
    "medical": "health",
    "health_data": "health",
    "pci": "payment_card",
    "cardholder": "payment_card",
    "card_data": "payment_card",
    "passwords": "credentials",
    "ssn": "government_id",
    "children": "minors",
}

# A category lies within a wider one: health data is special-category data, which is personal data.
_CATEGORY_PARENTS: Final = {
    "health": "special_category",
    "biometric": "special_category",
    "genetic": "special_category",
    "special_category": "personal",
    "payment_card": "personal",
    "financial": "personal",
    "credentials": "personal",
    "government_id": "personal",
    "contact": "personal",
    "employee": "personal",
    "location": "personal",
    "minors": "personal",
}


def slug(value: str) -> str:
    """`Payment Card` → `payment_card`."""
    return re.sub(r"[^a-z0-9]+", "_", value.strip().lower()).strip("_")


def jurisdiction(value: str) -> str:
    """An ISO 3166 code (`DE`, `US-CA`) or `EU`, from what a person wrote."""
    code = re.sub(r"\s+", " ", value.strip().upper())
    return _JURISDICTION_ALIASES.get(code, code.replace("_", "-").replace(" ", "-"))


def sector(value: str) -> str:
    word = slug(value)
    return _SECTOR_ALIASES.get(word, word)


def data_category(value: str) -> str:
    word = slug(value)
    return _CATEGORY_ALIASES.get(word, word)


def _with_parents(words: Iterable[str], parents: dict[str, str]) -> frozenset[str]:
    found: set[str] = set()
    for start in words:
        word: str | None = start
        while word is not None and word not in found:
            found.add(word)
            word = parents.get(word)
    return frozenset(found)


def jurisdictions_in_force(codes: Iterable[str]) -> frozenset[str]:
    """Every place whose law applies to one of `codes`: `US-CA` brings `US`, `DE` brings `EU`."""
    found: set[str] = set()
    for code in codes:
        found.add(code)
        country = code.split("-", 1)[0]
        found.add(country)
        if country in EU_MEMBERS:
            found.add("EU")
    return frozenset(found)


def sectors_in_force(words: Iterable[str]) -> frozenset[str]:
    return _with_parents(words, _SECTOR_PARENTS)


def categories_in_force(words: Iterable[str]) -> frozenset[str]:
    return _with_parents(words, _CATEGORY_PARENTS)


def severity_rank(value: str) -> int:
    """0 for low … 3 for critical; -1 for a word that is none of them."""
    return SEVERITIES.index(value) if value in SEVERITIES else -1


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def _cve(value: object) -> object:
    return value.strip().upper() if isinstance(value, str) else value


def _once(values: list[str]) -> list[str]:
    return list(dict.fromkeys(values))


AnySeverity = Annotated[Severity, BeforeValidator(_lower)]
CveId = Annotated[str, BeforeValidator(_cve), Field(pattern=r"^CVE-[0-9]{4}-[0-9]{4,19}$")]
CveList = Annotated[list[CveId], Field(max_length=500), AfterValidator(_once)]
Word = Annotated[str, Field(max_length=100), AfterValidator(slug)]
Jurisdiction = Annotated[str, Field(min_length=2, max_length=60), AfterValidator(jurisdiction)]
Jurisdictions = Annotated[list[Jurisdiction], Field(max_length=300), AfterValidator(_once)]
Sector = Annotated[str, Field(max_length=60), AfterValidator(sector)]
DataCategory = Annotated[str, Field(max_length=60), AfterValidator(data_category)]
DataCategories = Annotated[list[DataCategory], Field(max_length=100), AfterValidator(_once)]
Moment = AwareDatetime


class StepInput(BaseModel):
    """What a library step takes; a field it does not know is a fault, not a silent loss."""

    model_config = ConfigDict(extra="forbid")


class StepOutput(BaseModel):
    """What a library step gives. Every field has a default, so that a later step can be given a part of it."""

    model_config = ConfigDict(extra="forbid")
