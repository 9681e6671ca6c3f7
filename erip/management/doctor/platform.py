"""The broker, the platform's own processes, and what PULSE says."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from django.conf import settings

from erip.celery import app as celery
from erip.foundation.db.failures import said
from monitoring.api import health
from workflows.models import WorkflowDefinition

from .database import rows
from .findings import Finding, State, problem, unknown, warning, well

_LANES = ("critical", "high", "standard", "bulk")

_WORKERS = """
SELECT lanes, count(*) AS workers, count(DISTINCT host) AS hosts
FROM workflows_worker
WHERE stopped_at IS NULL AND heartbeat_at > now() - make_interval(secs => {lease:f})
GROUP BY lanes
"""
_LEADERS = """
SELECT count(*) AS leaders, count(DISTINCT host) AS hosts
FROM workflows_leader
WHERE heartbeat_at > now() - make_interval(secs => {lease:f})
"""
_AUDIT = "SELECT count(*) AS checkpoints, extract(epoch FROM now() - max(at))::float8 AS seconds FROM audit_checkpoint"

_OF_PULSE = {"ok": State.WELL, "degraded": State.WARNING, "down": State.PROBLEM, "unknown": State.UNKNOWN}


def the_broker_answers() -> Iterator[Finding]:
    broker = celery.connection_for_write(transport_options=settings.ERIP_PUBLISHER_TRANSPORT_OPTIONS)
    try:
        broker.connect()  # opens a channel, which sends PING
    except Exception as error:
        yield problem(
            "broker",
            f"no answer: {said(error)}",
            "see docs/how-to/runbooks/redis-down.md; meanwhile workers find their work in PostgreSQL",
        )
    else:
        yield well("broker", "answers")
    finally:
        broker.release()
    for number, url in enumerate(settings.ERIP_BROKER_URL.split(";"), start=1):
        parts = urlsplit(url.strip())
        if not parts.password:
            yield warning("ERIP_BROKER_URL", f"its URL {number} has no password", "give each kind of process a login")
        elif parts.username in (None, "", "default") and parts.scheme != "sentinel":
            yield warning(
                "ERIP_BROKER_URL",
                "logs in as the user default, which may do everything",
                "see docs/how-to/operations.md, the broker's logins",
            )


def work_is_done() -> Iterator[Finding]:
    if WorkflowDefinition.objects.exists():
        yield well("definitions", "there are some")
    else:
        yield problem("definitions", "none is published", "run manage.py bootstrap")
    lease = 2 * settings.ERIP_LEASE_SECONDS
    found = {row["lanes"]: row for row in rows(_WORKERS.format(lease=lease))}
    for lane in _LANES:
        count = sum(row["workers"] for lanes, row in found.items() if lane in lanes.split(","))
        if not count:
            yield problem(
                f"lane {lane}", "no worker serves it: its runs wait", "start a worker with -Q … that names it"
            )
        else:
            yield well(f"lane {lane}", f"{count} {'worker serves' if count == 1 else 'workers serve'} it")
    if found and "critical" not in found:
        yield warning(
            "lane critical",
            "no worker serves it alone",
            "start one with -Q critical: other work cannot hold it up then",
        )
    (leaders,) = rows(_LEADERS.format(lease=lease))
    if not leaders["leaders"]:
        yield problem(
            "leader", "none lives: no timer, deadline or lost step is looked after", "start manage.py run_leader"
        )
    elif leaders["leaders"] == 1:
        yield warning("leader", "there is one, and nobody to take over at once", "start a second on another host")
    else:
        yield well("leader", f"{leaders['leaders']} on {leaders['hosts']} hosts, of which one leads")


def the_audit_log_is_signed() -> Iterator[Finding]:
    (one,) = rows(_AUDIT)
    late = 3 * settings.ERIP_AUDIT_CHECKPOINT_SECONDS + 60
    if not one["checkpoints"]:
        yield unknown("audit log", "has no signed checkpoint yet", "a leader makes them")
    elif one["seconds"] > late:
        yield warning(
            "audit log",
            f"was last signed {one['seconds']:.0f} s ago",
            "look at the leader's log; what is not signed yet can be changed unnoticed by who owns the database",
        )
    else:
        yield well("audit log", f"was last signed {one['seconds']:.0f} s ago; manage.py audit verify reads all of it")
    if not any(
        (settings.ERIP_AUDIT_FILE, settings.ERIP_AUDIT_SYSLOG, settings.ERIP_AUDIT_WEBHOOK, settings.ERIP_AUDIT_S3)
    ):
        yield warning(
            "audit log",
            "no copy of its checkpoints leaves the database: its owner could write it anew",
            "set ERIP_AUDIT_FILE, ERIP_AUDIT_SYSLOG, ERIP_AUDIT_WEBHOOK or ERIP_AUDIT_S3 for the leader",
        )


def what_pulse_says() -> Iterator[Finding]:
    if not settings.ERIP_PULSE:
        yield unknown("PULSE", "is switched off (ERIP_PULSE)")
        return
    known = health.document()
    for one in known["components"]:
        do = "see manage.py pulse status" + (f", and first {known['cause']}" if known["cause"] else "")
        state = _OF_PULSE[one["state"]]
        yield Finding(f"PULSE: {one['component']}", state, one["sentence"], "" if state is State.WELL else do)
