"""People who look at the console: their sessions, and something to look at."""

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import psycopg2

from erip.ops.stack.state import State

from ..deployment import read_env
from ..errors import BenchmarkError

MANAGE = Path(__file__).resolve().parents[2] / "manage.py"
#: as a sign-in leaves them: a member of staff with so many browsers
_SIGN_IN = """
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.contrib.sessions.backends.db import SessionStore
user = get_user_model().objects.create_superuser("benchmarks-{count}")
for _ in range({count}):
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    print("session", session.session_key)
"""
_ERRORS = """
INSERT INTO monitoring_errorgroup (fingerprint, source, what, code, type, title, place, why, traceback, state, count,
    first_seen, last_seen, first_release, last_release, first_definition, last_definition, links, changed_by, reason,
    resolved_at, resolved_under, regression, regressions)
SELECT md5(n::text), 'attempt', 'acme.step_' || n, 'code_' || n %% 50, 'ValueError', 'ValueError: number ' || n, '',
    '[]', repeat('a line of a traceback' || chr(10), 100), CASE WHEN n %% 3 = 0 THEN 'resolved' ELSE 'open' END,
    100 + n, now() - interval '9 days', now() - make_interval(secs => n), '1', '1', 'w@1', 'w@1', '[]', '', '',
    CASE WHEN n %% 3 = 0 THEN now() END, '',
    n %% 97 = 0 AND n %% 3 <> 0, 0
FROM generate_series(1, %(groups)s) n
"""
_COUNTS = """
INSERT INTO monitoring_errorcount (group_id, tier, at, count)
SELECT g.id, 3600, date_trunc('hour', now()) - make_interval(hours => h), 1 + h
FROM monitoring_errorgroup g, generate_series(0, 47) h
ON CONFLICT DO NOTHING
"""
_ALERTS = """
INSERT INTO monitoring_alert (rule, labels, serial, stage, severity, summary, since, held_at, fired_at, resolved_at,
    unknown, acknowledged_by, note, told)
SELECT 'disk-full', '[]', 1000 + n, 'resolved', 'ticket', 'The disk is filling up', at, at, at,
    at + interval '9 minutes', false, '', '', '{}'
FROM (SELECT n, now() - make_interval(hours => n) AS at FROM generate_series(1, %(alerts)s) n) a
"""


def sign_in(state: State, count: int) -> Sequence[str]:
    """So many sessions of one member of staff. Raises BenchmarkError."""
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-W", "ignore", str(MANAGE), "shell", "-v", "0", "-c", _SIGN_IN.format(count=count)],
        env={**os.environ, **read_env(state.env)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    found = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("session ")]
    if len(found) != count:
        raise BenchmarkError(f"Nobody could be signed in to the console: {done.stderr[-500:]}")
    return found


def trouble(database: str, *, groups: int, alerts: int) -> None:
    """Groups of errors with their hours, and alerts that ended."""
    with closing(psycopg2.connect(database, connect_timeout=5)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(_ERRORS, {"groups": groups})
            cursor.execute(_COUNTS)
            cursor.execute(_ALERTS, {"alerts": alerts})
            cursor.execute("ANALYZE monitoring_errorgroup, monitoring_errorcount, monitoring_alert")
