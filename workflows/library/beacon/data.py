"""Storing reports, and making and revoking their links."""

import hashlib
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.db import connection
from django.db.models import QuerySet

from workflows.library.models import ReportLink

# A report and its link in one statement: no round trip between them, and nobody sees the one without the other. xmax is
# 0 in a row that was inserted, and not in one that was overwritten.
_SAVE = """
WITH report AS (
    INSERT INTO library_report
        (id, idempotency_key, run_id, workflow, title, html, markdown, sha256, created_at, updated_at)
    VALUES (%(id)s, %(key)s, %(run_id)s, %(workflow)s, %(title)s, %(html)s, %(markdown)s, %(sha256)s, now(), now())
    ON CONFLICT (idempotency_key) DO UPDATE
    SET run_id = excluded.run_id, workflow = excluded.workflow, title = excluded.title, html = excluded.html,
        markdown = excluded.markdown, sha256 = excluded.sha256, updated_at = excluded.updated_at
    RETURNING id, (xmax = 0) AS is_new
), link AS (
    INSERT INTO library_reportlink (id, report_id, created_at, expires_at, revoked_by)
    SELECT %(link)s, id, now(), %(expires_at)s, '' FROM report WHERE is_new
    RETURNING id, expires_at
)
SELECT report.id, link.id, link.expires_at FROM report LEFT JOIN link ON true
"""


@dataclass(frozen=True, slots=True)
class Saved:
    """A stored report, and the link that shares it."""

    report: UUID
    sha256: str
    link: UUID
    expires_at: datetime


def save(*, key: str, run_id: str, workflow: str, title: str, html: str, markdown: str, expires_at: datetime) -> Saved:
    """The report of that idempotency key: made the first time, overwritten later. The same holds for its link."""
    sha256 = hashlib.sha256(html.encode()).hexdigest()
    values: dict[str, Any] = {
        "id": uuid4(),
        "link": uuid4(),
        "key": key,
        "run_id": run_id,
        "workflow": workflow,
        "title": title,
        "html": html,
        "markdown": markdown,
        "sha256": sha256,
        "expires_at": expires_at,
    }
    with connection.cursor() as cursor:
        cursor.execute(_SAVE, values)
        report, link, until = cursor.fetchone()
    if link is None:
        # A revoked link stays the report's link: running a step again must not restore access that someone revoked.
        kept = ReportLink.objects.filter(report_id=report).order_by("created_at").first()
        if kept is None:
            kept = ReportLink.objects.create(report_id=report, expires_at=expires_at)
        link, until = kept.pk, kept.expires_at
    return Saved(report, sha256, link, until)


def lifetime() -> timedelta:
    return timedelta(days=settings.ERIP_REPORT_TTL_DAYS)


def revoke(links: "QuerySet[ReportLink] | Iterable[ReportLink]", *, by: str, now: datetime) -> int:
    """Revoke the links that are not yet revoked. Returns how many those were."""
    ids = [link.pk for link in links]
    return ReportLink.objects.filter(pk__in=ids, revoked_at__isnull=True).update(revoked_at=now, revoked_by=by)


def files_of(run_id: str, step: str) -> tuple[Path, Path]:
    """The paths of a report's two copies, the HTML and the Markdown."""
    name = "report" if step == "report" else f"report-{step}"
    folder = Path(settings.ERIP_REPORT_DIR) / run_id
    return folder / f"{name}.html", folder / f"{name}.md"


def write_files(run_id: str, step: str, html: str, markdown: str) -> tuple[Path, Path]:
    """Copies under ERIP_REPORT_DIR/<run>/, replaced each atomically. Raises OSError."""
    paths = files_of(run_id, step)
    paths[0].parent.mkdir(parents=True, exist_ok=True)
    for path, text in zip(paths, (html, markdown), strict=True):
        _replace(path, text)
    return paths


def _replace(path: Path, text: str) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".report-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
