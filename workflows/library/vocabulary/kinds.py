"""Facts about an organisation, kinds of incident and ways of attack, with VERIS's actions and varieties."""

from typing import Final

from workflows.library.vocabulary.words import Vocabulary

_FACTS: Final = """\
listed_company: listed, listed company, publicly listed, publicly traded, public company, publicly traded company, \
sec registrant, sec reporting company, registrant, exchange act reporting company, issuer, stock listed, nyse, \
nasdaq
hipaa_covered: hipaa, hipaa covered, hipaa covered entity, covered entity, health plan, health care clearinghouse, \
covered health care provider
hipaa_business_associate: business associate, hipaa business associate
us_banking_organisation: us banking organisation, us banking organization, banking organisation, banking \
organization, national bank, state member bank, bank holding company, fdic insured, insured depository institution, \
us bank
bank_service_provider: bank service provider
ftc_financial_institution: ftc financial institution, glba, glba financial institution, non-bank financial \
institution, nonbank financial institution, ftc safeguards
nydfs_covered_entity: nydfs covered entity, dfs covered entity, nydfs, 23 nycrr 500 covered entity
trust_service_provider: trust service provider, qualified trust service provider, tsp, qtsp
dora_weekend_relief: dora weekend relief, dora relief
small_enterprise: small enterprise, small company, sme, micro enterprise
operator_of_essential_services: operator of essential services, oes, essential entity, important entity, critical \
entity, critical operator
"""

_INCIDENTS: Final = """\
ransomware: ransom ware, crypto locker, cryptolocker, encryption for extortion, double extortion, rar, extortion \
malware, encrypting malware
malware: virus, worm, trojan, spyware, keylogger, downloader, rootkit, backdoor, c2, command and control, botnet, \
adware, wiper, infostealer, info stealer, spyware keylogger, ram scraper, malicious code
data_theft: data theft, data breach, breach, exfiltration, data exfiltration, data leak, leak, data loss, theft of \
data, capture stored data, export data, personal data breach, unauthorised access, unauthorized access, data \
disclosure, extortion, misdelivery, publishing error, web application attack, basic web application attacks, system \
intrusion
account_takeover: account takeover, ato, business email compromise, bec, email compromise, email account compromise, \
compromised account, mailbox compromise, credential theft
outage: denial of service, dos, ddos, service disruption, disruption, unavailability, system failure, environmental, \
availability
supply_chain: supply chain, third party, third party breach, vendor breach, vendor, supplier, partner, supply chain \
attack
lost_device: lost device, stolen device, lost and stolen assets, lost laptop, stolen laptop, loss, theft, physical \
theft, lost media
insider: insider, insider threat, misuse, privilege misuse, privilege abuse, data mishandling, malicious insider, \
possession abuse
fraud: fraud, payment fraud, skimming, skimmer, payment card skimmers
"""

_VECTORS: Final = """\
phishing: phish, spear phishing, spearphishing, social, social engineering, pretexting, vishing, smishing, email, \
baiting, email link, email attachment, whaling
exploited_vulnerability: exploited vulnerability, exploit vuln, exploit vulnerability, vulnerability, vulnerability \
exploit, exploit, exploit public facing application, sqli, sql injection, web application, rce, remote code \
execution, zero day, 0day, path traversal, unpatched system
stolen_credentials: stolen credentials, use of stolen creds, use of stolen credentials, compromised credentials, \
brute force, credential stuffing, password spraying, valid accounts, vpn, desktop sharing, rdp, credentials, remote \
desktop
human_error: human error, error, mistake, misconfiguration, misdelivery, misaddressed email, publishing error, \
disposal error, programming error, accident, accidental, wrong recipient
physical: physical, theft, stolen, lost, tampering, physical access, break in, burglary, removable media, usb
insider: insider, misuse, privilege abuse, malicious insider, data mishandling, former employee
supply_chain: supply chain, third party, partner, vendor, supplier, software update, supply chain compromise, \
trusted relationship
malware: malware, drive by, drive by compromise, direct install, downloader, download, malicious download
denial_of_service: denial of service, dos, ddos
environmental: environmental, fire, flood, power failure, hardware failure
"""


def _words(lines: str) -> dict[str, tuple[str, ...]]:
    words: dict[str, tuple[str, ...]] = {}
    for line in lines.splitlines():
        head, _, spellings = line.partition(": ")
        for spelling in (head, *spellings.split(", ")):
            words.setdefault(spelling.strip(), (head,))
    return words


def _alone(word: str) -> frozenset[str]:
    return frozenset({word})


FACTS: Final = Vocabulary("organisation fact", _words(_FACTS), within=_alone)
INCIDENTS: Final = Vocabulary(
    "incident type", _words(_INCIDENTS), within=_alone, generic=("attack", "incident", "event", "infection")
)
VECTORS: Final = Vocabulary("attack vector", _words(_VECTORS), within=_alone, generic=("attack", "vector"))
