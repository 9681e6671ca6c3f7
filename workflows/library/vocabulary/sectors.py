"""Sectors: NIS2's annexes, the sections of NACE Rev. 2, NAICS codes and headings, and everyday words.

A heading that NIS2 covers in part stands for its parts: "Information and communication" may be digital infrastructure
or a publisher, so a rule that depends on it must be checked.
"""

import re
from typing import Final

from workflows.library.vocabulary.words import Vocabulary

#: a sector lies within a wider one: a rule for financial services binds a bank
PARENTS: Final = {
    "banking": "financial_services",
    "insurance": "financial_services",
    "investment": "financial_services",
    "payments": "financial_services",
    "financial_market": "financial_services",
}

# Each meaning, then the ways to say it. First the names from NIS2's annexes, then the sectors that it does not name.
_SECTORS: Final = """\
energy: utilities, electricity, electric power, power, district heating and cooling, oil, gas, oil and gas, \
hydrogen, natural gas, electricity gas steam and air conditioning supply, nuclear, renewables, energy and utilities, \
electric utility, electricity undertakings, distribution system operators, transmission system operators, power \
plant, solar, wind power, grid operator
transport: transportation, air, rail, railway, water transport, road, aviation, airline, airport, maritime, \
shipping, ports, air transport, rail transport, road transport, logistics and transport, public transport, \
automotive transport, trucking, land transport and transport via pipelines, land transport, air transportation, rail \
transportation, water transportation, truck transportation, pipeline transportation, air carriers, airport managing \
bodies, railway undertakings, warehousing and support activities for transportation
health: healthcare, health care, hospital, medical, health sector, healthcare provider, pharma, pharmaceutical, \
pharmaceuticals, clinic, laboratory, biotech, life sciences, human health, e-health, hospital and health care, care \
provider, manufacture of basic pharmaceutical products and pharmaceutical preparations, residential care activities, \
ambulatory health care services, nursing and residential care facilities, eu reference laboratories, university \
hospital, hospital activities, human health activities, medtech, medical practice, dental practice, pharmacy, \
nursing home
drinking_water: drinking water, water supply, water utility, potable water, water collection treatment and supply
waste_water: waste water, wastewater, sewerage, sewage
digital_infrastructure: digital infrastructure, telecom, telecoms, telecommunication, telecommunications, cloud, \
cloud computing, cloud provider, data centre, data center, dns, tld, cdn, content delivery network, internet \
exchange point, isp, internet service provider, hosting, trust services, trust service provider, electronic \
communications, ixp, iaas, paas, internet exchange point providers, dns service providers, tld name registries, \
cloud computing service providers, data centre service providers, content delivery network providers, trust service \
providers, providers of public electronic communications networks, providers of publicly available electronic \
communications services, data processing hosting and related services
ict_service_management: ict service management, ict service management business to business, msp, mssp, it services, \
managed services, managed service provider, managed security service provider, information technology services, \
outsourcing, computer programming consultancy and related activities, computer systems design and related services
public_administration: public administration, public sector, government, public, federal government, local \
government, state government, municipality, public administration and defence compulsory social security, social \
security, council, gov, police, court, justice
space: space, satellite, aerospace ground segment
postal: postal, postal and courier services, courier, post, mail, parcel, postal and courier activities, couriers \
and messengers, postal service
waste: waste, waste management, recycling, remediation, waste collection treatment and disposal activities materials \
recovery, waste collection
chemicals: chemicals, chemical, manufacture production and distribution of chemicals, chemistry, manufacture of \
chemicals and chemical products, manufacture of chemicals, chemical manufacturing
food: food, production processing and distribution of food, food and beverage, food production, food processing, \
grocery wholesale, manufacture of food products, manufacture of beverages, food manufacturing, beverage and tobacco \
product manufacturing, manufacture of food, fmcg
manufacturing: manufacturing, manufacture, industry, industrial, medical devices, computer electronic and optical \
products, electronics, electrical equipment, machinery and equipment, motor vehicles trailers and semi trailers, \
automotive, other transport equipment, in vitro diagnostic medical devices, aerospace, factory, machinery, \
semiconductor, manufacture of medical devices and in vitro diagnostic medical devices, manufacture of medical \
devices, manufacture of computer electronic and optical products, manufacture of electrical equipment, manufacture \
of machinery and equipment n e c, manufacture of machinery, manufacture of motor vehicles trailers and semi \
trailers, manufacture of motor vehicles, manufacture of other transport equipment, consumer goods
digital_providers: digital providers, saas, technology, tech, online marketplace, online search engine, search \
engine, social network, social networking services platform, social media, marketplace, platform, software, digital \
provider, providers of online marketplaces, providers of online search engines, providers of social networking \
services platforms, online platform
research: research, research organisation, research organization, r and d, scientific research, scientific research \
and development, r d, laboratory research
financial_services: financial services, finance, financial, financial and insurance activities, finance and \
insurance, fintech, financial service activities except insurance and pension funding, financial services sector, \
credit intermediation and related activities, pension fund
banking: banking, bank, credit institution, banks, commercial bank, savings bank, credit union, lender
insurance: insurance, insurer, reinsurance, insurance undertaking, insurance carriers and related activities, \
insurance reinsurance and pension funding except compulsory social security, insurance company
investment: investment, asset management, investment firm, fund, funds, securities, broker, brokerage, private \
equity, hedge fund, wealth management, investment bank, securities commodity contracts and other financial \
investments and related activities, crypto exchange, crypto asset service provider
payments: payments, payment institution, payment services, payment processor, e-money institution, electronic money \
institution, acquirer, payment service provider, psp
financial_market: financial market, financial market infrastructure, financial market infrastructures, stock \
exchange, trading venue, central counterparty, ccp, csd, clearing house, central counterparties, operators of \
trading venues, trading venues
agriculture: agriculture, farming, forestry, fishing
mining: mining, quarrying
construction: construction, building
retail: retail, retail trade, shop, store, supermarket, retail trade except of motor vehicles and motorcycles, \
online shop
hospitality: hospitality, accommodation and food service activities, accommodation and food services, hotel, hotels, \
restaurant, tourism, travel, gastronomy
media: media, publishing, broadcasting, press, news, television, advertising, marketing, film, newspaper, radio
real_estate: real estate, real estate activities, property, real estate and rental and leasing, housing
professional_services: professional services, legal, law firm, consulting, accounting, audit, legal services, \
management consulting, engineering, architecture, legal and accounting activities, law, legal and accounting, tax \
advice
administrative_services: administrative services, staffing, recruitment, security services, facility management, \
call centre, security and investigation activities, travel agency tour operator and other reservation service and \
related activities, employment activities
education: education, educational services, school, schools, training, kindergarten
social_work: social work, social assistance, social services, child care, nursing care
arts: arts, entertainment, recreation, sports, gambling, gaming, arts entertainment and recreation, leisure, museum, \
sports club, theatre
non_profit: non profit, nonprofit, ngo, charity, association, religious organisation, church, trade union, political \
party
household: households, private household, individual, activities of households as employers
defence: defence, defense, military, armed forces
"""

# Headings that include several of the above.
_HEADINGS: Final = {
    "Agriculture, forestry and fishing": ("agriculture", "food"),
    "Agriculture, forestry, fishing and hunting": ("agriculture", "food"),
    "Mining and quarrying": ("mining", "energy"),
    "Mining, quarrying, and oil and gas extraction": ("mining", "energy"),
    "Water supply; sewerage, waste management and remediation activities": ("drinking_water", "waste_water", "waste"),
    "Water": ("drinking_water", "waste_water", "transport"),
    "Wholesale and retail trade; repair of motor vehicles and motorcycles": ("retail", "food", "chemicals"),
    "Wholesale and retail trade": ("retail", "food", "chemicals"),
    "Wholesale trade": ("retail", "food", "chemicals"),
    "Wholesale": ("retail", "food", "chemicals"),
    "Transportation and storage": ("transport", "postal"),
    "Transportation and warehousing": ("transport", "postal"),
    "Logistics": ("transport", "postal", "administrative_services"),
    "Warehousing": ("transport", "postal", "administrative_services"),
    "Information and communication": ("digital_infrastructure", "ict_service_management", "digital_providers", "media"),
    "Information": ("digital_infrastructure", "ict_service_management", "digital_providers", "media"),
    "Information technology": ("digital_infrastructure", "ict_service_management", "digital_providers"),
    "IT": ("digital_infrastructure", "ict_service_management", "digital_providers"),
    "ICT": ("digital_infrastructure", "ict_service_management", "digital_providers"),
    "Digital": ("digital_infrastructure", "ict_service_management", "digital_providers"),
    "Professional, scientific and technical activities": ("professional_services", "research"),
    "Professional, scientific, and technical services": ("professional_services", "research", "ict_service_management"),
    "Administrative and support service activities": ("administrative_services", "ict_service_management"),
    "Administrative and support and waste management and remediation services": ("administrative_services", "waste"),
    "Human health and social work activities": ("health", "social_work"),
    "Health care and social assistance": ("health", "social_work"),
    "Higher education": ("education", "research"),
    "University": ("education", "research"),
    "Management of companies and enterprises": ("professional_services", "financial_services"),
    "Holding": ("professional_services", "financial_services"),
    "Real estate and finance": ("real_estate", "financial_services"),
    "E-commerce": ("retail", "digital_providers"),
    "Ecommerce": ("retail", "digital_providers"),
    "Bank and insurance": ("banking", "insurance"),
    "Pharmacy chain": ("health", "retail"),
}

# NAICS, the longest prefix decides. VERIS names industries by these numbers.
_NAICS: Final = {
    "11": "Agriculture, forestry and fishing", "21": "Mining and quarrying", "22": "energy",
    "2213": "Water supply; sewerage, waste management and remediation activities", "22131": "drinking_water",
    "22132": "waste_water", "22133": "energy", "23": "construction", "31": "manufacturing", "32": "manufacturing",
    "33": "manufacturing", "311": "food", "312": "food", "325": "chemicals", "3254": "health", "42": "Wholesale",
    "44": "retail", "45": "retail", "48": "transport", "49": "Transportation and storage", "491": "postal",
    "492": "postal", "493": "Warehousing", "51": "Information", "511": "media", "512": "media", "515": "media",
    "516": "media", "513": "Information", "517": "digital_infrastructure", "518": "digital_infrastructure",
    "519": "Information", "52": "financial_services", "521": "banking", "522": "banking", "523": "investment",
    "524": "insurance", "525": "investment", "53": "real_estate",
    "54": "Professional, scientific, and technical services", "5411": "professional_services",
    "5415": "Information technology", "5417": "research", "55": "Management of companies and enterprises",
    "56": "Administrative and support and waste management and remediation services", "562": "waste",
    "61": "Higher education", "611": "education", "6113": "Higher education", "62": "Health care and social assistance",
    "621": "health", "622": "health", "623": "health", "624": "social_work", "71": "arts", "72": "hospitality",
    "92": "public_administration", "928": "defence",
}  # fmt: skip
_NACE: Final = {
    "A": "Agriculture, forestry and fishing", "B": "Mining and quarrying", "C": "manufacturing", "D": "energy",
    "E": "Water supply; sewerage, waste management and remediation activities", "F": "construction",
    "G": "Wholesale and retail trade", "H": "Transportation and storage", "I": "hospitality",
    "J": "Information and communication", "K": "financial_services", "L": "real_estate",
    "M": "Professional, scientific and technical activities", "N": "Administrative and support service activities",
    "O": "public_administration", "P": "Higher education", "Q": "Human health and social work activities", "R": "arts",
    "T": "household",
}  # fmt: skip
_CODE: Final = re.compile(r"(?:NAICS[ :]*)?([0-9]{2,6})|NACE[ :]*([A-U])[0-9.]*|([A-U])[0-9]{2}(?:\.[0-9]{1,2})?")


def _words() -> dict[str, tuple[str, ...]]:
    words: dict[str, tuple[str, ...]] = {}
    for line in _SECTORS.splitlines():
        head, _, spellings = line.partition(": ")
        for spelling in (head, *spellings.split(", ")):
            words[spelling.strip()] = (head,)
    return words | _HEADINGS


def within(word: str) -> frozenset[str]:
    parent = PARENTS.get(word)
    return frozenset({word} if parent is None else {word, parent})


class _Sectors(Vocabulary):
    """Sectors, which have numbers and letters in the statistics' classifications."""

    def heads(self, given: str) -> tuple[str, ...]:
        match = _CODE.fullmatch(given.strip().upper())
        if match is None:
            return super().heads(given)
        if match[1] is None:
            name = _NACE.get(match[2] or match[3])
        else:
            # Two digits alone are a division of NACE as well as a sector of NAICS: they are not known.
            number = match[1]
            if len(number) == 2 and "NAICS" not in match[0]:
                return ()
            name = next((_NAICS[number[:n]] for n in range(len(number), 1, -1) if number[:n] in _NAICS), None)
        return super().heads(name) if name else ()


SECTORS: Final = _Sectors(
    "sector",
    _words(),
    within=within,
    generic=("sector", "industry", "services", "service", "activities", "provider", "company", "organisation"),
)
