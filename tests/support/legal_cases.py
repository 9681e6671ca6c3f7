"""Writes tests/unit/workflows/core/clocks/golden.json: worked cases of legal clocks, by other means than ERIP's.

    .venv/bin/python -m tests.support.legal_cases > tests/unit/workflows/core/clocks/golden.json

Nothing of `workflows` is imported. Wall times become moments by GNU date (the C library's time zones), business days
are numpy's with holidays that were copied by hand, months are dateutil's, and stops are counted minute by minute or day
by day. `BY_HAND` was worked out on paper. A case is: clock, zone, place, start, then what must come out.
"""

import json
import subprocess
from datetime import date, datetime, timedelta
from typing import Any, Final

import numpy
from dateutil.relativedelta import relativedelta

from tests.support.legal_holidays import HOLIDAYS, SOURCES, ZONES

EU: Final = "Regulation (EEC, Euratom) 1182/71 Art. 3, https://eur-lex.europa.eu/eli/reg/1971/1182/oj"
HOURS: Final = "GDPR Art. 33(1), https://eur-lex.europa.eu/eli/reg/2016/679/oj; hours are elapsed time, " + EU
MEMBERS: Final = ("DE", "DE-BE", "DE-BY", "FR", "IT", "ES", "NL", "PL", "AT", "BE", "PT", "SE", "IE")
Case = dict[str, Any]


def moments(wanted: list[tuple[str, str]]) -> list[str]:
    """(zone, wall time or @seconds) as ISO 8601 with the offset there, by GNU date."""
    found: list[str] = []
    for zone, text in wanted:
        out = subprocess.run(
            ["date", "--iso-8601=seconds", "-d", text], env={"TZ": zone}, capture_output=True, text=True, check=True
        )
        found.append(out.stdout.strip())
    return found


def moment(zone: str, text: str) -> str:
    return moments([(zone, text)])[0]


def seconds(iso: str) -> int:
    out = subprocess.run(["date", "-d", iso, "+%s"], capture_output=True, text=True, check=True)
    return int(out.stdout)


def closed_days(calendar: str, year: int = 2026) -> list[str]:
    return [f"{year}-{day}" for day in HOLIDAYS[calendar].split()]


def day_end(zone: str, day: Any) -> str:
    return moment(zone, f"{day} 23:59:59")


def business(cases: list[Case]) -> None:
    """On the evening before each holiday, over it; and from the holiday itself."""
    for calendar in HOLIDAYS:
        zone, off = ZONES[calendar], closed_days(calendar)
        weekdays = [one for one in off if date.fromisoformat(one).weekday() < 5 and one > "2026-01-02"]
        for n, holiday in enumerate(weekdays[:9]):
            for before, amount in ((1, 1 + n % 5), (0, 2 + n % 3)):
                day = date.fromisoformat(holiday) - timedelta(days=before)
                last = numpy.busday_offset(day, amount, roll="backward", holidays=off)
                if str(last) > "2026-12-31" or (before == 0 and n % 2):
                    continue
                name = "us_federal" if calendar == "US" else calendar
                cases.append(
                    {
                        "id": f"{calendar}-business-{day}-{amount}",
                        "clock": {"amount": amount, "unit": "business_days", "calendar": name},
                        "zone": zone,
                        "start": moment(zone, f"{day} 18:30:00"),
                        "due": day_end(zone, last),
                        "source": SOURCES[calendar],
                    }
                )


def european(cases: list[Case]) -> None:
    """Periods in days and months: they end strictly on their date, arguably on the next working day."""
    periods: list[tuple[str, int]] = [("days", 2), ("days", 14), ("days", 15), ("days", 30), ("months", 1)]
    for calendar in MEMBERS:
        zone, off = ZONES[calendar], closed_days(calendar)
        starts = ["2026-04-01", "2026-04-30", "2026-02-28", "2026-08-31", "2026-05-01"]
        for n, (start, (unit, amount)) in enumerate(zip(starts * 2, periods * 2, strict=True)):
            first = date.fromisoformat(start) + timedelta(days=(n // 5) * 11)
            end = first + (relativedelta(months=amount) if unit == "months" else timedelta(days=amount))
            working = numpy.busday_offset(end, 0, roll="forward", holidays=off).astype(object)
            while unit == "days" and numpy.busday_count(first + timedelta(1), working + timedelta(1), holidays=off) < 2:
                working = numpy.busday_offset(working, 1, roll="forward", holidays=off).astype(object)
            cases.append(
                {
                    "id": f"{calendar}-{unit}-{first}-{amount}",
                    "clock": {"amount": amount, "unit": unit, "ends": [{"rule": "eu"}]},
                    "zone": zone,
                    "place": calendar,
                    "start": moment(zone, f"{first} 22:15:00"),
                    "due": day_end(zone, end),
                    "arguable": day_end(zone, working),
                    "source": f"{EU} (2) to (5); {SOURCES[calendar]}",
                }
            )


#: before both changes of the clocks of 2026 (Brazil and Singapore have none), over the leap day and the end of the year
CHANGES: Final = {
    "Europe/Berlin": ("2026-03-28 14:20", "2026-10-24 16:45"),
    "Europe/London": ("2026-03-28 23:10", "2026-10-24 12:00"),
    "America/New_York": ("2026-03-07 09:30", "2026-10-31 18:40"),
    "America/Los_Angeles": ("2026-03-06 17:00", "2026-10-30 17:00"),
    "America/St_Johns": ("2026-03-07 20:00", "2026-10-31 20:00"),
    "America/Santiago": ("2026-04-03 20:00", "2026-09-04 20:00"),
    "Australia/Sydney": ("2026-04-03 17:30", "2026-10-02 17:30"),
    "Australia/Lord_Howe": ("2026-04-04 11:00", "2026-10-03 11:00"),
    "Pacific/Auckland": ("2026-04-04 08:00", "2026-09-25 19:00"),
    "America/Sao_Paulo": ("2026-02-13 21:00", "2026-10-16 21:00"),
    "Asia/Singapore": ("2026-02-28 23:59", "2026-12-31 23:59"),
    "Asia/Kolkata": ("2028-02-27 23:10", "2027-12-31 18:00"),
}


def hours(cases: list[Case]) -> None:
    for zone, starts in CHANGES.items():
        for wall in (*starts, "2028-02-28 20:05", "2026-11-20 18:55"):
            start = moment(zone, wall)
            for amount in (6, 24, 36, 72):
                cases.append(
                    {
                        "id": f"{zone}-{wall}-{amount}h".replace(" ", "T"),
                        "clock": {"amount": amount, "unit": "hours"},
                        "zone": zone,
                        "start": start,
                        "due": moment(zone, f"@{seconds(start) + amount * 3600}"),
                        "source": HOURS,
                    }
                )
    for calendar in MEMBERS:
        zone = ZONES[calendar]
        for wall in ("2026-03-27 17:40:30", "2026-10-23 17:00:00", "2026-12-24 16:05:00"):
            start = moment(zone, wall)
            # The next full hour after the event's own: Art. 3(1).
            full = seconds(start) // 3600 * 3600 + 3600
            cases.append(
                {
                    "id": f"{calendar}-{wall}-72h-eu".replace(" ", "T"),
                    "clock": {"amount": 72, "unit": "hours", "ends": [{"rule": "eu"}]},
                    "zone": zone,
                    "place": calendar,
                    "start": start,
                    "due": moment(zone, f"@{seconds(start) + 72 * 3600}"),
                    "arguable": moment(zone, f"@{full + 72 * 3600}"),
                    "source": HOURS,
                }
            )


def dates(cases: list[Case]) -> None:
    """Calendar days and months over changes of the clocks, leap days and ends of months."""
    walls = ("2026-01-31 23:30", "2026-02-28 00:00", "2026-10-01 00:30", "2027-12-31 12:00", "2028-01-31 12:00")
    for zone in list(CHANGES)[:9]:
        for wall in walls:
            first = date.fromisoformat(wall[:10])
            for unit, amount in (("days", 30), ("days", 60), ("months", 1)):
                end = first + (relativedelta(months=amount) if unit == "months" else timedelta(days=amount))
                cases.append(
                    {
                        "id": f"{zone}-{wall}-{amount}{unit}".replace(" ", "T"),
                        "clock": {"amount": amount, "unit": unit},
                        "zone": zone,
                        "start": moment(zone, wall),
                        "due": day_end(zone, end),
                        "source": "45 CFR 164.404(b) and the like: calendar days, https://www.ecfr.gov"
                        if unit == "days"
                        else EU,
                    }
                )


STOPS: Final = (
    (("2026-11-21 10:00", "2026-11-21 14:30"), ("2026-11-22 08:00", "2026-11-23 08:00")),
    (("2026-11-20 08:00", "2026-11-20 20:00"), ("2026-11-20 19:00", "2026-11-21 01:00")),
    (("2026-11-24 00:00", "2026-11-27 00:00"), ("2026-11-30 12:00", "2026-12-02 12:00")),
    (("2026-11-19 00:00", "2026-11-20 19:00"), ("2026-12-29 00:00", "2027-01-02 00:00")),
)


def stopped(cases: list[Case]) -> None:
    """Stopped twice, counted minute by minute and day by day."""
    for n, pair in enumerate(STOPS):
        for zone in ("Europe/Berlin", "America/New_York", "Australia/Sydney"):
            start = moment(zone, "2026-11-20 18:00")
            stops = [[moment(zone, one) for one in stop] for stop in pair]
            spans = [(seconds(a), seconds(b)) for a, b in stops]
            for amount in (24, 72):
                now, left = seconds(start), amount * 60
                while left:
                    left -= not any(a <= now < b for a, b in spans)
                    now += 60
                cases.append(
                    {
                        "id": f"stopped-{n}-{zone}-{amount}h",
                        "clock": {"amount": amount, "unit": "hours"},
                        "zone": zone,
                        "start": start,
                        "stops": stops,
                        "due": moment(zone, f"@{now}"),
                        "source": "worked minute by minute: no minute that is stopped is counted",
                    }
                )
            for amount in (3, 10, 30):
                ends: list[str] = []
                for in_part in (False, True):
                    day, left = date(2026, 11, 20), amount
                    while left:
                        day += timedelta(days=1)
                        # Midnights and noons only: a day without a change of the clocks has 24 hours.
                        begin = seconds(moment(zone, f"{day} 00:00"))
                        over = sum(max(0, min(b, begin + 86400) - max(a, begin)) for a, b in spans)
                        left -= not (over > 0 if in_part else over >= 86400)
                    ends.append(day_end(zone, day))
                cases.append(
                    {
                        "id": f"stopped-{n}-{zone}-{amount}d",
                        "clock": {"amount": amount, "unit": "days"},
                        "zone": zone,
                        "start": start,
                        "stops": stops,
                        "due": ends[0],
                        "arguable": ends[1],
                        "source": "45 CFR 164.412 (delay for law enforcement), https://www.ecfr.gov; worked day by day",
                    }
                )


def hand(id_: str, zone: str, start: str, due: str, source: str, clock: Case, **more: Any) -> Case:
    return {"id": id_, "clock": clock, "zone": zone, "start": start, "due": due, "source": source, **more}


NY, LA, BERLIN = "America/New_York", "America/Los_Angeles", "Europe/Berlin"
SEC: Final = {
    "amount": 4, "unit": "business_days", "calendar": "us_federal", "timezone": NY, "cutoff": "17:30",
}  # fmt: skip
FORM_8K: Final = "Form 8-K, item 1.05 and General Instruction B.1, https://www.sec.gov/files/form8-k.pdf"
YEARLY: Final = {"amount": 60, "unit": "days_after_year_end"}
YEARLY_AT: Final = "45 CFR 164.408(c), https://www.ecfr.gov/current/title-45/section-164.408"
CALIFORNIA: Final = {
    "amount": 15, "unit": "days",
    "ends": [{"rule": "working_day", "calendar": "US-CA", "article": "Cal. Code Civ. Proc. § 12a"}],
}  # fmt: skip
NOON: Final = {
    "amount": 1, "unit": "months",
    "ends": [{"rule": "working_day", "cutoff": "12:00", "strict": True, "article": "(EU) 2025/301 Art. 5(4)"}],
}  # fmt: skip
DORA: Final = "Delegated Regulation (EU) 2025/301 Art. 5(4), https://eur-lex.europa.eu/eli/reg_del/2025/301/oj"
FIRST: Final = {"amount": 3, "unit": "business_days", "calendar": "BR", "first_day": True}
ANPD: Final = "Resolução CD/ANPD 15/2024, https://www.gov.br/anpd; first day counted, the strict reading"

BY_HAND: Final[list[Case]] = [
    # Mon 23, Tue 24, Wed 25 November are business days, Thursday 26 is Thanksgiving, Friday 27 is one.
    hand("sec-thanksgiving", NY, "2026-11-20T18:10:00-05:00", "2026-11-27T17:30:00-05:00", FORM_8K, SEC),
    # Wed 17, Thu 18, (Fri 19 Juneteenth), Mon 22, Tue 23 June.
    hand("sec-juneteenth-week", NY, "2026-06-16T09:00:00-04:00", "2026-06-23T17:30:00-04:00", FORM_8K, SEC),
    # Saturday: Mon 9, Tue 10, (Wed 11 Veterans Day), Thu 12, Fri 13 November.
    hand("sec-from-a-saturday", NY, "2026-11-07T12:00:00-05:00", "2026-11-13T17:30:00-05:00", FORM_8K, SEC),
    # 02:00 UTC of 4 June is 3 June in New York: Thu 4, Fri 5, Mon 8, Tue 9.
    hand("sec-utc-is-tomorrow", NY, "2026-06-04T02:00:00+00:00", "2026-06-09T17:30:00-04:00", FORM_8K, SEC),
    # Determined on the day before Independence Day, which is observed on Friday 3 July 2026: Mon 6 to Thu 9.
    hand("sec-independence-day", NY, "2026-07-02T16:00:00-04:00", "2026-07-09T17:30:00-04:00", FORM_8K, SEC),
    # 2025: Mon 6, Tue 7, Wed 8, Thu 9 January; the 9th was closed by order, so arguably Friday 10.
    hand("sec-day-of-mourning", NY, "2025-01-03T10:00:00-05:00", "2025-01-10T17:30:00-05:00", FORM_8K,
         {**SEC, "calendar": "us_federal_closures"}),
    # 60 days from 1 January: 31 + 28 = 59 days to 28 February, so 1 March; in a leap year 29 February.
    hand("hhs-2025", NY, "2025-12-31T23:30:00-05:00", "2026-03-01T23:59:59-05:00", YEARLY_AT, YEARLY),
    hand("hhs-2026", NY, "2026-01-01T00:30:00-05:00", "2027-03-01T23:59:59-05:00", YEARLY_AT, YEARLY),
    hand("hhs-2027-leap", NY, "2027-06-01T09:00:00-04:00", "2028-02-29T23:59:59-05:00", YEARLY_AT, YEARLY),
    # The year's last minutes in Los Angeles are next year in New York.
    hand("hhs-new-year-in-la", LA, "2026-12-31T22:30:00-08:00", "2027-03-01T23:59:59-08:00", YEARLY_AT, YEARLY),
    # 20 March + 15 days is Saturday 4 April; Sunday is closed, Monday 6 April is open in California.
    hand("california-saturday", LA, "2026-03-20T10:00:00-07:00", "2026-04-04T23:59:59-07:00",
         "Cal. Civ. Code § 1798.82(f); Cal. Code Civ. Proc. § 12a, https://leginfo.legislature.ca.gov",
         CALIFORNIA, arguable="2026-04-06T23:59:59-07:00"),
    # 16 March + 15 days is Tuesday 31 March: César Chávez Day, a holiday of the state.
    hand("california-chavez-day", LA, "2026-03-16T10:00:00-07:00", "2026-03-31T23:59:59-07:00",
         "Cal. Gov. Code § 6700; Cal. Code Civ. Proc. § 12a, https://leginfo.legislature.ca.gov",
         CALIFORNIA, arguable="2026-04-01T23:59:59-07:00"),
    # A month after 25 April is Whit Monday, a holiday in Germany: noon of Tuesday.
    hand("dora-whit-monday", BERLIN, "2026-04-25T10:00:00+02:00", "2026-05-26T12:00:00+02:00", DORA, NOON, place="DE"),
    # The same date is a working day in Italy and in Poland.
    hand("dora-no-whit-monday", "Europe/Rome", "2026-04-25T10:00:00+02:00", "2026-05-25T23:59:59+02:00", DORA, NOON,
         place="IT"),
    # 30 January + a month is Saturday 28 February: noon of Monday 2 March.
    hand("dora-end-of-february", BERLIN, "2026-01-30T10:00:00+01:00", "2026-03-02T12:00:00+01:00", DORA, NOON,
         place="DE"),
    # Where the place is not known nothing is added for a holiday, only for the weekend.
    hand("dora-place-not-known", BERLIN, "2026-04-25T10:00:00+02:00", "2026-05-25T23:59:59+02:00", DORA, NOON),
    # Fri 17 (day one), Mon 20, (Tue 21 Tiradentes), Wed 22 April.
    hand("brazil-tiradentes", "America/Sao_Paulo", "2026-04-17T10:00:00-03:00", "2026-04-22T23:59:59-03:00", ANPD,
         FIRST),
    # Thu 19 (day one), (Fri 20 Black Awareness), Mon 23, Tue 24 November.
    hand("brazil-zumbi", "America/Sao_Paulo", "2026-11-19T23:00:00-03:00", "2026-11-24T23:59:59-03:00", ANPD, FIRST),
    # A Saturday is no business day: Mon 13 is not one either? 12 October 2026 is a Monday and a holiday: 13, 14, 15.
    hand("brazil-from-a-saturday", "America/Sao_Paulo", "2026-10-10T10:00:00-03:00", "2026-10-15T23:59:59-03:00",
         ANPD, FIRST),
    # Day one is 1 April: day thirty is 30 April.
    hand("japan-thirty-days", "Asia/Tokyo", "2026-04-01T10:00:00+09:00", "2026-04-30T23:59:59+09:00",
         "PPC guidelines on Art. 26 APPI, https://www.ppc.go.jp", {"amount": 30, "unit": "days", "first_day": True}),
    # Friday 1 May 2026, 16:30: the 2nd and 3rd are a weekend; two working days are Mon 4 and Tue 5 May.
    hand("two-working-days", BERLIN, "2026-05-01T16:30:00+02:00", "2026-05-03T23:59:59+02:00", EU + "(5)",
         {"amount": 2, "unit": "days", "ends": [{"rule": "eu"}]}, place="DE", arguable="2026-05-05T23:59:59+02:00"),
    # Christmas: 25 and 26 are holidays, the 27th is a Sunday; two working days are Mon 28 and Tue 29.
    hand("two-working-days-at-christmas", BERLIN, "2026-12-24T16:00:00+01:00", "2026-12-26T23:59:59+01:00", EU + "(5)",
         {"amount": 2, "unit": "days", "ends": [{"rule": "eu"}]}, place="DE", arguable="2026-12-29T23:59:59+01:00"),
    # 29 February has no like in March's shorter neighbours: a month later is 29 March; twelve are 28 February.
    hand("leap-day-month", BERLIN, "2028-02-29T09:00:00+01:00", "2028-03-29T23:59:59+02:00", EU + "(2)(c)",
         {"amount": 1, "unit": "months"}),
    hand("leap-day-year", BERLIN, "2028-02-29T09:00:00+01:00", "2029-02-28T23:59:59+01:00", EU + "(2)(c)",
         {"amount": 12, "unit": "months"}),
    # The authority granted more time: it counts if it is later, and not if it is earlier.
    hand("extended", BERLIN, "2026-11-20T16:30:00+01:00", "2026-11-27T12:00:00+01:00", "an extension that was granted",
         {"amount": 72, "unit": "hours"}, extended="2026-11-27T12:00:00+01:00"),
    hand("extended-to-earlier", BERLIN, "2026-11-20T16:30:00+01:00", "2026-11-23T16:30:00+01:00",
         "an extension never shortens", {"amount": 72, "unit": "hours"}, extended="2026-11-21T12:00:00+01:00"),
    # Amended: awareness turned out to be a day earlier, so is the deadline; the clock is reckoned anew.
    hand("amended-earlier", BERLIN, "2026-11-19T16:30:00+01:00", "2026-11-22T16:30:00+01:00", HOURS,
         {"amount": 72, "unit": "hours"}, amended_from="2026-11-20T16:30:00+01:00",
         due_before="2026-11-23T16:30:00+01:00"),
    hand("amended-later", BERLIN, "2026-11-20T18:30:00+01:00", "2026-11-23T18:30:00+01:00", HOURS,
         {"amount": 72, "unit": "hours"}, amended_from="2026-11-20T16:30:00+01:00",
         due_before="2026-11-23T16:30:00+01:00"),
    # A stop that lasts adds nothing: what comes after it is not known.
    hand("stop-that-lasts", BERLIN, "2026-11-20T16:30:00+01:00", "2026-11-23T16:30:00+01:00", HOURS,
         {"amount": 72, "unit": "hours"}, stops=[["2026-11-21T10:00:00+01:00", None]]),
]  # fmt: skip


AWARE: Final = (
    "EDPB Guidelines 9/2022, paragraph 31: a controller is aware with a reasonable degree of certainty, and that may "
    "turn out to have been at another time, https://www.edpb.europa.eu; " + HOURS
)
FOUND_OUT: Final = (
    "45 CFR 164.404(a)(2): discovered when known or, by exercising reasonable diligence, would have been known, "
    "https://www.ecfr.gov/current/title-45/section-164.404"
)
#: the moment that was taken first, and the one that turned out to be right: over changes of the clocks, the leap day,
#: ends of months and years, holidays, and evenings that are the next day elsewhere
AMENDED: Final = (
    ("2026-03-29 12:00", "2026-03-27 17:40"),
    ("2026-03-27 17:40", "2026-03-29 12:00"),
    ("2026-10-26 09:00", "2026-10-23 16:30"),
    ("2026-10-23 16:30", "2026-10-26 09:00"),
    ("2028-03-01 08:00", "2028-02-28 23:30"),
    ("2026-05-04 09:00", "2026-04-30 22:15"),
    ("2026-12-28 10:00", "2026-12-23 18:55"),
    ("2026-11-25 10:00", "2026-11-20 18:55"),
)


def amended(cases: list[Case]) -> None:
    """What it counts from turns out to have been earlier or later, once without and once with a stop."""
    for zone in ("Europe/Berlin", "Europe/London", "America/New_York", "Australia/Sydney"):
        for n, (first, right) in enumerate(AMENDED):
            starts = [moment(zone, first), moment(zone, right)]
            for unit, amount in (("hours", 72), ("days", 30), ("months", 1)):
                ends = []
                for start in starts:
                    day = date.fromisoformat(start[:10])
                    end = day + (relativedelta(months=amount) if unit == "months" else timedelta(days=amount))
                    hour = f"@{seconds(start) + amount * 3600}"
                    ends.append(moment(zone, hour) if unit == "hours" else day_end(zone, end))
                cases.append(
                    {
                        "id": f"amended-{n}-{zone}-{amount}{unit}",
                        "clock": {"amount": amount, "unit": unit},
                        "zone": zone,
                        "amended_from": starts[0],
                        "due_before": ends[0],
                        "start": starts[1],
                        "due": ends[1],
                        "source": {"hours": AWARE, "days": FOUND_OUT, "months": f"{AWARE}; {EU}"}[unit],
                    }
                )
    off = closed_days("US")
    for n, (first, right) in enumerate((("2026-05-26", "2026-05-22"), ("2026-07-01", "2026-07-02"),
                                        ("2026-11-27", "2026-11-24"), ("2026-12-23", "2026-12-24"))):  # fmt: skip
        ends = [str(numpy.busday_offset(day, 4, roll="backward", holidays=off)) for day in (first, right)]
        cases.append(
            {
                "id": f"amended-sec-{n}",
                "clock": SEC,
                "zone": NY,
                "amended_from": moment(NY, f"{first} 10:00"),
                "due_before": moment(NY, f"{ends[0]} 17:30"),
                "start": moment(NY, f"{right} 10:00"),
                "due": moment(NY, f"{ends[1]} 17:30"),
                "source": f"{FORM_8K}; instruction 1 to item 1.05: determined without unreasonable delay",
            }
        )
    for n, pair in enumerate(STOPS):
        stops = [[moment(BERLIN, one) for one in stop] for stop in pair]
        spans = [(seconds(a), seconds(b)) for a, b in stops]
        starts = [moment(BERLIN, "2026-11-20 18:00"), moment(BERLIN, "2026-11-19 20:30")]
        ends = []
        for start in starts:
            now, left = seconds(start), 72 * 60
            while left:
                left -= not any(a <= now < b for a, b in spans)
                now += 60
            ends.append(moment(BERLIN, f"@{now}"))
        cases.append(
            {
                "id": f"amended-stopped-{n}",
                "clock": {"amount": 72, "unit": "hours"},
                "zone": BERLIN,
                "amended_from": starts[0],
                "due_before": ends[0],
                "start": starts[1],
                "stops": stops,
                "due": ends[1],
                "source": f"{AWARE}; worked minute by minute: no minute that is stopped is counted",
            }
        )


def extended(cases: list[Case]) -> None:
    """More time was granted: 30 days after the date that was required, twice; and less than what can be argued."""
    off = closed_days("US")
    item = "Form 8-K, item 1.05(c): up to 30 days after the date otherwise required, and up to 30 more"
    for start in ("2026-06-16", "2026-07-02", "2026-09-03", "2026-10-08", "2026-11-06"):
        last = numpy.busday_offset(start, 4, roll="backward", holidays=off).astype(object)
        for days in (30, 60):
            until = moment(NY, f"{last + timedelta(days=days)} 17:30")
            cases.append(
                {
                    "id": f"extended-sec-{start}-{days}",
                    "clock": SEC,
                    "zone": NY,
                    "start": moment(NY, f"{start} 10:00"),
                    "due_before": moment(NY, f"{last} 17:30"),
                    "extended": until,
                    "due": until,
                    "source": f"{item}; {FORM_8K}",
                }
            )
    for n, (until, due, arguable) in enumerate(
        (
            # Two days end on Sunday 3 May, and arguably with two working days on Tuesday 5 May.
            ("2026-05-04 12:00:00", "2026-05-04 12:00:00", "2026-05-05 23:59:59"),
            ("2026-05-06 12:00:00", "2026-05-06 12:00:00", "2026-05-06 12:00:00"),
            ("2026-05-02 12:00:00", "2026-05-03 23:59:59", "2026-05-05 23:59:59"),
        )
    ):
        cases.append(
            {
                "id": f"extended-two-working-days-{n}",
                "clock": {"amount": 2, "unit": "days", "ends": [{"rule": "eu"}]},
                "zone": BERLIN,
                "place": "DE",
                "start": moment(BERLIN, "2026-05-01 16:30"),
                "due_before": moment(BERLIN, "2026-05-03 23:59:59"),
                "extended": moment(BERLIN, until),
                "due": moment(BERLIN, due),
                "arguable": moment(BERLIN, arguable),
                "source": f"{EU}(5); more time that an authority grants shortens neither reading",
            }
        )


def main() -> None:
    cases = [dict(one) for one in BY_HAND]
    for more in (business, european, hours, dates, stopped, amended, extended):
        more(cases)
    seen: set[str] = set()
    lines = []
    for case in cases:
        if case["id"] in seen:
            # Two holidays in a row: the eve of one is the other.
            continue
        seen.add(case["id"])
        datetime.fromisoformat(case["due"])
        case.setdefault("arguable", case["due"])
        lines.append(json.dumps(case, ensure_ascii=False, sort_keys=True))
    print("[\n" + ",\n".join(lines) + "\n]")


if __name__ == "__main__":
    main()
