"""Flower, behind its login, only shows: neither its pages nor its Redis login can change anything. Who sees it by way
of the platform: test_flower_shown.py."""

import base64
import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from urllib.parse import urlencode

import flower.urls
import pytest
import redis
from celery import Celery

from erip.ops.stack import environment, services
from erip.ops.stack.ports import any_free
from erip.ops.stack.processes import wait_until
from erip.ops.stack.servers import private_servers
from erip.ops.stack.state import ROOT

PASSWORD = "flower-of-this-test"
PASSWORDS = {"flower": PASSWORD}
LOGIN = "erip:looking-only"
BROKERS = services.Brokers("redis://of-web", "redis://of-worker", "redis://of-leader")


@pytest.fixture(scope="module")
def broker():
    """A Redis with a login for Flower."""
    with private_servers(postgres=False, logins=PASSWORDS) as (_, server):
        yield server


@pytest.fixture(scope="module")
def monitor(broker):
    """Where its pages are."""
    port = any_free()
    service = services.flower("flower", port, services.Monitor(broker.kind.url_of("flower"), LOGIN))
    process = subprocess.Popen(service.command, env=service.env, cwd=ROOT)
    try:
        assert wait_until(lambda: _status(f"{service.url}/flower/healthcheck", LOGIN) == 200, 60)
        yield f"{service.url}/flower"
    finally:
        process.terminate()
        process.wait(10)


def test_every_page_stands_behind_the_login(monitor):
    for path in ("/", "/workers", "/tasks", "/broker", "/metrics", "/healthcheck", "/worker/x", "/task/x"):
        assert _status(monitor + path) == 401, path
        assert _status(monitor + path, "erip:wrong") == 401, path
    assert _status(monitor + "/metrics", LOGIN) == 200


def test_nothing_stands_outside_of_its_path_and_nothing_takes_a_post(monitor):
    for path in ("/", "/workers", "/metrics", "/healthcheck", "/tasks/datatable", "/flowers/"):
        assert _status(monitor.removesuffix("/flower") + path, LOGIN) == 404, path
    for path in ("/", "/workers", "/tasks", "/tasks/datatable", "/broker", "/worker/x", "/task/x"):
        assert _status(monitor + path, LOGIN, "POST") == 405, path


def test_its_script_asks_for_tasks_with_what_is_read_of_an_address(monitor):
    script = _get(monitor + "/static/js/flower.js", LOGIN)
    asking = script.partition("url: url_prefix() + '/tasks/datatable'")[2][:600]
    names = set(re.findall(r"'([\w\[\]]+)': asked|'([\w\[\]]+)': (?:0|order)", asking))
    asked = {"draw", "start", "length", "search[value]", "order[0][column]", "order[0][dir]", "columns[0][data]"}
    assert {one or other for one, other in names} == asked
    # Nothing but the API, which does not exist, is asked with another method.
    posts = re.findall(r"type: 'POST',\s*url: url_prefix\(\) \+ '(/\w+/)", script)
    assert set(posts) == {"/api/"}
    query = dict.fromkeys(asked, "0") | {"length": "15", "columns[0][data]": "name", "search[value]": ""}
    answer = json.loads(_get(f"{monitor}/tasks/datatable?{urlencode(query)}", LOGIN))
    assert answer["data"] == []


def test_nothing_of_flowers_api_exists(monitor):
    paths = [one.regex.pattern if hasattr(one, "regex") else one[0] for one in flower.urls.handlers]
    api = [path.rstrip("$").replace("(.+)", "x").replace("(.*)", "x") for path in paths if "/api/" in path]
    assert len(api) > 15
    for path in api:
        for method in ("GET", "POST"):
            assert _status(monitor + path, LOGIN, method) in (404, 405), (method, path)


def test_no_page_shows_the_brokers_password(monitor, broker):
    for path in ("/", "/workers", "/tasks", "/broker", "/metrics"):
        page = _get(monitor + path, LOGIN)
        assert PASSWORD not in page, path
        assert broker.kind.password not in page, path
    assert f"redis://127.0.0.1:{broker.port}" in _get(monitor + "/broker", LOGIN)


def test_it_shows_what_workers_say_of_themselves(monitor, broker):
    app = Celery("sender", broker=broker.url, set_as_current=False)
    app.conf.broker_transport_options = {"ack_emulation": False}

    def shown() -> bool:
        with app.connection() as connection, app.events.Dispatcher(connection, hostname="general@test") as say:
            say.send("worker-heartbeat", freq=2, sw_ident="test", sw_ver="1", sw_sys="Linux", active=0, processed=0)
        return "general@test" in _get(f"{monitor}/workers?json=1", LOGIN)

    assert wait_until(shown, 60)


def test_its_login_to_redis_can_send_nothing_and_take_nothing(broker):
    client = redis.Redis(port=broker.port, username="flower", password=PASSWORD)
    owner = redis.Redis(port=broker.port, password=broker.kind.password)
    owner.lpush("critical", "work")
    assert client.llen("critical") == 1
    for command in (
        ("LPUSH", "critical", "x"),
        ("BRPOP", "critical", "1"),
        ("DEL", "critical"),
        ("LRANGE", "critical", "0", "-1"),
        ("PUBLISH", "/0.celery.pidbox", "x"),
        ("PUBLISH", "/0.celeryev/worker.heartbeat", "x"),
        ("EVAL", "return redis.call('LPUSH', KEYS[1], 'x')", "1", "critical"),
        ("SADD", "_kombu.binding.erip", "x"),
        ("CONFIG", "GET", "*"),
        ("ACL", "LIST"),
        ("KEYS", "*"),
        ("FLUSHALL",),
        ("SHUTDOWN",),
    ):
        with pytest.raises(redis.ResponseError):
            client.execute_command(*command)
    assert owner.llen("critical") == 1


def test_no_process_inherits_what_it_has_no_use_for(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "cloud")
    monkeypatch.setenv("ERIP_EMAIL_URL", "smtp://u:mail@h")
    monkeypatch.setenv("ERIP_ALERT_WEBHOOK_SECRET", "whsec_x")
    monkeypatch.setenv("ERIP_ALERT_WEBHOOKS", "https://pager.example/key")
    wanted = {"DATABASE_URL": "postgres://u:p@h/d", "ERIP_SECRET_KEY": "key", "ERIP_WEBHOOK_SECRET": "hook"}
    env = {**environment.of_platform(os.environ), **wanted}
    made = services.platform(services.ALL, env, {"web": 1, "flower": 2}, BROKERS, services.Monitor("redis://x", LOGIN))
    held = {one.name: set(one.env) for one in made}
    brokers = {one.name: one.env.get("ERIP_BROKER_URL") for one in made}
    assert brokers == {
        "web": "redis://of-web",
        "worker-critical": "redis://of-worker",
        "worker-general": "redis://of-worker",
        "leader": "redis://of-leader",
        "flower": None,
    }
    assert not [name for name, names in held.items() if "AWS_SECRET_ACCESS_KEY" in names]
    assert {name for name, names in held.items() if "ERIP_WEBHOOK_SECRET" in names} == {
        "worker-critical",
        "worker-general",
    }
    assert {name for name, names in held.items() if "ERIP_EMAIL_URL" in names} == {
        "worker-critical",
        "worker-general",
        "leader",
    }
    for name in ("ERIP_ALERT_WEBHOOK_SECRET", "ERIP_ALERT_WEBHOOKS"):
        assert {one for one, names in held.items() if name in names} == {"leader"}
    assert not held["flower"] & {"DATABASE_URL", "ERIP_SECRET_KEY", "ERIP_BROKER_URL", "DJANGO_SETTINGS_MODULE"}


def test_workers_take_no_remote_control():
    done = subprocess.run(
        [sys.executable, "-c", "from erip.celery import app; print(app.conf.worker_enable_remote_control)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"


def _ask(url: str, login: str, method: str) -> urllib.request.Request:
    asked = urllib.request.Request(url, method=method, data=b"{}" if method == "POST" else None)
    if login:
        asked.add_header("Authorization", "Basic " + base64.b64encode(login.encode()).decode())
    return asked


def _status(url: str, login: str = "", method: str = "GET") -> int:
    try:
        with urllib.request.urlopen(_ask(url, login, method), timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def _get(url: str, login: str) -> str:
    with urllib.request.urlopen(_ask(url, login, "GET"), timeout=5) as answer:
        return answer.read().decode()
