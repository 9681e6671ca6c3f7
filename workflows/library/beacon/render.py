"""A report as HTML and as Markdown: Django templates, self-contained, without scripts and without anything to load."""

import base64
import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from django.template.loader import get_template

from workflows.library.beacon.contract import ReportInput
from workflows.library.beacon.facts import rows

_BLANK_LINES = re.compile(r"\n{3,}")
_MARKDOWN_SPECIAL = re.compile(r"([\\`*_\[\]<>#|~])")


@dataclass(frozen=True, slots=True)
class Origin:
    """Which run a report comes from."""

    run_id: str
    workflow: str
    business_key: str | None
    at: datetime


@lru_cache(maxsize=1)
def stylesheet() -> str:
    return str(get_template("library/report.css").render()).strip()


@lru_cache(maxsize=1)
def style_hash() -> str:
    """For Content-Security-Policy: this style sheet and no other."""
    return "sha256-" + base64.b64encode(hashlib.sha256(stylesheet().encode()).digest()).decode()


def title_of(report: ReportInput, origin: Origin) -> str:
    title = report.title or " ".join(part for part in (origin.workflow, origin.business_key) if part)
    return " ".join(title.split())[:300]


def pages(report: ReportInput, origin: Origin) -> tuple[str, str]:
    """The report as (HTML, Markdown)."""
    context = _context(report, origin)
    html = get_template("library/report.html").render(context)
    markdown = get_template("library/report.md").render(context)
    # Omitted blocks leave blank lines behind.
    return str(html), _BLANK_LINES.sub("\n\n", str(markdown)).strip() + "\n"


def _context(report: ReportInput, origin: Origin) -> dict[str, Any]:
    # Plain dicts: a template looks names up as keys first, and a model answers each time with an exception.
    context: dict[str, Any] = report.model_dump()
    context.update(
        title=title_of(report, origin),
        origin=origin,
        # Only duties say as of when they are: when the run began is not when the rest was known.
        as_of=report.compliance.as_of if report.compliance else None,
        stylesheet=stylesheet(),
        style_hash=style_hash(),
        subject_rows=rows(report.subject),
        section_rows=[(section, rows(section["facts"])) for section in context["sections"]],
        bars=_bars(report),
        late=_late(report),
        unsure=_unsure(report),
        sample_data=_sample_data(report),
    )
    return context


def escape_markdown(value: object) -> str:
    """Text that Markdown shows as it is: no markup, no HTML, no row or line break."""
    return _MARKDOWN_SPECIAL.sub(r"\\\1", " ".join(str(value).split()))


def _late(report: ReportInput) -> list[dict[str, Any]]:
    """Obligations whose time has passed: those that apply first, then the longest overdue."""
    if report.compliance is None:
        return []
    late = [one for one in report.compliance.obligations if one.status == "overdue"]
    late.sort(key=lambda one: (one.applicability != "applies", one.hours_left or 0, one.code))
    return [one.model_dump() | {"hours_late": -(one.hours_left or 0)} for one in late]


def _parts(report: ReportInput) -> list[Any]:
    parts = (report.compliance, report.readiness, report.threat, report.posture, report.loss, report.decision)
    return [part for part in parts if part is not None]


def _unsure(report: ReportInput) -> list[str]:
    """What was not known and what was assumed in all parts, each named once."""
    lines = [line for part in _parts(report) for line in getattr(part, "assumptions", [])]
    if report.trust is not None and not report.trust.complete:
        none = ", ".join(part.dimension for part in report.trust.breakdown if part.score is None)
        lines.append(f"the trust score has no figure for {none}: their weight was shared out among the others")
    return list(dict.fromkeys(lines))


def _sample_data(report: ReportInput) -> list[str]:
    return list(dict.fromkeys(name for part in _parts(report) for name in getattr(part, "sample_data", [])))


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of the loss picture, in units of its view box."""

    label: str
    amount: float
    width: float
    y: int


def _bars(report: ReportInput) -> list[Bar]:
    if report.loss is None or not report.loss.known:
        return []
    loss = report.loss
    named = [("P5", loss.p5), ("P50", loss.p50), ("Mean (ALE)", loss.ale), ("P95 / VaR 95", loss.p95)]
    named.append(("Expected shortfall", loss.es95))
    amounts = [(name, amount or 0.0) for name, amount in named]
    most = max(amount for _, amount in amounts)
    return [
        Bar(name, amount, round(400 * amount / most, 1) if most > 0 else 0.0, 30 * index)
        for index, (name, amount) in enumerate(amounts)
    ]
