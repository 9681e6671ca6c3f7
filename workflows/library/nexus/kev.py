"""Reading CISA's Known Exploited Vulnerabilities catalogue (JSON), with every fault of the file named.

Format: https://www.cisa.gov/sites/default/files/feeds/known_exploited_vulnerabilities_schema.json
"""

import codecs
import re
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from erip.foundation import json_values

MAX_BYTES = 64 * 1024 * 1024
_CVE = re.compile(r"CVE-[0-9]{4}-[0-9]{4,19}")
_TEXTS = (
    "cveID",
    "vendorProject",
    "product",
    "vulnerabilityName",
    "dateAdded",
    "shortDescription",
    "requiredAction",
    "dueDate",
)
# As wide as the columns: a longer text is a fault of the file, not a database error half way.
WIDTHS = {"cveID": 30, "vendorProject": 200, "product": 400, "vulnerabilityName": 500}


class CatalogueInvalid(ValueError):
    """The file is not a catalogue; `faults` holds every fault with its path."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__(f"{len(faults)} fault(s): " + "; ".join(faults[:5]))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Entry:
    cve_id: str
    vendor: str
    product: str
    name: str
    date_added: date
    due_date: date
    description: str
    required_action: str
    ransomware: bool
    notes: str
    cwes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Catalogue:
    title: str
    version: str
    released_at: datetime
    entries: tuple[Entry, ...]


def parse_catalogue(content: bytes) -> Catalogue:
    """The catalogue in `content`. Raises CatalogueInvalid with every fault at once."""
    if len(content) > MAX_BYTES:
        raise CatalogueInvalid([f"$: {len(content)} bytes; a catalogue has at most {MAX_BYTES}"])
    try:
        document = json_values.read(content.removeprefix(codecs.BOM_UTF8))
    except json_values.NotJson as error:
        raise CatalogueInvalid([f"$: not JSON in UTF-8: {error}"]) from None
    except json_values.NotAValue as error:
        raise CatalogueInvalid([str(fault) for fault in error.faults]) from None
    if not isinstance(document, dict):
        raise CatalogueInvalid(["$: must be an object"])
    faults: list[str] = []
    title = _text(document, "title", "title", faults)
    version = _text(document, "catalogVersion", "catalogVersion", faults)
    if len(version) > 40:
        faults.append("catalogVersion: longer than 40 characters")
    released = _moment(document, faults)
    rows = document.get("vulnerabilities")
    entries: list[Entry] = []
    if not isinstance(rows, list):
        faults.append("vulnerabilities: must be a list")
    else:
        seen: dict[str, int] = {}
        for index, row in enumerate(rows):
            entry = _entry(index, row, seen, faults)
            if entry is not None:
                entries.append(entry)
        count = document.get("count")
        if not isinstance(count, int) or isinstance(count, bool):
            faults.append("count: must be a whole number")
        elif count != len(rows):
            faults.append(f"count: says {count}, but the file holds {len(rows)} vulnerabilities (cut short?)")
    if faults or released is None:
        raise CatalogueInvalid(faults)
    return Catalogue(title, version, released, tuple(entries))


def _entry(index: int, row: Any, seen: dict[str, int], faults: list[str]) -> Entry | None:
    at = f"vulnerabilities[{index}]"
    if not isinstance(row, dict):
        faults.append(f"{at}: must be an object")
        return None
    before = len(faults)
    text = {name: _text(row, name, f"{at}.{name}", faults) for name in _TEXTS}
    for name, width in WIDTHS.items():
        if len(text[name]) > width:
            faults.append(f"{at}.{name}: longer than {width} characters")
    cve = text["cveID"]
    if cve and not _CVE.fullmatch(cve):
        faults.append(f"{at}.cveID: {cve[:40]!r} is not a CVE id")
    elif cve in seen:
        faults.append(f"{at}.cveID: {cve} was already at vulnerabilities[{seen[cve]}]")
    elif cve:
        seen[cve] = index
    added = _date(text["dateAdded"], f"{at}.dateAdded", faults)
    due = _date(text["dueDate"], f"{at}.dueDate", faults)
    use = row.get("knownRansomwareCampaignUse", "Unknown")
    if use not in ("Known", "Unknown"):
        faults.append(f"{at}.knownRansomwareCampaignUse: must be Known or Unknown")
    notes = row.get("notes", "")
    if not isinstance(notes, str):
        faults.append(f"{at}.notes: must be a text")
    cwes = row.get("cwes", [])
    if not isinstance(cwes, list) or not all(isinstance(cwe, str) and len(cwe) <= 30 for cwe in cwes):
        faults.append(f"{at}.cwes: must be a list of CWE ids")
    if len(faults) > before or added is None or due is None:
        return None
    return Entry(
        cve_id=cve,
        vendor=text["vendorProject"],
        product=text["product"],
        name=text["vulnerabilityName"],
        date_added=added,
        due_date=due,
        description=text["shortDescription"],
        required_action=text["requiredAction"],
        ransomware=use == "Known",
        notes=notes,
        cwes=tuple(cwes),
    )


def _text(holder: dict[str, Any], name: str, at: str, faults: list[str]) -> str:
    value = holder.get(name)
    if not isinstance(value, str) or not value.strip():
        faults.append(f"{at}: is missing" if name not in holder else f"{at}: must be a text that is not empty")
        return ""
    return value.strip()


def _date(value: str, at: str, faults: list[str]) -> date | None:
    if not value:
        return None
    try:
        if len(value) != 10:
            raise ValueError
        return date.fromisoformat(value)
    except ValueError:
        faults.append(f"{at}: {value[:40]!r} is not a date like 2025-08-25")
        return None


def _moment(document: dict[str, Any], faults: list[str]) -> datetime | None:
    value = _text(document, "dateReleased", "dateReleased", faults)
    if not value:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        # CISA writes four decimals of a second; Python 3.11 reads three or six.
        try:
            moment = datetime.fromisoformat(re.sub(r"\.\d+", "", value))
        except ValueError:
            faults.append(f"dateReleased: {value[:40]!r} is not a time like 2025-08-25T17:04:19Z")
            return None
    if moment.tzinfo is None:
        faults.append("dateReleased: has no time zone")
        return None
    return moment
