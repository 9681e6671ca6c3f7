"""Kinds of data: everyday words, and those of the GDPR, HIPAA, PCI DSS, US state law and VERIS's data varieties.

A category lies within a wider one: health data is special-category data, which is personal data.
"""

from typing import Final

from workflows.library.vocabulary.words import Vocabulary

PARENTS: Final = {
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
    "communications": "personal",
    "criminal_record": "personal",
    "education": "personal",
    "online_identifier": "personal",
}

# Each meaning, then the ways to say it. The kinds from intellectual_property on are not data about people.
_CATEGORIES: Final = """\
personal: personal data, pii, personally identifiable information, personal identifiable information, personal \
information, customer data, customer, customers, client data, consumer data, consumer, user data, users, data \
subject, private, private information, date of birth, dob, birth date, gender, age, nationality, photograph, photo, \
cv, donnees personnelles, personenbezogene daten, datos personales, dati personali, dados pessoais, personally \
identifiable, customer pii, customer list, subscriber data, member data, full-face photographs, full face \
photographs, full face photos, photos, videos, video, voice recordings, cctv, vehicle identifiers, license plates, \
licence plates, certificate license numbers, unique identifying number, identification number, profiling data, \
social media profile
health: health data, phi, ephi, e-phi, electronic phi, protected health information, electronic protected health \
information, individually identifiable health information, iihi, medical, medical records, medical data, medical \
history, patient data, patient, patients, patient records, ehr, emr, electronic health record, electronic medical \
record, clinical, clinical data, diagnosis, diagnoses, treatment, prescription, prescriptions, medication, lab \
results, laboratory results, imaging, radiology, health insurance, health insurance information, health plan, mental \
health, substance use, disability, vaccination, data concerning health, unsecured phi, unsecured protected health \
information, designated record set, gesundheitsdaten, healthcare, medical record numbers, medical record number, \
health plan beneficiary numbers, health plan beneficiary number, insurance claims, patient names, x-rays
biometric: biometrics, biometric data, fingerprint, fingerprints, face recognition, facial recognition, iris, \
voiceprint, biometric identifiers, biometric identifier
genetic: genetics, genetic data, dna, genome, genomic
special_category: racial or ethnic origin, race, ethnicity, ethnic origin, religion, religious beliefs, religious or \
philosophical beliefs, political opinions, political, trade union membership, sexual orientation, sex life, sex life \
or sexual orientation
payment_card: pci, pci data, cardholder, cardholder data, chd, card data, card, cards, payment cards, credit card, \
credit cards, credit card number, debit card, debit cards, pan, primary account number, sensitive authentication \
data, sad, track data, full track data, magnetic stripe, cvv, cvv2, cvc, cvc2, cid, cav2, card verification code, \
pin, pins, pin block, account data, card number, card numbers, service code, expiration date, cardholder name, cav2 \
cvc2 cvv2 cid, tokenized pan, tokenised pan, truncated pan, card not present
financial: bank, bank account, bank accounts, bank data, bank account data, banking, account number, iban, financial \
data, financial account, financial information, nonpublic personal information, non-public personal information, \
npi, gramm leach bliley, glba, credit history, credit report, credit score, loan, loans, mortgage, income, tax, tax \
data, salary, payroll, insurance, transactions, tax returns, bank details, financial statements of customers
credentials: credential, passwords, password, login, logins, username and password, usernames, user names, \
authentication data, access token, api key, password hash, security questions, account credentials, login \
credentials, usernames and passwords, hashed passwords, user credentials
government_id: government id, government identifier, government issued id, ssn, social security number, social \
security numbers, national id, national identification number, identity card, id card, passport, passports, passport \
number, driver's license, drivers license, driver license, driving licence, tax id, tax identification number, tin, \
itin, nin, state id, visa, passport scans, identification documents
contact: contacts, contact data, contact details, name, names, address, addresses, email, emails, e-mail, email \
address, email addresses, phone, phone number, phone numbers, telephone, postal address, name and address, telephone \
numbers, fax numbers, names and addresses, geographic data
employee: employees, employee data, hr, hr data, human resources, personnel, staff, staff data, personnel file, \
applicants, workforce
location: location data, geolocation, gps, precise geolocation, movement data
minors: children, child, children's data, minor, students under 18, kids
communications: communications, cpni, customer proprietary network information, call records, traffic data, \
messages, chat, correspondence, mailbox, mailboxes, inbox, metadata, chat logs, emails content
criminal_record: criminal record, criminal records, criminal convictions, criminal convictions and offences, \
offences, criminal history
education: education records, student data, student, students, student records, ferpa, grades
online_identifier: ip address, ip addresses, cookie, cookies, device id, online identifiers, browsing history, logs, \
log data, usage data, device identifiers, web urls, ip, online identifier, mac address
intellectual_property: ip rights, intellectual property, copyrighted, patents, designs, blueprints, proprietary
trade_secret: trade secrets, secrets, secret, business secrets, confidential business information, cbi, trade
source_code: source code, code, source
business: business, business data, corporate, corporate data, contracts, commercial, company data, strategy, \
pricing, legal documents
classified: classified, classified information, classified government information, state secrets
digital_certificate: digital certificate, digital certificates, certificate, certificates, private keys, \
cryptographic keys
system: system, system data, system information, system configuration, configuration, configurations, infrastructure
operational: operational, operational data, ot, ot data, scada, industrial, production, telemetry, sensor data, \
machine data
virtual_currency: virtual currency, cryptocurrency, crypto, bitcoin
public: public, public data, published
anonymised: anonymised, anonymized, anonymised data, anonymized data, anonymous, aggregated
none: none, no data, nothing, no personal data, non-personal, non personal, nonpersonal
"""

# Words that may mean several kinds: VERIS's varieties among them.
_WIDE: Final = {
    "Payment": ("payment_card", "financial"),
    "Payment data": ("payment_card", "financial"),
    "Payment information": ("payment_card", "financial"),
    "Payments": ("payment_card", "financial"),
    "Billing": ("payment_card", "financial", "contact"),
    "Billing information": ("payment_card", "financial", "contact"),
    # "Special category" alone does not say which of them is meant.
    "Special category": ("special_category", "health", "biometric", "genetic"),
    "Special categories": ("special_category", "health", "biometric", "genetic"),
    "Special categories of personal data": ("special_category", "health", "biometric", "genetic"),
    "Special category data": ("special_category", "health", "biometric", "genetic"),
    "Sensitive personal": ("special_category", "health", "biometric", "genetic", "government_id", "financial"),
    "Sensitive personal data": ("special_category", "health", "biometric", "genetic", "government_id", "financial"),
    "Sensitive personal information": (
        "special_category",
        "health",
        "biometric",
        "genetic",
        "government_id",
        "financial",
    ),
    "SPI": ("special_category", "health", "biometric", "genetic", "government_id", "financial"),
    "SPII": ("special_category", "health", "biometric", "genetic", "government_id", "financial"),
    "Sensitive PII": ("special_category", "health", "biometric", "genetic", "government_id", "financial"),
    "Sensitive": ("special_category", "health", "biometric", "genetic", "government_id", "financial", "trade_secret"),
    "Sensitive data": (
        "special_category",
        "health",
        "biometric",
        "genetic",
        "government_id",
        "financial",
        "trade_secret",
    ),
    "Confidential": ("personal", "trade_secret", "business"),
    "Confidential data": ("personal", "trade_secret", "business"),
    "Internal": ("personal", "business"),
    "Internal data": ("personal", "business"),
    "Sensitive internal": ("personal", "business"),
    "Documents": ("personal", "business"),
    "Files": ("personal", "business"),
    "IP": ("online_identifier", "intellectual_property"),
    "Backups": ("personal", "business"),
    "Financial statements": ("financial", "business"),
    "Database": ("personal", "business"),
    "Account": ("credentials", "financial"),
    "Accounts": ("credentials", "financial"),
    "Account information": ("credentials", "financial"),
    "Research": ("trade_secret", "health", "personal"),
    "Research data": ("trade_secret", "health", "personal"),
    # "Pseudonymised" data is personal data (GDPR recital 26).
    "Pseudonymised": ("personal",),
    "Pseudonymized": ("personal",),
}


def _words() -> dict[str, tuple[str, ...]]:
    words: dict[str, tuple[str, ...]] = {}
    for line in _CATEGORIES.splitlines():
        head, _, spellings = line.partition(": ")
        for spelling in (head, *spellings.split(", ")):
            words[spelling.strip()] = (head,)
    return words | _WIDE


def within(word: str) -> frozenset[str]:
    found: set[str] = set()
    at: str | None = word
    while at is not None and at not in found:
        found.add(at)
        at = PARENTS.get(at)
    return frozenset(found)


CATEGORIES: Final = Vocabulary(
    "data category", _words(), within=within, generic=("data", "information", "info", "records", "record", "details")
)
