"""Reports expire: when the last link of a report has expired, its row and its files are removed.

The leader removes rows, and the files on its own host. Files on other hosts are removed by the workers that
wrote them: each sweeps its own ERIP_REPORT_DIR by the age of its content. As long as its row is kept, by a rule or for
the law, a report keeps its files.
"""

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from erip.foundation.db.connections import drop_connection
from erip.foundation.hooks import at_worker_start, periodic_duty
from erip.foundation.service import Service
from workflows.core.retention import Item
from workflows.library.beacon import data as store
from workflows.library.models import Report, ReportLink
from workflows.privacy.classes import Class, Looked, persons_of, register
from workflows.privacy.holds import in_force, runs_about, turn
from workflows.privacy.retention import rules

log = structlog.get_logger(__name__)

#: seconds between two checks of the leader, and of a worker; reports removed in one check
LOOK_EVERY: Final = 600.0
SWEEP_EVERY: Final = 3600.0
AT_A_TIME: Final = 500


def kept_after_links() -> timedelta:
    """For how long a report is kept when no link leads to it any more."""
    return timedelta(days=max(0, settings.ERIP_REPORT_KEEP_DAYS))


@periodic_duty(LOOK_EVERY)
def forget_reports() -> bool:
    """Remove reports whose links have all expired. Returns whether there are more."""
    before = datetime.now(UTC) - kept_after_links()
    living = ReportLink.objects.filter(report=OuterRef("pk"), expires_at__gt=before)
    unlinked = ~Exists(ReportLink.objects.filter(report=OuterRef("pk")))
    over = Report.objects.filter(~Exists(living)).exclude(unlinked, created_at__gt=before - store.lifetime())
    with transaction.atomic():
        turn()
        over = _left_to_links(over)
        found = list(over.order_by("created_at").values_list("pk", "run_id", "idempotency_key")[:AT_A_TIME])
        Report.objects.filter(pk__in=[pk for pk, _, _ in found]).delete()
    if not found:
        return False
    for _, run_id, key in found:
        _remove_files(run_id, key)
    log.info("reports_forgotten", reports=len(found))
    return len(found) == AT_A_TIME


def _left_to_links(reports: "QuerySet[Report]") -> "QuerySet[Report]":
    """Those that nobody says how long to keep, and that no legal hold names."""
    said = rules()
    if "reports" in said.site:
        return reports.none()
    ruled = [name for name, own in said.workflows.items() if own is None or "reports" in own]
    reports = reports.exclude(workflow__in=ruled)
    for held in in_force():
        if not held.concerns("reports"):
            continue
        mine = Q()
        if held.since is not None:
            mine &= Q(created_at__gte=held.since)
        if held.until is not None:
            mine &= Q(created_at__lt=held.until)
        if held.workflow:
            mine &= Q(workflow=held.workflow)
        if held.run is not None:
            mine &= Q(run_id=str(held.run))
        if held.person is not None:
            mine &= Q(run_id__in=[str(run) for run in runs_about(held.person)])
        reports = reports.exclude(mine) if mine else reports.none()
    return reports


def _look(after: str, moment: datetime, limit: int) -> Looked:
    reports = Report.objects.filter(created_at__lt=moment, **({"pk__gt": after} if after else {})).order_by("pk")
    rows = list(reports.values_list("pk", "created_at", "workflow", "run_id")[:limit])
    runs = {pk: run for pk, _, _, text in rows if (run := _uuid(text)) is not None}
    persons = persons_of(list(runs.values()))
    items = []
    for pk, created, workflow, _ in rows:
        run = runs.get(pk)
        items.append(Item(str(pk), created, created, workflow, run, persons.get(run) if run is not None else None))
    return Looked(items, str(rows[-1][0]) if len(rows) == limit else None)


def _remove(items: Sequence[Item]) -> int:
    found = Report.objects.filter(pk__in=[item.key for item in items])
    files = list(found.values_list("run_id", "idempotency_key"))
    count = found.delete()[1].get("library.Report", 0)

    def remove_files() -> None:
        for run_id, key in files:
            _remove_files(run_id, key)

    transaction.on_commit(remove_files)
    return count


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


register(Class("reports", "reports, with their links and files", _look, _remove))


def sweep_files() -> int:
    """Remove folders that are older than any report that is kept by its links, of runs that have no report any more.
    Returns how many those were."""
    oldest = time.time() - (store.lifetime() + kept_after_links()).total_seconds()
    root, old = Path(settings.ERIP_REPORT_DIR), dict[Path, list[Path]]()
    for folder in root.iterdir() if root.is_dir() else ():
        if not folder.is_dir() or folder.is_symlink():
            continue
        files = list(folder.iterdir())
        # Somebody put something other than a report there, and probably wants to keep it.
        reports = [file for file in files if file.is_file() and file.name.startswith(("report", ".report-"))]
        if reports and all(file.stat().st_mtime < oldest for file in reports):
            old[folder] = reports
    kept = set(Report.objects.filter(run_id__in=[folder.name for folder in old]).values_list("run_id", flat=True))
    gone = [reports for folder, reports in old.items() if folder.name not in kept]
    for reports in gone:
        _unlink(reports)
    if gone:
        log.info("report_files_removed", folders=len(gone))
    return len(gone)


@at_worker_start
def begin_sweeping() -> None:
    """Once in a process."""
    _sweeper.start()


def _sweep() -> None:
    try:
        sweep_files()
    finally:
        # The next one is far away.
        drop_connection()


_sweeper = Service("report-files", _sweep, every=SWEEP_EVERY, delay=True, clean=drop_connection)


def _remove_files(run_id: str, key: str) -> None:
    """The files of one report. The key is `run:step:item`; the item is empty if the step has none (`StepContext`)."""
    step, _, item = key.removeprefix(f"{run_id}:").partition(":")
    _unlink(list(store.files_of(run_id, f"{step}-{item}" if item else step)))


def _unlink(paths: list[Path]) -> None:
    """Removes files, and their folder if it is then empty. A later sweep removes what cannot be removed now."""
    try:
        for path in paths:
            path.unlink(missing_ok=True)
        folder = paths[0].parent
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    except OSError as error:
        log.warning("report_files_not_removed", error=error)
