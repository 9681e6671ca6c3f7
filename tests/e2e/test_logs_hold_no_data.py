"""Marked text goes through every door of a whole stack, and succeeds or fails there; no log contains it afterwards."""

import http.cookiejar
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import closing, suppress
from pathlib import Path

import psycopg2
import pytest
import redis

from erip.ops.deploy.balancer import Balancer, Rules
from erip.ops.deploy.nodes import Address
from erip.ops.stack import services
from erip.ops.stack.binaries import SYSTEM_FOLDERS
from erip.ops.stack.ports import any_free
from erip.ops.stack.private import private_stack
from erip.ops.stack.processes import wait_until
from erip.ops.stack.state import ROOT, read_json
from tests.support.programs import needs

pytestmark = pytest.mark.timeout(400)

MARK = "zebrastripes"
RUNS = "/api/v1/workflows/breach-response/runs"
INCIDENT = json.loads((ROOT / "workflows/library/samples/incident.json").read_text())


@pytest.fixture(scope="module")
def stack():
    with private_stack(names=services.ALL) as stack:
        yield stack


def ask(stack, method, path, body=None, *, raw=None, headers=None):
    """Status and text, whatever they are."""
    data = raw if raw is not None else json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(stack.url + path, data, method=method)
    request.add_header("Authorization", f"Bearer {stack.api_key}")
    request.add_header("Content-Type", "application/json")
    for name, value in (headers or {}).items():
        request.add_header(name, value)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def database(stack):
    connection = psycopg2.connect(stack.env["DATABASE_URL"])
    connection.autocommit = True
    return closing(connection)


def through_the_api(stack):
    marked = {**INCIDENT, "title": MARK, "description": MARK, "breach_id": MARK}
    status, text = ask(stack, "POST", RUNS, {"input": marked, "business_key": MARK}, headers={"Idempotency-Key": MARK})
    assert status < 300, text
    run = json.loads(text)["id"]
    faulty = [
        {"input": {**INCIDENT, "severity": MARK}},
        {"input": {MARK: MARK}},
        {MARK: MARK},
        {"input": marked, "business_key": f"\0{MARK}"},
        {"input": marked, "lane": MARK},
    ]
    for body in faulty:
        status, text = ask(stack, "POST", RUNS, body)
        assert 400 <= status < 500, (body, status, text)
    assert ask(stack, "POST", RUNS, {"input": INCIDENT}, headers={"Idempotency-Key": MARK})[0] in (409, 422)
    ask(stack, "POST", RUNS, raw=f'{{"{MARK}": '.encode())
    ask(stack, "POST", RUNS, raw=MARK.encode() + b"\xff\xfe")
    ask(stack, "POST", "/api/v1/runs/bulk", {"runs": [{"workflow": MARK, "input": {MARK: 1}}]})
    for method in ("PUT", "POST"):
        ask(stack, method, f"/api/v1/workflows/{MARK}", {"name": MARK, "steps": {MARK: {"uses": MARK}}})
        ask(stack, method, f"/api/v1/workflows/{MARK}/validate", {"name": MARK, "steps": {MARK: {"uses": MARK}}})
    for path in (f"/api/v1/runs?cursor={MARK}", f"/api/v1/{MARK}", f"/{MARK}?q={MARK}", f"/api/v1/workflows/{MARK}"):
        ask(stack, "GET", path, headers={"User-Agent": MARK, "X-Request-ID": MARK, "Prefer": MARK, "Accept": MARK})
    ask(stack, "GET", "/api/v1/runs", headers={"Authorization": f"Bearer {MARK}"})
    ask(stack, "GET", "/health/ready", headers={"Host": f"{MARK}.example"})
    return run


def through_events(stack):
    event = {
        "specversion": "1.0",
        "id": MARK,
        "source": f"/{MARK}",
        "type": f"org.example.{MARK}",
        "data": {MARK: MARK},
    }
    structured = {"Content-Type": "application/cloudevents+json"}
    assert ask(stack, "POST", "/api/v1/events", event, headers=structured)[0] < 300
    ask(stack, "POST", "/api/v1/events", {**event, "time": MARK}, headers=structured)
    ask(stack, "POST", "/api/v1/events", {**event, "id": "\0" + MARK}, headers=structured)
    ask(stack, "POST", "/api/v1/events", raw=MARK.encode(), headers=structured)
    ask(stack, "POST", "/api/v1/subscriptions", {"url": f"https://{MARK}.invalid/{MARK}?token={MARK}", "types": ["*"]})
    ask(stack, "POST", "/api/v1/triggers", {"name": MARK, "rule": {"when": f"event.data.{MARK} == 1", "start": MARK}})


def through_notifications(stack):
    """Sends a mail, and webhooks that fail with their address in the error."""
    addresses = (
        f"{MARK}@example.org",
        f"https://{MARK}.invalid/{MARK}?token={MARK}",
        f"https://127.0.0.1:1/{MARK}?{MARK}",
    )
    for address in addresses:
        body = {"input": {"notify": [address]}, "business_key": MARK}
        status, text = ask(stack, "POST", "/api/v1/workflows/trust-score/runs", body)
        assert status < 300, text


def through_reports(stack, run):
    token = re.search(r"/reports/([^\"\s]+)", wait_for(stack, run))
    assert token, "the run made no report"
    assert ask(stack, "GET", f"/reports/{token[1]}")[0] == 200
    ask(stack, "GET", f"/reports/{token[1]}{MARK}?{MARK}")
    return token[1]


def wait_for(stack, run):
    text = ""

    def ended():
        nonlocal text
        text = ask(stack, "GET", f"/api/v1/runs/{run}")[1]
        return json.loads(text).get("status") in ("SUCCEEDED", "FAILED")

    assert wait_until(ended, 90), text
    return text


def through_the_admin(stack):
    jar = http.cookiejar.CookieJar()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    page = browser.open(f"{stack.url}/admin/login/?next=/{MARK}", timeout=20).read().decode()
    token = re.search(r'csrfmiddlewaretoken" value="([^"]+)"', page)
    form = {"username": MARK, "password": MARK, "csrfmiddlewaretoken": token[1] if token else MARK}
    for _ in range(6):
        with suppress(urllib.error.HTTPError):
            browser.open(f"{stack.url}/admin/login/", urllib.parse.urlencode(form).encode(), timeout=20)


def through_the_database(stack):
    """Statements of the platform's own role that fail, each in another way, and a process that is killed at work."""
    statements = (
        ("SELECT %s::int", [MARK]),
        (f"SELECT '{MARK}'::uuid", None),
        (f"SELEC '{MARK}'", None),
        (f"SELECT * FROM {MARK}", None),
        ("SELECT %s::timestamptz", [f"2026-99-99 {MARK}"]),
        ("SELECT %s::jsonb", [f"{{{MARK}"]),
        ("INSERT INTO django_session VALUES (%s, %s, now()), (%s, %s, now())", [MARK] * 4),
        ("INSERT INTO workflows_workflowdefinition (name) VALUES (%s)", [MARK]),
        ("DO $$ BEGIN RAISE EXCEPTION 'zebrastripes'; END $$", None),
        ("DO $$ BEGIN RAISE WARNING 'zebrastripes'; END $$", None),
        ("SELECT set_config(%s, '1', false)", [MARK]),
    )
    with database(stack) as connection, connection.cursor() as cursor:
        for statement, values in statements:
            with suppress(psycopg2.Error):
                cursor.execute(statement, values)
    with database(stack) as connection, database(stack) as other:
        killed = threading.Thread(target=_sleep, args=(connection,))
        killed.start()
        with other.cursor() as cursor:
            assert wait_until(lambda: _sleeper(cursor), 60)
            os.kill(_sleeper(cursor), signal.SIGSEGV)
        killed.join(30)


def _sleep(connection):
    with suppress(psycopg2.Error), connection.cursor() as cursor:
        cursor.execute(f"SELECT pg_sleep(60), '{MARK}'")


def _sleeper(cursor):
    cursor.execute(
        "SELECT pid FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(60)%%' AND pid <> pg_backend_pid()"
    )
    row = cursor.fetchone()
    return row and row[0]


def through_the_broker(stack):
    client = redis.Redis.from_url(stack.env["ERIP_BROKER_URL"])
    body = {
        "body": MARK,
        "headers": {"task": MARK, "id": MARK},
        "properties": {"delivery_tag": "1", "delivery_info": {}},
    }
    for message in (MARK, f'"{MARK}"', json.dumps({MARK: MARK}), json.dumps(body)):
        client.lpush("standard", message)
        client.lpush("critical", message)


def test_no_log_holds_what_users_sent(stack):
    # When marked text has gone through every door
    run = through_the_api(stack)
    through_events(stack)
    through_notifications(stack)
    token = through_reports(stack, run)
    through_the_admin(stack)
    through_the_broker(stack)
    time.sleep(3)  # the background work on it has no end that a test could wait for
    through_the_database(stack)
    server = stack.state.logs / "postgres.log"
    assert wait_until(lambda: "terminated by signal" in server.read_text(errors="replace"), 30)
    assert wait_until(lambda: ask_quietly(stack) == 200, 60)
    # Then
    logs = [path for path in stack.state.logs.glob("*.log*") if path.is_file()]
    assert {"web.log", "postgres.log", "redis.log", "worker-general.log", "leader.log", "flower.log"} <= {
        path.name for path in logs
    }
    secrets = [str(value) for value in read_json(stack.state.secrets).values()]
    wanted = [MARK, token, stack.api_key, *secrets]
    found = [
        f"{path.name}:{number}: {line[:300]}"
        for path in logs
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if any(word in line for word in wanted)
    ]
    assert found == []


def ask_quietly(stack):
    try:
        return ask(stack, "GET", "/health/ready")[0]
    except OSError:
        return 0


@needs("haproxy")
def test_haproxys_log_of_requests_has_no_query_and_no_token(tmp_path):
    port = any_free()
    web = [Address("web-1", "127.0.0.1", any_free())]
    balancer = Balancer(
        web, [], port, any_free(), any_free(), Rules(log_requests=True, queue_seconds=1, maxconn_all=500)
    )
    file = tmp_path / "haproxy.cfg"
    file.write_text(balancer.render())
    program = shutil.which("haproxy", path=SYSTEM_FOLDERS)
    log = Path(tmp_path, "log")
    with log.open("w") as output, subprocess.Popen([program, "-db", "-f", str(file)], stdout=output) as process:
        try:

            def logged():
                for path in (f"/reports/{MARK}?{MARK}", f"/api/v1/runs?cursor={MARK}"):
                    with suppress(OSError):
                        urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5)
                return "GET /reports/-" in log.read_text() and "GET /api/v1/runs" in log.read_text()

            assert wait_until(logged, 60), log.read_text()
        finally:
            process.terminate()
    assert MARK not in log.read_text()
