"""Jurisdictions: ISO 3166 codes and names, the states of the US, the Union and the EEA, and what lies where."""

import re
from typing import Final

from workflows.library.vocabulary.countries import COUNTRIES
from workflows.library.vocabulary.words import Vocabulary, key

EU_MEMBERS: Final = frozenset(
    "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK".split()  # noqa: SIM905
)
#: places with a code of their own that are territory of the Union: outermost regions (TFEU Art. 349) and Åland
EU_TERRITORIES: Final = {"GP": "FR", "MQ": "FR", "GF": "FR", "RE": "FR", "YT": "FR", "MF": "FR", "AX": "FI"}
EEA_ONLY: Final = ("IS", "LI", "NO")
#: places with a code of their own in which federal law of the US binds
US_TERRITORIES: Final = frozenset({"PR", "GU", "VI", "AS", "MP", "UM"})

US_STATES: Final = {
    "AL": "Alabama", "AK": "Alaska", "AZ": "Arizona", "AR": "Arkansas", "CA": "California", "CO": "Colorado",
    "CT": "Connecticut", "DE": "Delaware", "FL": "Florida", "GA": "Georgia", "HI": "Hawaii", "ID": "Idaho",
    "IL": "Illinois", "IN": "Indiana", "IA": "Iowa", "KS": "Kansas", "KY": "Kentucky", "LA": "Louisiana",
    "ME": "Maine", "MD": "Maryland", "MA": "Massachusetts", "MI": "Michigan", "MN": "Minnesota", "MS": "Mississippi",
    "MO": "Missouri", "MT": "Montana", "NE": "Nebraska", "NV": "Nevada", "NH": "New Hampshire", "NJ": "New Jersey",
    "NM": "New Mexico", "NY": "New York", "NC": "North Carolina", "ND": "North Dakota", "OH": "Ohio", "OK": "Oklahoma",
    "OR": "Oregon", "PA": "Pennsylvania", "RI": "Rhode Island", "SC": "South Carolina", "SD": "South Dakota",
    "TN": "Tennessee", "TX": "Texas", "UT": "Utah", "VT": "Vermont", "VA": "Virginia", "WA": "Washington",
    "WV": "West Virginia", "WI": "Wisconsin", "WY": "Wyoming", "DC": "District of Columbia",
}  # fmt: skip

# A group stands for one of its members, not for all: somebody who writes "EEA" may mean only Norway.
_EEA: Final = ("EU", *EEA_ONLY)
_EUROPE: Final = (
    *_EEA,
    "GB",
    "CH",
    "AL",
    "AD",
    "BA",
    "BY",
    "MC",
    "MD",
    "ME",
    "MK",
    "RS",
    "RU",
    "SM",
    "TR",
    "UA",
    "VA",
    "XK",
)
_GROUPS: Final = {
    "EU": ("EU",), "EUR": ("EU",), "European Union": ("EU",), "E.U.": ("EU",), "EU27": ("EU",),
    "EU member state": ("EU",),
    "UE": ("EU",), "Union européenne": ("EU",), "Europäische Union": ("EU",), "Eurozone": ("EU",), "EU-wide": ("EU",),
    "EEA": _EEA, "European Economic Area": _EEA, "EU/EEA": _EEA, "EWR": _EEA, "EEE": _EEA, "Schengen": (*_EEA, "CH"),
    "Europe": _EUROPE, "DACH": ("DE", "AT", "CH"), "Benelux": ("BE", "NL", "LU"), "Baltics": ("EE", "LV", "LT"),
    "Nordics": ("DK", "FI", "SE", "NO", "IS"), "Scandinavia": ("DK", "SE", "NO"), "North America": ("US", "CA", "MX"),
    "EU-27": ("EU",), "Czech": ("CZ",), "Bundesrepublik Deutschland": ("DE",), "Palestine": ("PS",),
    "St Martin": ("MF",), "Quebec": ("CA-QC",), "Québec": ("CA-QC",), "Ontario": ("CA-ON",),
    "British Columbia": ("CA-BC",),
    "Alberta": ("CA-AB",), "New South Wales": ("AU-NSW",), "Victoria": ("AU-VIC",), "Queensland": ("AU-QLD",),
    "D.C.": ("US-DC",),
    "England and Wales": ("GB",), "Svalbard": ("SJ",), "Australia and New Zealand": ("AU", "NZ"), "S. Korea": ("KR",),
    "UK and Ireland": ("GB", "IE"), "Channel Islands": ("JE", "GG"), "ANZ": ("AU", "NZ"),
    # Parts of a state that have no code in ISO 3166-1, or a code that only this place has.
    "Azores": ("PT",), "Madeira": ("PT",), "Açores": ("PT",), "Canary Islands": ("ES",), "Canaries": ("ES",),
    "Canarias": ("ES",), "Ceuta": ("ES",), "Melilla": ("ES",), "Balearic Islands": ("ES",), "Corsica": ("FR",),
    "Åland": ("AX",),
    "Bavaria": ("DE",), "Catalonia": ("ES",), "Crimea": ("UA", "RU"), "New York City": ("US-NY",), "NYC": ("US-NY",),
    "Washington": ("US-WA", "US-DC"), "Washington DC": ("US-DC",), "Georgia": ("GE", "US-GA"), "Calif": ("US-CA",),
    "U.S.": ("US",), "U.S.A.": ("US",), "U.K.": ("GB",), "The States": ("US",), "Federal": ("US",),
}  # fmt: skip


def _words() -> tuple[dict[str, tuple[str, ...]], frozenset[str]]:
    words: dict[str, tuple[str, ...]] = {}
    countries: set[str] = set()
    for line in COUNTRIES.splitlines():
        code, longer, names = line.split(" ", 2)
        countries.add(code)
        for name in (*names.split("; "), longer, code):
            words[name] = (code,)
    for code, name in US_STATES.items():
        words[name] = words[f"State of {name}"] = words[f"US-{code}"] = (f"US-{code}",)
    for code in US_TERRITORIES:
        words[f"US-{code}"] = (code,)
    return words | _GROUPS, frozenset(countries)


_WORDS, COUNTRY_CODES = _words()
_BY_KEY: Final = {key(word): heads for word, heads in _WORDS.items()}
_SUBDIVISION: Final = re.compile(r"([A-Za-z]{2,3}) ?[-_./ ] ?([A-Za-z0-9]{1,3})")


def _subdivision(given: str) -> str | None:
    """`US-CA`, `us_ca`, `DE-BY`, `DEU-BY`: a country with one of its parts (ISO 3166-2). Only the parts of the US are
    known one by one: `US-ZZ` gives None."""
    match = _SUBDIVISION.fullmatch(given.strip())
    # "SE US" and "IN THE" are not codes: a text that is itself a known word is not taken apart.
    if match is None or key(given) in _BY_KEY:
        return None
    heads = _BY_KEY.get(key(match[1]), ())
    part = match[2].upper()
    if len(heads) != 1 or heads[0] not in COUNTRY_CODES or (" " in given and heads[0] != "US"):
        return None
    if heads[0] == "US":
        return f"US-{part}" if part in US_STATES else None
    return f"{heads[0]}-{part}"


def within(code: str) -> frozenset[str]:
    """The place and every place whose law binds in it: `US-CA` brings `US`, `DE` brings `EU`."""
    country = code.split("-", 1)[0]
    found = {code, country}
    if country in US_TERRITORIES:
        found |= {"US", f"US-{country}"}
    state = EU_TERRITORIES.get(country)
    if state is not None:
        found |= {state, "EU"}
    if country in EU_MEMBERS:
        found.add("EU")
    return frozenset(found)


PLACES: Final = Vocabulary("jurisdiction", _WORDS, within=within, plurals=False, reads=_subdivision)


def jurisdiction(value: str) -> str:
    """An ISO 3166 code (`DE`, `US-CA`) or `EU`, from what a person wrote; a word that is not known, in capitals."""
    heads = PLACES.heads(value)
    if len(heads) == 1:
        return heads[0]
    return re.sub(r"\s+", " ", value.strip().upper()).replace("_", "-").replace(" ", "-")
