"""Public holidays of 2026, copied by hand from what each government published; not from the package that ERIP uses.

Only those that close a whole country (or the part that is named) are listed. Days at a weekend are left out where that
changes no count. `SOURCES` names where each list stands.
"""

from typing import Final

SOURCES: Final = {
    "US": "US Office of Personnel Management, federal holidays, https://www.opm.gov/policy-data-oversight/pay-leave/federal-holidays/",
    "DE": "Germany: holidays of all Länder and Unification Treaty Art. 2(2), https://www.gesetze-im-internet.de",
    "DE-BE": "Berlin: Gesetz über die Sonn- und Feiertage § 1, https://gesetze.berlin.de",
    "DE-BY": "Bavaria: Feiertagsgesetz Art. 1, https://www.gesetze-bayern.de",
    "FR": "France: Code du travail L3133-1, https://www.legifrance.gouv.fr",
    "IT": "Italy: Legge 260/1949, https://www.normattiva.it",
    "ES": "Spain: Estatuto de los Trabajadores Art. 37(2) and the yearly resolution in the BOE, https://www.boe.es",
    "NL": "Netherlands: Algemene termijnenwet Art. 3, https://wetten.overheid.nl/BWBR0002448",
    "PL": "Poland: Ustawa o dniach wolnych od pracy, https://isap.sejm.gov.pl",
    "AT": "Austria: Arbeitsruhegesetz § 7, https://www.ris.bka.gv.at",
    "BE": "Belgium: Royal Decree of 18 April 1974 Art. 1, https://www.ejustice.just.fgov.be",
    "PT": "Portugal: Código do Trabalho Art. 234, https://diariodarepublica.pt",
    "SE": "Sweden: Lag (1989:253) om allmänna helgdagar, https://www.riksdagen.se",
    "IE": "Ireland: Organisation of Working Time Act 1997, Second Schedule, https://www.irishstatutebook.ie",
    "GB-ENG": "England and Wales: https://www.gov.uk/bank-holidays",
    "BR": "Brazil: Leis 662/1949, 6.802/1980 and 14.759/2023, https://www.planalto.gov.br",
    "SG": "Singapore, Ministry of Manpower: https://www.mom.gov.sg/employment-practices/public-holidays",
    "JP": "Japan, Cabinet Office: https://www8.cao.go.jp/chosei/shukujitsu/gaiyou.html",
    "NZ": "New Zealand: Holidays Act 2003 s. 44, https://www.employment.govt.nz",
    "AU-NSW": "New South Wales: Public Holidays Act 2010, https://www.nsw.gov.au/about-nsw/public-holidays",
    "ZA": "South Africa: Public Holidays Act 36 of 1994, https://www.gov.za/about-sa/public-holidays",
    "CH": "Switzerland: the four days that are holidays in every canton, https://www.admin.ch",
}

#: as MM-DD of 2026
HOLIDAYS: Final = {
    "US": "01-01 01-19 02-16 05-25 06-19 07-03 09-07 10-12 11-11 11-26 12-25",
    "DE": "01-01 04-03 04-06 05-01 05-14 05-25 10-03 12-25 12-26",
    "DE-BE": "01-01 03-08 04-03 04-06 05-01 05-14 05-25 10-03 12-25 12-26",
    "DE-BY": "01-01 01-06 04-03 04-06 05-01 05-14 05-25 06-04 10-03 11-01 12-25 12-26",
    "FR": "01-01 04-06 05-01 05-08 05-14 05-25 07-14 08-15 11-01 11-11 12-25",
    "IT": "01-01 01-06 04-06 04-25 05-01 06-02 08-15 11-01 12-08 12-25 12-26",
    "ES": "01-01 01-06 04-03 05-01 08-15 10-12 11-01 12-06 12-08 12-25",
    "NL": "01-01 04-03 04-06 04-27 05-05 05-14 05-25 12-25 12-26",
    "PL": "01-01 01-06 04-06 05-01 05-03 06-04 08-15 11-01 11-11 12-24 12-25 12-26",
    "AT": "01-01 01-06 04-06 05-01 05-14 05-25 06-04 08-15 10-26 11-01 12-08 12-25 12-26",
    "BE": "01-01 04-06 05-01 05-14 05-25 07-21 08-15 11-01 11-11 12-25",
    "PT": "01-01 04-03 04-25 05-01 06-04 06-10 08-15 10-05 11-01 12-01 12-08 12-25",
    "SE": "01-01 01-06 04-03 04-06 05-01 05-14 06-06 06-20 10-31 12-25 12-26",
    "IE": "01-01 02-02 03-17 04-06 05-04 06-01 08-03 10-26 12-25",
    "GB-ENG": "01-01 04-03 04-06 05-04 05-25 08-31 12-25 12-28",
    "BR": "01-01 04-03 04-21 05-01 09-07 10-12 11-02 11-15 11-20 12-25",
    "SG": "01-01 02-17 02-18 03-21 04-03 05-01 05-27 06-01 08-10 11-09 12-25",
    "JP": "01-01 01-12 02-11 02-23 03-20 04-29 05-04 05-05 05-06 07-20 08-11 09-21 09-22 09-23 10-12 11-03 11-23",
    "NZ": "01-01 01-02 02-06 04-03 04-06 04-27 06-01 07-10 10-26 12-25 12-28",
    "AU-NSW": "01-01 01-26 04-03 04-06 06-08 10-05 12-25 12-28",
    "ZA": "01-01 04-03 04-06 04-27 05-01 06-16 08-10 09-24 12-16 12-25",
    "CH": "01-01 05-14 08-01 12-25",
}

ZONES: Final = {
    "US": "America/New_York", "DE": "Europe/Berlin", "DE-BE": "Europe/Berlin", "DE-BY": "Europe/Berlin",
    "FR": "Europe/Paris", "IT": "Europe/Rome", "ES": "Europe/Madrid", "NL": "Europe/Amsterdam",
    "PL": "Europe/Warsaw", "AT": "Europe/Vienna", "BE": "Europe/Brussels", "PT": "Europe/Lisbon",
    "SE": "Europe/Stockholm", "IE": "Europe/Dublin", "GB-ENG": "Europe/London", "BR": "America/Sao_Paulo",
    "SG": "Asia/Singapore", "JP": "Asia/Tokyo", "NZ": "Pacific/Auckland", "AU-NSW": "Australia/Sydney",
    "ZA": "Africa/Johannesburg", "CH": "Europe/Zurich",
}  # fmt: skip
