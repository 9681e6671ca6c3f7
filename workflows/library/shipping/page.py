"""docs/reference/obligations.md: each duty that is shipped, with what it hangs on and how it was checked."""

from itertools import groupby
from typing import Any

from workflows.library.models import Obligation
from workflows.library.models.compass import CHECKED
from workflows.library.shipping import files

_HEAD = """\
# The duties that are shipped

This page lists every duty to report that ERIP ships, with its clock, its source and how it was checked. It is data, not
legal advice. What your organisation runs by is in the admin, under *Obligations*; [the risk library](library.md)
explains the fields, and [legal clocks](../explanation/legal-clocks.md) how a deadline comes about.

**Verified** means that the official wording was read, as of the day that is given. **Not verified**: the duty stands
here as others quote it, or was not checked at all. Read the law before you rely on it. The API, the admin, the report
and the demo show the same mark.

This page is made by `manage.py reference obligations`.
"""


def obligations_page() -> str:
    rows = [Obligation(**row) for row in files.fixture("obligations")]
    verified = sum(row.verified for row in rows)
    lines = [_HEAD, f"{len(rows)} duties, {verified} of them verified.", ""]
    for regime, found in groupby(sorted(rows, key=lambda row: (row.regime.lower(), row.code)), lambda row: row.regime):
        lines += [f"## {regime}", ""]
        for row in found:
            lines += [_entry(row), ""]
    return "\n".join(lines)


def _entry(row: Obligation) -> str:
    facts = [
        ("to", row.authority),
        ("due", row.wording),
        ("clocks", "; ".join(_clock(clock) for clock in row.clocks) or "none: no fixed time"),
        ("where", ", ".join(row.jurisdictions) or "everywhere"),
        ("sectors", ", ".join(row.sectors)),
        ("data", ", ".join(row.data_categories)),
        ("if", ", ".join(row.conditions)),
        ("severity", f"{row.min_severity} or more" if row.min_severity else ""),
        ("people", _people(row)),
        ("not needed", "where the data were encrypted" if row.encryption_exempts else ""),
        ("clock stops by", row.stops),
        ("in force", _in_force(row)),
        ("note", row.note),
        ("source", f"[{row.citation}]({row.source_url})"),
    ]
    mark = f"**Verified**, text as of {row.text_of}" if row.verified else f"**Not verified**: {CHECKED[row.checked]}"
    reviewed = f"reviewed on {row.reviewed_on}" if row.reviewed_on else "nobody has reviewed it yet"
    said = [f"- {name}: {' '.join(text.split())}" for name, text in facts if text]
    return "\n".join([f"### `{row.code}`", "", f"{row.title}. {mark}; {reviewed}.", "", *said])


def _clock(clock: dict[str, Any]) -> str:
    unit = clock["unit"].replace("_", " ")
    text = f"{clock['amount']} {unit} from `{clock['trigger']}`"
    if clock.get("calendar"):
        text += f" (calendar {clock['calendar']})"
    if clock.get("first_day"):
        text += ", that day included"
    if clock.get("backstop"):
        text += ", at the latest"
    if clock.get("reading") == "arguable":
        text += ", arguably"
    return text


def _people(row: Obligation) -> str:
    most = f" and at most {row.max_records}" if row.max_records is not None else ""
    if not row.min_records and not most:
        return ""
    return f"{row.min_records} or more{most}{' in one state' if row.per_state else ''}"


def _in_force(row: Obligation) -> str:
    if row.not_in_force:
        return f"**no**: {row.not_in_force}"
    return f"from {row.in_force_from}" if row.in_force_from else ""
