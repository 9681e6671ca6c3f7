"""Storing reports, and making and revoking their links."""

import hashlib
import os
import tempfile
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from workflows.library.models import Report, ReportLink


@transaction.atomic
def save(
    *, key: str, run_id: str, workflow: str, title: str, html: str, markdown: str, expires_at: datetime
) -> tuple[Report, ReportLink]:
    """The report of that idempotency key: the first time it is made, later it is overwritten. So with its link."""
    report, _ = Report.objects.update_or_create(
        idempotency_key=key,
        defaults={
            "run_id": run_id,
            "workflow": workflow,
            "title": title,
            "html": html,
            "markdown": markdown,
            "sha256": hashlib.sha256(html.encode()).hexdigest(),
        },
    )
    # A link that was revoked stays the report's link: running a step again must not open what someone closed.
    link = report.links.order_by("created_at").first()
    if link is None:
        link = ReportLink.objects.create(report=report, expires_at=expires_at)
    return report, link


def lifetime() -> timedelta:
    return timedelta(days=settings.ERIP_REPORT_TTL_DAYS)


def revoke(links: "QuerySet[ReportLink] | Iterable[ReportLink]", *, by: str, now: datetime) -> int:
    """Revoke those that are not yet; how many that were."""
    ids = [link.pk for link in links]
    return ReportLink.objects.filter(pk__in=ids, revoked_at__isnull=True).update(revoked_at=now, revoked_by=by)


def write_files(run_id: str, step: str, html: str, markdown: str) -> tuple[Path, Path]:
    """Copies under ERIP_REPORT_DIR/<run>/, replaced in one go each. Raises OSError."""
    name = "report" if step == "report" else f"report-{step}"
    folder = Path(settings.ERIP_REPORT_DIR) / run_id
    folder.mkdir(parents=True, exist_ok=True)
    paths = (folder / f"{name}.html", folder / f"{name}.md")
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
