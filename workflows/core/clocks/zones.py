"""The time zones in which a place's law counts days, by the place's code.

A place with several zones has them all: a deadline is then the earliest of them. An unlisted place has no zone here,
and `Clock` takes a moment that is not later in any zone.
"""

from typing import Final

# Zones, then the places. Names of the IANA database.
_ZONES: Final = """\
Europe/Lisbon Atlantic/Azores: PT
Europe/Madrid Atlantic/Canary: ES
Europe/Dublin: IE
Europe/London: GB
Europe/Berlin: AT BE CZ DE DK FR HR HU IT LU MT NL PL SE SI SK LI NO CH
Europe/Helsinki: AX BG CY EE FI GR LT LV RO
Atlantic/Reykjavik: IS
Europe/Lisbon Europe/Berlin Europe/Helsinki: EU
America/Guadeloupe: GP MQ MF
America/Cayenne: GF
Indian/Reunion: RE
Indian/Mayotte: YT
America/New_York: US-CT US-DE US-DC US-GA US-ME US-MD US-MA US-NH US-NJ US-NY US-NC US-OH US-PA US-RI US-SC US-VT
America/New_York: US-VA US-WV
America/New_York America/Chicago: US-FL US-IN US-KY US-MI US-TN
America/Chicago: US-AL US-AR US-IL US-IA US-LA US-MN US-MS US-MO US-OK US-WI
America/Chicago America/Denver: US-KS US-NE US-ND US-SD US-TX
America/Denver: US-CO US-MT US-NM US-UT US-WY
America/Denver America/Phoenix: US-AZ
America/Denver America/Los_Angeles: US-ID US-OR US-NV
America/Los_Angeles: US-CA US-WA
America/Anchorage America/Adak: US-AK
Pacific/Honolulu: US-HI
America/New_York America/Chicago America/Denver America/Los_Angeles America/Anchorage Pacific/Honolulu: US
America/Puerto_Rico: PR VI
Pacific/Guam: GU MP
Pacific/Pago_Pago: AS
America/Sao_Paulo America/Noronha America/Manaus America/Rio_Branco: BR
Asia/Singapore: SG
Asia/Kolkata: IN
Australia/Sydney Australia/Brisbane Australia/Adelaide Australia/Darwin Australia/Perth: AU
Pacific/Auckland: NZ
Asia/Tokyo: JP
Asia/Seoul: KR
Asia/Shanghai: CN
Asia/Hong_Kong: HK
Africa/Johannesburg: ZA
Asia/Dubai: AE
America/St_Johns America/Halifax America/Toronto America/Winnipeg America/Edmonton America/Vancouver: CA
"""

ZONES: Final[dict[str, tuple[str, ...]]] = {
    place: tuple(zones.split())
    for zones, _, places in (line.partition(": ") for line in _ZONES.splitlines())
    for place in places.split()
}


def zones_of(place: str) -> tuple[str, ...]:
    """The place's zones. For an unlisted part of a country, those of the country; () if none is known."""
    return ZONES.get(place) or ZONES.get(place.split("-", 1)[0], ())
