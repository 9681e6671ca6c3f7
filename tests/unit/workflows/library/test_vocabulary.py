"""Words: the names that people use are known, and a word that is not known is never a "no"."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.obligations import NOW, shipped
from workflows.library.compass.contract import ComplianceInput
from workflows.library.compass.obligations import Rule, applicability, assess
from workflows.library.vocabulary import (
    CATEGORIES,
    FACTS,
    INCIDENTS,
    PLACES,
    SECTORS,
    VECTORS,
    Vocabulary,
    attack_vector,
    data_category,
    incident_type,
    jurisdiction,
    key,
    sector,
)
from workflows.library.vocabulary.countries import COUNTRIES

RULES = shipped()
IN_FORCE = [
    rule for rule in RULES if not rule.not_in_force and (rule.in_force_from is None or rule.in_force_from <= NOW.date())
]
STATES = ["US-CA", "US-CO", "US-FL", "US-IL", "US-MA", "US-NY", "US-TX", "US-VA", "US-WA"]


def applying(**fields: object) -> dict[str, str]:
    found = assess(RULES, ComplianceInput.model_validate({"detected_at": "2026-11-25T10:00:00Z", **fields}), NOW)
    return {one.code: one.applicability for one in found.obligations}


def assumed(**fields: object) -> str:
    return "\n".join(assess(RULES, ComplianceInput.model_validate(fields), NOW).assumptions)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("DE", "DE"), ("deu", "DE"), ("Germany", "DE"), ("Deutschland", "DE"), ("GBR", "GB"), ("uk", "GB"),
        ("England", "GB"),
        ("EL", "GR"), ("Réunion", "RE"), ("Reunion", "RE"), ("GLP", "GP"), ("French Guiana", "GF"),
        ("Martinique", "MQ"),
        ("Canary Islands", "ES"), ("Açores", "PT"), ("Madeira", "PT"), ("Åland", "AX"), ("USA", "US"), ("U.S.", "US"),
        ("California", "US-CA"), ("us_ca", "US-CA"), ("US CA", "US-CA"), ("New York", "US-NY"),
        ("Washington DC", "US-DC"),
        ("European Union", "EU"), ("E.U.", "EU"), ("Korea", "KR"), ("South Korea", "KR"), ("The Netherlands", "NL"),
        ("Czechia", "CZ"), ("Czech Republic", "CZ"), ("Türkiye", "TR"), ("Turkey", "TR"), ("DE-BY", "DE-BY"),
        ("deu-by", "DE-BY"),
    ],
)  # fmt: skip
def test_places_are_known_by_every_name_people_use(given: str, code: str) -> None:
    assert jurisdiction(given) == code
    assert PLACES.read(given).heads == (code,)


def test_every_country_of_the_standard_is_known_by_both_codes_and_each_name() -> None:
    codes = set()
    for line in COUNTRIES.splitlines():
        code, longer, names = line.split(" ", 2)
        codes.add(code)
        for name in (code, code.lower(), longer, longer.lower(), *names.split("; ")):
            # Georgia is a country and a state of the US.
            assert code in PLACES.heads(name), (name, code)
            assert PLACES.heads(name) == (code,) or name == "Georgia", name
    assert len(codes) == 250


def test_a_group_of_countries_stands_for_one_of_them() -> None:
    eea = PLACES.read("EEA")
    assert eea.holds({"EU", "IS", "LI", "NO"}) is True
    assert eea.holds({"EU"}) is None
    assert eea.holds({"US"}) is False
    assert PLACES.read("Benelux").holds({"EU"}) is True
    assert PLACES.read("Europe").holds({"EU"}) is None


def test_outermost_regions_are_the_union_and_overseas_territories_are_not() -> None:
    for word in (
        "GP",
        "MTQ",
        "French Guiana",
        "Réunion",
        "Mayotte",
        "Saint Martin",
        "Canarias",
        "Azores",
        "Madeira",
        "AX",
    ):
        assert PLACES.read(word).holds({"EU"}) is True, word
    for word in ("Greenland", "New Caledonia", "Faroe Islands", "GB", "Jersey", "Switzerland"):
        assert PLACES.read(word).holds({"EU"}) is False, word
    assert PLACES.read("Puerto Rico").holds({"US"}) is True


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ("Health care", "health"), ("healthcare", "health"), ("Hospital", "health"), ("Banking", "banking"),
        ("bank", "banking"), ("banking sector", "banking"), ("Financial market infrastructures", "financial_market"),
        ("Financial and insurance activities", "financial_services"), ("Waste water", "waste_water"),
        ("ICT service management (business-to-business)", "ict_service_management"), ("Space", "space"),
        ("Postal and courier services", "postal"), ("Waste management", "waste"),
        ("Digital providers", "digital_providers"),
        ("Production, processing and distribution of food", "food"),
        ("Public administration", "public_administration"),
        ("Manufacture, production and distribution of chemicals", "chemicals"), ("Research", "research"),
        ("NACE K", "financial_services"), ("NACE K64.1", "financial_services"), ("C26.1", "manufacturing"),
        ("622110", "health"), ("522110", "banking"), ("NAICS 52", "financial_services"),
        ("517", "digital_infrastructure"),
        ("Retail", "retail"), ("Education", "education"),
    ],
)  # fmt: skip
def test_sectors_are_known_by_the_headings_of_nis2_nace_and_naics(given: str, word: str) -> None:
    assert sector(given) == word
    assert SECTORS.read(given).known


HEADINGS = """\
Agriculture, forestry and fishing|Mining and quarrying|Manufacturing|Construction|Education|Real estate activities
Electricity, gas, steam and air conditioning supply|Transportation and storage|Information and communication
Water supply; sewerage, waste management and remediation activities|Accommodation and food service activities
Wholesale and retail trade; repair of motor vehicles and motorcycles|Financial and insurance activities
Professional, scientific and technical activities|Administrative and support service activities
Public administration and defence; compulsory social security|Human health and social work activities
Arts, entertainment and recreation
Agriculture, Forestry, Fishing and Hunting|Mining, Quarrying, and Oil and Gas Extraction|Utilities|Wholesale Trade
Retail Trade|Transportation and Warehousing|Information|Finance and Insurance|Real Estate and Rental and Leasing
Professional, Scientific, and Technical Services|Management of Companies and Enterprises|Educational Services
Administrative and Support and Waste Management and Remediation Services|Health Care and Social Assistance
Arts, Entertainment, and Recreation|Accommodation and Food Services|Public Administration
Energy|Electricity|District heating and cooling|Oil|Gas|Hydrogen|Transport|Air|Rail|Water|Road|Banking|Health
Financial market infrastructures|Drinking water|Waste water|Digital infrastructure|Space|Postal and courier services
ICT service management (business-to-business)|Waste management|Digital providers|Research
Manufacture, production and distribution of chemicals|Production, processing and distribution of food
Manufacture of medical devices and in vitro diagnostic medical devices|Manufacture of electrical equipment
Manufacture of computer, electronic and optical products|Manufacture of machinery and equipment n.e.c.
Manufacture of motor vehicles, trailers and semi-trailers|Manufacture of other transport equipment
Providers of online marketplaces|Providers of online search engines|Providers of social networking services platforms
Cloud computing service providers|Data centre service providers|Trust service providers
Managed security service providers
"""


def test_every_heading_of_nace_naics_and_the_annexes_of_nis2_is_known_and_fits_through_the_door() -> None:
    headings = [heading for line in HEADINGS.splitlines() for heading in line.split("|")]
    assert [heading for heading in headings if not SECTORS.read(heading).known] == []
    assert max(map(len, headings)) <= 200


NIS2 = next(rule.sectors for rule in RULES if rule.code == "nis2-final")


def test_a_heading_that_nis2_covers_in_part_is_to_be_checked_and_one_that_it_does_not_is_known_not_to() -> None:
    for word in (
        "Information and communication",
        "Human health and social work activities",
        "Logistics",
        "J62",
        "University",
    ):
        assert SECTORS.read(word).holds(NIS2) is None, word
    for word in ("Transportation and storage", "Water supply; sewerage, waste management and remediation activities"):
        assert SECTORS.read(word).holds(NIS2) is True, word
    for word in ("Retail", "Real estate activities", "Construction", "F", "law firm"):
        assert SECTORS.read(word).holds(NIS2) in (False, None), word
    assert SECTORS.read("Retail").holds(NIS2) is False
    # Two digits are NACE's as well as NAICS's.
    assert not SECTORS.read("62").known


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ("personal data", "personal"), ("PII", "personal"), ("Customer data", "personal"), ("ePHI", "health"),
        ("PHI", "health"),
        ("Protected Health Information", "health"), ("Individually identifiable health information", "health"),
        ("Medical", "health"), ("medical records", "health"), ("patient information", "health"),
        ("Bank", "financial"),
        ("cardholder data", "payment_card"), ("PAN", "payment_card"), ("CVV2", "payment_card"),
        ("credit cards", "payment_card"),
        ("Sensitive authentication data", "payment_card"), ("Track data", "payment_card"), ("SSN", "government_id"),
        ("Driver's license", "government_id"), ("Credentials", "credentials"),
        ("Trade union membership", "special_category"),
        ("Source code", "source_code"), ("Données personnelles", "personal"), ("Children's data", "minors"),
    ],
)  # fmt: skip
def test_categories_are_known_by_the_terms_of_hipaa_pci_gdpr_and_veris(given: str, word: str) -> None:
    assert data_category(given) == word
    assert CATEGORIES.read(given).known


VERIS = [
    "Credentials", "Bank", "Classified", "Copyrighted", "Digital certificate", "Internal", "Medical", "Payment",
    "Personal",
    "Sensitive Personal", "Secrets", "Source code", "System", "Virtual currency",
]  # fmt: skip


def test_every_data_variety_of_veris_is_known_but_those_that_say_nothing() -> None:
    assert [word for word in VERIS if not CATEGORIES.read(word).known] == []
    assert not CATEGORIES.read("Unknown").known
    assert not CATEGORIES.read("Other").known
    assert CATEGORIES.read("Payment").holds({"personal"}) is True
    assert CATEGORIES.read("Payment").holds({"payment_card"}) is None
    assert CATEGORIES.read("Sensitive Personal").holds({"personal"}) is True
    assert CATEGORIES.read("Sensitive Personal").holds({"health"}) is None


def test_the_cases_of_outsiders_lose_no_duty() -> None:
    for places, categories in (
        (["DE"], ["Unknown"]), (["DE"], ["Payment"]), (["DE"], ["Bank"]), (["DE"], ["Sensitive Personal"]),
        (["DEU"], ["personal data"]), (["Germany"], ["pii"]), (["GBR"], ["personal"]),
    ):  # fmt: skip
        found = applying(jurisdictions=places, data_categories=categories)
        assert "gdpr-33" in found or "uk-gdpr-33" in found, (places, categories)
    assert applying(jurisdictions=["DE"], data_categories=["Unknown"])["gdpr-33"] == "to_check"
    assert applying(jurisdictions=["DE"], data_categories=["Unknown"])["pci-brands"] == "to_check"
    assert applying(jurisdictions=["DE"], data_categories=["Payment"])["gdpr-33"] == "applies"
    assert applying(jurisdictions=["DE"], data_categories=["Payment"])["pci-brands"] == "to_check"
    assert applying(jurisdictions=["DE"], sector="Health care", severity="high")["nis2-early-warning"] == "applies"


def test_an_unknown_word_is_named_with_what_is_near_it() -> None:
    told = assumed(
        jurisdictions=["Germny"], data_categories=["Unknown", "Paymnt"], sector="Helthcare", organisation_facts=["hipa"]
    )
    assert "jurisdiction 'Germny' is not known" in told
    assert "near: Germany (DE)" in told
    assert "data category 'Unknown' is not known: what it could decide is to be checked\n" in told
    assert "data category 'Paymnt' is not known: what it could decide is to be checked; near: Payment" in told
    assert "sector 'Helthcare' is not known: what it could decide is to be checked; near: healthcare (health)" in told
    assert (
        "organisation fact 'hipa' is not known: what it could decide is to be checked; near: hipaa (hipaa_covered)"
        in told
    )


def test_places_that_nobody_gave_are_not_nowhere() -> None:
    everything = {rule.code for rule in IN_FORCE}
    for places in (None, [], ["Atlantis"]):
        assert set(applying(jurisdictions=places)) == everything
    assert "jurisdictions are not given" in assumed()
    assert f"'US' names no part of it: the law of {', '.join(STATES)} was left out" in assumed(jurisdictions=["US"])
    assert "names no part" not in assumed(jurisdictions=["US", *STATES])


def test_a_state_counts_its_own_residents() -> None:
    there = {"jurisdictions": ["US-CA", "DE"], "data_categories": ["personal"]}
    assert applying(**there, affected_records=10_000)["ca-attorney-general"] == "to_check"
    assert applying(**there, residents={"California": 501})["ca-attorney-general"] == "applies"
    assert "ca-attorney-general" not in applying(**there, affected_records=10_000, residents={"US-CA": 500})
    assert "ca-attorney-general" not in applying(**there, affected_records=500)
    alone = {"jurisdictions": ["US-CA"], "data_categories": ["personal"], "affected_records": 501}
    assert applying(**alone)["ca-attorney-general"] == "applies"
    assert "residents of 'Mars'" in assumed(**there, residents={"Mars": 3})


def test_the_media_are_to_be_notified_for_the_residents_of_one_state() -> None:
    there = {"data_categories": ["health"], "organisation_facts": ["hipaa_covered"]}
    us = there | {"jurisdictions": ["US"]}
    assert applying(**us, affected_records=800)["hipaa-media"] == "to_check"
    assert "hipaa-media" not in applying(**us, affected_records=500)
    assert applying(**us, residents={"US-CA": 501, "US-NY": 3})["hipaa-media"] == "applies"
    # 400 and 400 are all there are.
    assert "hipaa-media" not in applying(**us, affected_records=800, residents={"US-CA": 400, "US-NY": 400})
    assert applying(**us, affected_records=900, residents={"US-CA": 400, "US-NY": 400})["hipaa-media"] == "to_check"
    assert applying(**there, jurisdictions=["California"], affected_records=501)["hipaa-media"] == "applies"
    assert applying(**there, jurisdictions=["US-CA", "US-NY"], affected_records=800)["hipaa-media"] == "to_check"


def unknown_to(vocabulary: Vocabulary) -> st.SearchStrategy[str]:
    return st.text(min_size=1, max_size=40).filter(lambda word: not vocabulary.heads(word))


@given(
    unknown_to(PLACES),
    unknown_to(SECTORS),
    unknown_to(CATEGORIES),
    unknown_to(FACTS),
    st.sampled_from(IN_FORCE),
    st.sets(st.sampled_from(["jurisdictions", "sector", "data_categories", "organisation_facts"]), min_size=1),
)
def test_no_unknown_word_ever_rules_an_obligation_out(
    place: str, branch: str, data: str, fact: str, rule: Rule, garbled: set[str]
) -> None:
    known = {
        "jurisdictions": sorted(rule.jurisdictions) or ["DE"],
        "sector": min(rule.sectors, default="retail"),
        "data_categories": sorted(rule.data_categories) or ["personal"],
        "organisation_facts": sorted(rule.conditions),
        "severity": "critical",
    }
    words = {"jurisdictions": [place], "sector": branch, "data_categories": [data], "organisation_facts": [fact]}
    said = known | {name: words[name] for name in garbled}
    verdict = applicability(rule, ComplianceInput.model_validate(said), NOW.date())
    assert verdict.applies
    # What is not known is named as missing, as far as the rule asks for it and the word is one at all.
    asked = {"jurisdictions": rule.jurisdictions, "sector": rule.sectors, "data_categories": rule.data_categories}
    for name in garbled & asked.keys():
        assert (name in verdict.missing) == bool(asked[name])
    if "organisation_facts" in garbled:
        assert rule.conditions <= set(verdict.missing)


@given(st.text(max_size=200), st.sampled_from([PLACES, SECTORS, CATEGORIES, FACTS, INCIDENTS, VECTORS]))
def test_any_text_is_read_and_its_near_words_are_known_ones(text: str, vocabulary: Vocabulary) -> None:
    word = vocabulary.read(text)
    assert word.known or len(word.near) <= 3
    for near in word.near:
        assert vocabulary.heads(near.split(" (")[0])
    assert key(key(text)) == key(text)


def test_a_list_of_unknown_words_costs_little_and_names_the_first_ones() -> None:
    words = [f"nowhere {n} {'x' * 40}" for n in range(300)]
    told = assess(RULES, ComplianceInput(jurisdictions=words), NOW).assumptions
    assert sum("is not known: what" in one for one in told) == 20
    assert "jurisdiction: 280 further words are not known" in told


def test_kinds_of_incident_are_known_by_the_names_of_veris() -> None:
    assert [incident_type(word) for word in ("Ransomware attack", "DDoS", "Lost and stolen assets", "BEC")] == [
        "ransomware", "outage", "lost_device", "account_takeover",
    ]  # fmt: skip
    assert [attack_vector(word) for word in ("Use of stolen creds", "SQLi", "Misdelivery", "spear-phishing")] == [
        "stolen_credentials", "exploited_vulnerability", "human_error", "phishing",
    ]  # fmt: skip
