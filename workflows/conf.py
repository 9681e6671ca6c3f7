"""The engine's settings, typed: the one place of the engine that reads Django's settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from django.conf import settings

from workflows.core.lanes import LanePolicy


@dataclass(frozen=True, slots=True)
class Conf:
    #: threads of one worker process that run steps' bodies
    worker_threads: int
    #: seconds between two heartbeats of a worker
    heartbeat: float
    #: seconds without a heartbeat after which a worker's steps are run again
    lease: float
    #: seconds that ready work may wait before an idle worker takes it without a message
    stale_ready: float
    #: how often a step may lose its worker before it fails for good: a step that kills its workers must end some time
    max_lost_attempts: int
    #: runs of one chunk, at most; 0: runs are accepted one by one (Note [Chunks] in `store/chunks`)
    chunk_runs: int
    #: seconds after its end at which a run is moved to the archive
    archive_after: float
    #: months that an archived run is kept; None is for ever
    keep_archive_months: int | None
    #: seconds for which data is kept where a definition says nothing, by class (Note [Retention] in `core/retention`)
    retention: Mapping[str, float]
    #: days before which the database lets no archived run be removed one by one; None: it lets none
    retention_least_days: int | None
    #: order, bounds and limits of the lanes
    lanes: LanePolicy


@cache
def conf() -> Conf:
    return Conf(
        worker_threads=settings.ERIP_WORKER_THREADS,
        heartbeat=settings.ERIP_HEARTBEAT_SECONDS,
        lease=settings.ERIP_LEASE_SECONDS,
        stale_ready=settings.ERIP_STALE_READY_SECONDS,
        max_lost_attempts=settings.ERIP_MAX_LOST_ATTEMPTS,
        chunk_runs=settings.ERIP_CHUNK_RUNS,
        archive_after=settings.ERIP_ARCHIVE_AFTER_DAYS * 86_400.0,
        keep_archive_months=settings.ERIP_KEEP_ARCHIVE_MONTHS,
        retention={
            kind: days * 86_400.0
            for kind, days in (
                ("runs", settings.ERIP_RETENTION_RUN_DAYS),
                ("sensitive", settings.ERIP_RETENTION_SENSITIVE_DAYS),
                ("reports", settings.ERIP_RETENTION_REPORT_DAYS),
                ("audit", settings.ERIP_RETENTION_AUDIT_DAYS),
            )
            if days is not None
        },
        retention_least_days=settings.ERIP_RETENTION_LEAST_DAYS,
        lanes=LanePolicy(
            bounds=settings.ERIP_LANE_BOUNDS,
            ageing_at=settings.ERIP_AGEING_AT,
            min_rate=settings.ERIP_ADMISSION_MIN_RATE,
            max_backlog=settings.ERIP_ADMISSION_MAX_BACKLOG,
        ),
    )
