"""The section of the first page that says what fails: by error and workflow, and since when.

Note [What fails]
Its cost does not depend on how many runs there are. The index `run_error` has the codes of errors, each with its runs,
the newest first. The query jumps from code to code (up to CODES), and reads the NEWEST runs of each from the last DAYS.
So a number may be "NEWEST or more", and a beginning may be "before".
"""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connections
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode

from erip.foundation import json_values
from erip.foundation.db.router import reading_alias, reads_from_replica
from workflows.store.filters import CODE

from .base import moment
from .telling import in_a_list

#: days back, codes that are looked at, runs that are read of each, and lines that are shown
DAYS, CODES, NEWEST, LINES = 7, 50, 200, 20
#: it counts no more steps than this
COUNTED = 10_000


def section(request: HttpRequest) -> str:
    """For `hooks.home_section`."""
    user: Any = request.user
    if not (user.has_perm("workflows.view_workflowrun") or user.has_perm("workflows.change_workflowrun")):
        return ""
    found = what_fails(timezone.now())
    return render_to_string("admin/workflows/failing.html", {**found, "days": DAYS, "now": what_runs()})


@reads_from_replica
def what_fails(now: datetime) -> dict[str, Any]:
    """{"lines": [{workflow, step, error, count, since, last, url}], "more": …, "cut": …}, the latest first.

    cut: whether there are more codes than were looked at.
    """
    since = now - timedelta(days=DAYS)
    with connections[reading_alias()].cursor() as cursor:
        cursor.execute(_FAILING, {"first": str(_first_id(since)), "codes": CODES, "newest": NEWEST})
        rows = cursor.fetchall()
    lines = [_line(*row) for row in rows]
    return {"lines": lines[:LINES], "more": len(lines) - LINES, "cut": bool(rows) and rows[0][-1] >= CODES}


def _line(
    code: str,
    workflow: str,
    step: str | None,
    count: int,
    read: int,
    first: datetime,
    last: datetime,
    run_id: UUID,
    error: Any,
    codes: int,
) -> dict[str, Any]:
    cut = read >= NEWEST
    runs = reverse("admin:workflows_workflowrun_changelist")
    chosen = urlencode({"workflow": workflow, "code": code})
    return {
        "workflow": workflow,
        "error": in_a_list(json_values.load(error) if isinstance(error, str) else error),
        "count": f"{count:,}{' or more' if cut else ''}",
        "since": f"{'before ' if cut else ''}{moment(first)}",
        "last": moment(last),
        "run_url": reverse("admin:workflows_workflowrun_change", args=[run_id]),
        "url": f"{runs}?{chosen}",
    }


@reads_from_replica
def codes() -> list[str]:
    """The codes of errors that there are, up to CODES of them."""
    with connections[reading_alias()].cursor() as cursor:
        cursor.execute(f"{_CODES} SELECT code FROM code WHERE code IS NOT NULL", {"codes": CODES})  # noqa: S608
        return [code for (code,) in cursor.fetchall()]


def _first_id(at: datetime) -> UUID:
    """The smallest id of a run that was created at this moment: ids are UUIDv7."""
    return UUID(int=max(0, (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)) << 80)


_CODES = f"""
WITH RECURSIVE code AS (
    (SELECT {CODE} AS code, 1 AS number FROM workflows_workflowrun r
     WHERE r.error IS NOT NULL AND {CODE} IS NOT NULL ORDER BY 1 LIMIT 1)
    UNION ALL
    SELECT (SELECT {CODE} FROM workflows_workflowrun r
            WHERE r.error IS NOT NULL AND {CODE} > code.code ORDER BY 1 LIMIT 1), code.number + 1
    FROM code WHERE code.code IS NOT NULL AND code.number < %(codes)s
)"""  # noqa: S608  (made of constants)
_FAILING = f"""{_CODES}, failed AS (
    SELECT code.code, r.*, count(*) OVER (PARTITION BY code.code) AS read
    FROM code CROSS JOIN LATERAL (
        SELECT r.id, r.workflow, r.error, r.error ->> 'step' AS step, r.finished_at FROM workflows_workflowrun r
        WHERE r.error IS NOT NULL AND {CODE} = code.code AND r.id >= %(first)s::uuid
        ORDER BY r.id DESC LIMIT %(newest)s
    ) r
    WHERE code.code IS NOT NULL
)
SELECT f.code, f.workflow, f.step, count(*), max(f.read), min(f.finished_at), max(f.finished_at),
       (array_agg(f.id ORDER BY f.id DESC))[1], (array_agg(f.error ORDER BY f.id DESC))[1],
       (SELECT max(number) FROM code WHERE code IS NOT NULL)
FROM failed f GROUP BY 1, 2, 3 ORDER BY max(f.finished_at) DESC
"""  # noqa: S608  (made of constants)


@reads_from_replica
def what_runs() -> dict[str, str]:
    """How many steps run, and how many wait for a worker. Each has an index of its own."""
    with connections[reading_alias()].cursor() as cursor:
        cursor.execute(_NOW, {"most": COUNTED})
        running, ready = cursor.fetchone()
    return {
        name: f"{count:,}" if count < COUNTED else f"{COUNTED:,} or more"
        for name, count in (("running", running), ("ready", ready))
    }


_NOW = """
SELECT (SELECT count(*) FROM (SELECT FROM workflows_steprun WHERE state = 'RUNNING' LIMIT %(most)s) r),
       (SELECT count(*) FROM (SELECT FROM workflows_steprun WHERE state = 'READY' LIMIT %(most)s) r)
           + (SELECT coalesce(sum(size), 0) FROM workflows_chunk WHERE worker_id IS NULL)
"""
