"""Drafts of notifications: what the law asks for, with what is known of the case, and what people have to fill in.

Note [Drafts]
A draft is no notification: nothing is sent, and every field that is not answered by a fact of the case says TO BE
FILLED IN. A fact that is not known is never written as "none": that no data are concerned is said only where the case
says so. A fact that helps with a field and does not answer it is shown, and the field stays open (`people_say` in
`fixtures/notices.yaml`). A number of records is not a number of people, and does not stand for one. A list of what a
law asks for that nobody has read beside the law's text says so at its head.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from workflows.library.beacon.contract import Notice, NoticesInput, NoticesOutput
from workflows.library.beacon.render import escape_markdown
from workflows.library.compass.contract import ObligationDue
from workflows.library.shipping.files import fixture

OPEN: Final = "**TO BE FILLED IN**"
#: characters of a fact in a draft
_MOST: Final = 2_000
_DONE: Final = ("met", "late", "dismissed")


def drafts(data: NoticesInput) -> NoticesOutput:
    """One for each duty that applies, is not met, and whose fields are known."""
    facts = _facts(data)
    found: list[Notice] = []
    without: list[str] = []
    for one in data.compliance.obligations if data.compliance is not None else ():
        if one.status in _DONE:
            continue
        if one.applicability != "applies":
            continue
        template = _templates().get(one.code)
        if template is None:
            without.append(one.code)
        else:
            found.append(_draft(one, template, facts))
    to_check = [
        one.code
        for one in (data.compliance.obligations if data.compliance is not None else ())
        if one.applicability == "to_check" and one.status not in _DONE
    ]
    return NoticesOutput(
        notices=found,
        open_fields=sum(len(one.open) for one in found),
        without_template=without,
        to_check=to_check,
    )


@lru_cache(maxsize=1)
def _templates() -> Mapping[str, Mapping[str, Any]]:
    return {code: row for row in fixture("notices.yaml") for code in row["codes"]}


def _draft(duty: ObligationDue, template: Mapping[str, Any], facts: Mapping[str, str]) -> Notice:
    lines = [f"# Draft: {escape_markdown(duty.regime)}: {escape_markdown(duty.title)}", ""]
    lines += [
        f"To: {escape_markdown(duty.authority)}",
        f"Due: {duty.deadline.isoformat() if duty.deadline else 'no fixed time'}",
    ]
    lines += [f"Asked for by: {template['law']}"]
    if not template["verified"]:
        lines.append("What is asked for was **not verified** beside the text of the law: check it.")
    opened: list[str] = []
    for field in template["fields"]:
        known = [facts[name] for name in field.get("from", ()) if name in facts]
        lines += ["", f"## {field['asks']}", "", *known]
        if len(known) < len(field.get("from", ())) or not known:
            opened.append(field["asks"])
            lines += [OPEN]
    return Notice(
        code=duty.code,
        to=template["to"],
        authority=duty.authority,
        deadline=duty.deadline,
        law=template["law"],
        verified=template["verified"],
        text="\n".join(lines) + "\n",
        open=opened,
    )


def _facts(data: NoticesInput) -> dict[str, str]:
    """What is known, each as a sentence by its name; what is not known is not there."""
    found: dict[str, str] = {}

    def say(name: str, text: str) -> None:
        found[name] = text

    if data.summary.strip():
        say("summary", _summary(data.summary.strip()))
    if kinds := [one for one in (data.incident_type, data.attack_vector) if one]:
        say("kind", f"Kind of incident: {_listed(kinds)}.")
    if data.severity:
        say("severity", f"Severity, as the organisation rates it: {data.severity}.")
    if data.data_categories is not None:
        told = (
            f"Categories of data: {_listed(data.data_categories)}."
            if data.data_categories
            else "No data are concerned."
        )
        say("categories", told)
    if data.affected_records is not None:
        say("records", f"Records: about {data.affected_records:,}.")
    if data.residents:
        people = [f"{place} {count:,}" for place, count in data.residents.items()]
        say("people", f"People, by where they live: {_listed(people)}.")
    if data.jurisdictions:
        say("places", f"Places concerned: {_listed(data.jurisdictions)}.")
    if data.cves:
        say("cves", f"Vulnerabilities: {_listed(data.cves)}.")
    for name, at, word in (
        ("when", data.incident_at, "It happened"),
        ("detected", data.detected_at, "It was detected"),
        ("aware", data.aware_at, "It was reasonably certain"),
    ):
        if at is not None:
            say(name, f"{word} at {at.isoformat()}.")
    return found


def _summary(text: str) -> str:
    told = escape_markdown(text[:_MOST])
    return told + f"\n\nCut here: the summary has {len(text):,} characters." if len(text) > _MOST else told


def _listed(words: Sequence[str]) -> str:
    more = f" and {len(words) - 50} more" if len(words) > 50 else ""
    return ", ".join(escape_markdown(word) for word in words[:50]) + more
