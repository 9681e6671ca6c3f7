"""The highly available stack, as a user watches, breaks and ends it. One stack serves the tests, in their order."""

import asyncio
import json
import os
import re
import signal
import socket
import ssl
import stat
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from contextlib import ExitStack, closing, nullcontext, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_hex

import httpx
import psutil
import psycopg2
import pytest

from benchmarks.client import Client
from benchmarks.front_door.attackers import Door, Tally, attacking, drip
from benchmarks.front_door.watching import DEFINITION, LARGEST_BODY, NAME, RATE, watch, webs_of
from erip.ops.ca import Authority, Leaf
from erip.ops.stack import control, services
from erip.ops.stack.ha.redis import ask as ask_redis
from erip.ops.stack.ha.roles import LEADER_LOCK, Roles
from erip.ops.stack.private import private_stack
from erip.ops.stack.processes import marked, wait_until
from erip.ops.stack.services import answers
from erip.ops.stack.state import ROOT, read_json
from monitoring.probes import certificates
from tests.support import breach_case
from tests.support.browser import browser, program
from tests.support.programs import needs_ha_programs
from tests.support.tls import can_capture, capture

pytestmark = [needs_ha_programs, pytest.mark.timeout(600)]

INCIDENT = json.loads((ROOT / "workflows/library/samples/incident.json").read_text())


@pytest.fixture(scope="module")
def stack():
    with private_stack(ha=True, names=services.ALL) as stack:
        yield stack


@pytest.fixture
def roles(stack):
    return Roles(stack.state)


def ask(stack, path, body=None, key=None, method=None):
    """Status and answer, as an ordinary client gets them."""
    headers = {"Authorization": f"Bearer {stack.api_key}"}
    request = urllib.request.Request(f"{stack.url}{path}", headers=headers, method=method)
    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("Content-Type", "application/json")
        if key is not None:
            request.add_header("Idempotency-Key", key)
    try:
        with urllib.request.urlopen(request, timeout=10, context=stack.context) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, {}
    except OSError:
        return 0, {}


def whole(stack, roles):
    processes = control.status(stack.state).processes
    webs = [process.url for process in processes if process.name.startswith("web-")]
    running = all(process.pid for process in processes) and len(roles.postgres_replicas()) == 2
    return running and all(answers(url, roles.web_context()) for url in webs)


@pytest.fixture
def healthy(stack, roles):
    assert wait_until(lambda: whole(stack, roles), 90)
    return stack


def kill(pids):
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def command(stack, *words):
    return subprocess.run(
        [sys.executable, "-m", "erip.ops.stack", *words],
        env={**os.environ, "ERIP_STATE_DIR": str(stack.state.root), "COLUMNS": "80"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_there_are_three_of_each_server_and_two_or_more_of_each_process(stack):
    names = {process.name for process in control.status(stack.state).processes}
    for kind in ("redis", "sentinel", "etcd", "postgres"):
        assert {f"{kind}-{n}" for n in (1, 2, 3)} <= names
    assert {"web-1", "web-2", "leader-1", "leader-2", "haproxy", "flower"} <= names
    assert len([name for name in names if name.startswith("worker-")]) >= 3


def test_the_platform_is_told_of_all_sentinels_and_of_the_replicas(stack):
    assert stack.env["ERIP_BROKER_URL"].count("sentinel://") == 3
    assert stack.env["ERIP_SENTINEL_PASSWORD"]
    ports = read_json(stack.state.ports)
    assert f":{ports['postgres-rw']}/" in stack.env["DATABASE_URL"]
    assert f":{ports['postgres-ro']}/" in stack.env["ERIP_REPLICA_URLS"]


def test_commits_wait_for_one_of_two_standbys(stack):
    with psycopg2.connect(stack.env["DATABASE_URL"]) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW synchronous_standby_names")
        assert cursor.fetchone()[0].startswith("ANY 1 (")
        cursor.execute("SELECT pg_is_in_recovery()")
        assert cursor.fetchone() == (False,)
    with psycopg2.connect(stack.env["ERIP_REPLICA_URLS"]) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_is_in_recovery()")
        assert cursor.fetchone() == (True,)


def test_no_secret_stands_on_a_command_line_or_in_a_file_for_all(stack):
    secrets = read_json(stack.state.secrets).values()
    lines = [" ".join(process.cmdline()) for process in marked(read_json(stack.state.supervisor)["id"])]
    assert len(lines) >= 20
    assert not [line for line in lines for secret in secrets if secret in line]
    home = stack.state.root / "home"
    base = home.read_text().strip() if home.exists() else stack.state.root / "servers"
    files = [path for path in (Path(base) / "ha").glob("*/*") if path.is_file()]
    assert len([path for path in files if path.suffix in (".conf", ".yml", ".cfg", ".toml")]) == 19
    assert not [path for path in files if stat.S_IMODE(path.stat().st_mode) & 0o077]


def test_etcd_lets_nobody_in_without_a_certificate(stack):
    """The other cases are in tests/crash/test_etcd.py."""
    port = read_json(stack.state.ports)["etcd-1"]
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v3/kv/range", data=b'{"key":"YQ=="}')
    with pytest.raises(OSError, match="closed connection"):
        urllib.request.urlopen(request, timeout=5)


def refuses(name, port, context):
    """Whether nothing but an alert or the end comes back. context: None for a connection in the clear."""
    try:
        with socket.create_connection(("127.0.0.1", port), 30) as link:
            if name.startswith("postgres") and not name.endswith("-rest"):
                link.sendall(bytes.fromhex("0000000804d2162f"))
                # The answer to "no TLS, please" is in tests/crash/test_postgres_failover.py.
                assert link.recv(1) == b"S"
            with context.wrap_socket(link) if context else nullcontext(link) as spoken:
                spoken.sendall(b"GET / HTTP/1.0\r\n\r\n")
                return spoken.recv(100) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


#: the ports for users: of these no certificate is asked for
USERS = frozenset({"web"})


def listening(stack):
    """The ports on which the stack's processes really listen, by their names; by the process for one without a name."""
    names = {port: name for name, port in read_json(stack.state.ports).items()}
    found = {}
    # Redis writes its title over its environment, and PostgreSQL leaves its parents.
    every = {*marked(read_json(stack.state.supervisor)["id"]), *psutil.Process(stack.pid).children(recursive=True)}
    for process in every:
        with suppress(psutil.NoSuchProcess):
            for one in process.net_connections(kind="inet"):
                if one.status == psutil.CONN_LISTEN or one.type == socket.SOCK_DGRAM:
                    found[names.get(one.laddr.port, f"{process.name()}:{one.laddr.port}")] = one.laddr.port
    return found


def test_the_ports_that_are_tried_are_all_that_anybody_listens_on(stack, healthy):
    assert wait_until(lambda: listening(stack) == read_json(stack.state.ports), 60), listening(stack)


def test_every_port_speaks_tls_13_and_all_but_the_users_with_holders_of_our_certificates_alone(stack, tmp_path):
    foreign = Authority(tmp_path / "ca", "foreign").issue(tmp_path, Leaf("platform", "erip-platform", client=True))
    ports = listening(stack)
    assert len(ports) == 3 * 6 + 2 + 2 + 2

    def client(certificate=None, most=ssl.TLSVersion.TLSv1_3):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.maximum_version = most
        if certificate:
            context.load_cert_chain(certificate)
        return context

    for name, port in ports.items():
        of_postgres = name.startswith("postgres") and not name.endswith("-rest")
        assert refuses(name, port, client(most=ssl.TLSVersion.TLSv1_2)), f"{name}: TLS 1.2"
        # PostgreSQL refuses them when somebody logs in.
        assert of_postgres or refuses(name, port, None), f"{name}: in the clear"
        if name not in USERS:
            assert refuses(name, port, client(foreign.bundle)), f"{name}: a foreign certificate"
            assert of_postgres or refuses(name, port, client()), f"{name}: no certificate"
    for name in USERS:
        assert not refuses(name, ports[name], client()), f"{name}: a user has no certificate"
        context = ssl.create_default_context(cafile=foreign.ca)
        with (
            pytest.raises(ssl.SSLCertVerificationError),
            socket.create_connection(("127.0.0.1", ports[name]), 30) as to,
        ):
            context.wrap_socket(to, server_hostname="127.0.0.1")


@pytest.fixture(scope="module")
def admin(stack):
    """A browser in which the admin has signed in."""
    known = read_json(stack.state.credentials)["admin"]
    with httpx.Client(base_url=stack.url, verify=stack.context, timeout=30) as client:
        form = client.get("/admin/login/")
        fields = {name: known[name] for name in ("username", "password")}
        token = {"csrfmiddlewaretoken": re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form.text)[1]}
        done = client.post("/admin/login/", data={**fields, **token}, headers={"Referer": f"{stack.url}/admin/login/"})
        assert done.status_code == 302, done.text
        yield client


def flower(admin, path):
    """The status and the text; 0 if there is no answer."""
    try:
        answer = admin.get(f"/flower/{path}")
    except httpx.HTTPError:
        return 0, ""
    return answer.status_code, answer.text


def test_flower_shows_workers_and_lanes_to_who_has_signed_in_to_the_platform(stack, healthy, admin):
    assert control.status(stack.state).url("flower") == f"{stack.url}/flower/"
    assert "flower" not in read_json(stack.state.credentials)
    assert wait_until(lambda: "general-1@" in flower(admin, "workers?json=1")[1], 60), "events come in over TLS"
    status, page = flower(admin, "broker")
    assert status == 200
    assert all(f"<td>{lane}</td>" in page for lane in ("critical", "high", "standard", "bulk")), page
    assert stack.env["ERIP_SENTINEL_PASSWORD"] not in page
    with httpx.Client(base_url=stack.url, verify=stack.context, timeout=30) as stranger:
        assert stranger.get("/flower/").headers["Location"].startswith("/admin/login/")


def test_a_browser_is_told_to_come_by_https_only_but_not_for_all_of_localhost(stack, healthy):
    for host, told in (("127.0.0.1", "max-age=31536000"), ("localhost", None)):
        asked = urllib.request.Request(f"{stack.url}/health/live", headers={"Host": host})
        with urllib.request.urlopen(asked, timeout=10, context=stack.context) as answer:
            assert answer.headers["Strict-Transport-Security"] == told
    with urllib.request.urlopen(f"{stack.url}/admin/login/", timeout=30, context=stack.context) as page:
        assert "Secure" in page.headers["Set-Cookie"]


def test_the_demo_runs_on_it(stack, healthy):
    done = command(stack, "demo", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["status"] == "SUCCEEDED"


def test_programs_find_the_authority_where_the_command_says(stack, healthy):
    known = json.loads(command(stack, "status", "--json").stdout)
    env = {**os.environ, "ERIP_URL": known["url"], "ERIP_API_KEY": known["api_key"], "COLUMNS": "80"}
    words = [str(Path(sys.executable).parent / "erip"), "list"]
    how = {"capture_output": True, "text": True, "timeout": 60, "check": False}
    believed = subprocess.run(words, env={**env, "SSL_CERT_FILE": known["ca"]}, **how)
    assert believed.returncode == 0, believed.stderr
    refused = subprocess.run(words, env=env, **how)
    assert refused.returncode != 0
    assert "certificate" in refused.stderr


@pytest.mark.skipif(not can_capture(), reason="looking at the wire takes root, or CAP_NET_RAW")
def test_what_a_breach_is_about_is_nowhere_on_the_wire(stack, healthy, admin):
    mark, plain = f"marked-{token_hex(16)}", f"plain-{token_hex(16)}"
    ports, secrets = listening(stack), read_json(stack.state.secrets)
    incident = {**INCIDENT, "title": mark, "description": f"Somebody copied {mark}."}
    with (
        socket.create_server(("127.0.0.1", 0)) as control_port,
        capture({*ports.values(), control_port.getsockname()[1]}) as wire,
    ):
        # It shows that the capture sees what is not encrypted.
        with socket.create_connection(control_port.getsockname()) as link:
            link.sendall(plain.encode())
        status, run = ask(stack, "/api/v1/workflows/breach-response/runs", {"input": incident}, mark)
        assert status in (200, 201, 202)
        assert wait_until(lambda: ask(stack, f"/api/v1/runs/{run['id']}")[1].get("status") == "SUCCEEDED", 60)
        assert mark in json.dumps(ask(stack, f"/api/v1/runs/{run['id']}")[1])
        names = {name for name in ports if name != "postgres-ro" and not name.endswith("-peer")}
        assert flower(admin, "")[0] == 200
        assert wait_until(lambda: {ports[name] for name in names} <= wire.seen(), 60), "all of them are in use"
        assert wait_until(lambda: wire.holds(plain.encode()), 30)
    assert wire.holds(mark.encode()) == set()
    assert wire.holds(stack.api_key.encode()) == set()
    assert len(secrets) > 10
    assert {name: wire.holds(secret.encode()) for name, secret in secrets.items() if wire.holds(secret.encode())} == {}


def test_all_certificates_are_replaced_under_load_and_no_request_fails(stack, healthy, roles):
    ports = listening(stack)
    statuses, over = [], threading.Event()

    def shown():
        """The serial numbers, by the names of the ports."""
        found = {}
        for name, port in ports.items():
            place = f"postgres://127.0.0.1:{port}" if name.startswith("postgres") else f"127.0.0.1:{port}"
            place = f"127.0.0.1:{port}" if name.endswith("-rest") else place
            with suppress(OSError):
                found[name] = certificates.read(place)[0].serial_number
        return found

    def work():
        while not over.is_set():
            key = token_hex(8)
            statuses.append(ask(stack, "/api/v1/workflows/breach-response/runs", {"input": INCIDENT}, key)[0])

    before = shown()
    assert before.keys() == ports.keys()
    pids = {one.name: one.pid for one in control.status(stack.state).processes}
    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert wait_until(lambda: len(statuses) > 3, 60)
        assert command(stack, "renew").returncode == 0
        # The other two Sentinels have their turns later.
        now = {}
        assert wait_until(
            lambda: now.update(shown()) or sum(now.get(name) in (None, old) for name, old in before.items()) <= 2, 60
        ), {name for name, old in before.items() if now.get(name) in (None, old)}
        count = len(statuses)
        assert wait_until(lambda: len(statuses) > count + 3, 60)
    finally:
        over.set()
        thread.join()
    assert set(statuses) <= {200, 201, 202}
    after = {one.name: one.pid for one in control.status(stack.state).processes}
    assert {name for name, pid in pids.items() if after[name] != pid and not name.startswith("sentinel")} == set()


def test_no_server_runs_as_root(stack):
    if os.geteuid() != 0:
        pytest.skip("only root could")
    for process in marked(read_json(stack.state.supervisor)["id"]):
        with suppress(psutil.NoSuchProcess):
            assert process.uids().real != 0, process


def test_the_status_fits_into_80_columns_and_says_who_leads(stack, healthy, roles):
    done = command(stack, "status")
    assert done.returncode == 0
    assert max(len(line.rstrip()) for line in done.stdout.splitlines()) <= 80
    for name in (roles.postgres_primary(), roles.redis_master(), roles.etcd_leader(), roles.leader()):
        assert name in done.stdout.splitlines()[-1]
    # one row for each process, and three lines around them
    assert len(done.stdout.splitlines()) == len(control.status(stack.state).processes) + 3


def test_the_lock_of_the_leader_is_the_one_that_the_platform_takes():
    from workflows import store

    assert store.LEADER_LOCK == LEADER_LOCK


def test_a_client_that_asks_once_more_does_not_notice_that_a_web_process_dies(healthy, roles):
    statuses = []
    ended = threading.Event()

    def client():
        while not ended.is_set():
            # Only the client can send again what had reached the process that died: Note [Sent once] in haproxy.cfg.
            status = ask(healthy, "/api/v1/workflows")[0]
            statuses.append(ask(healthy, "/api/v1/workflows")[0] if status in (0, 502) else status)

    thread = threading.Thread(target=client)
    thread.start()
    try:
        assert wait_until(lambda: len(statuses) > 5, 60)
        before = len(statuses)
        kill(roles.tree("web-1"))
        assert wait_until(lambda: len(statuses) > before + 30, 30)
    finally:
        ended.set()
        thread.join()
    assert set(statuses) == {200}


def test_two_hundred_clients_that_drip_hold_no_place_of_others(healthy):
    async def attack():
        client, tally = Client(healthy.url, healthy.api_key, context=healthy.context), Tally()
        door = Door(healthy.url, healthy.context)
        try:
            assert (await client.request("PUT", f"/workflows/{NAME}", DEFINITION)).status in (200, 201)
            await client.open_connections(RATE)
            with attacking(200, lambda which: drip(door, which, tally)):
                # Their handshakes are this process's own work, too: it would be late with the others' requests.
                async with asyncio.timeout(120):
                    while tally.made < 200:
                        await asyncio.sleep(0.1)
                return await watch(client, webs_of(healthy.state), 10), tally
        finally:
            client.close()

    seen, tally = asyncio.run(attack())
    assert tally.made >= 200
    # benchmarks.front_door measures how long it takes: here others use the machine, too.
    assert seen.wrong == {}
    assert len(seen.seconds) == 10 * RATE
    assert seen.grown < 3 * LARGEST_BODY


def test_another_redis_takes_over_from_a_frozen_master(healthy, roles):
    before = roles.redis_master()
    os.kill(roles.pid(before), signal.SIGSTOP)
    try:
        assert wait_until(lambda: roles.redis_master() not in (None, before), 30)
    finally:
        os.kill(roles.pid(before), signal.SIGCONT)


def test_a_master_that_was_killed_is_started_again_or_replaced(healthy, roles):
    before = roles.redis_master()
    pid = roles.pid(before)
    kill([pid])
    assert wait_until(lambda: roles.pid(before) not in (None, pid), 30)
    ports, password = read_json(healthy.state.ports), read_json(healthy.state.secrets)["redis"]
    mine = roles.broker_identity
    assert wait_until(lambda: (name := roles.redis_master()) and ask_redis(ports[name], mine, password, "PING"), 30)


def test_another_candidate_leads(healthy, roles):
    assert wait_until(lambda: roles.leader() is not None, 60)
    before = roles.leader()
    kill(roles.tree(before))
    assert wait_until(lambda: roles.leader() not in (None, before), 30)


def test_etcd_and_sentinel_go_on_without_one_of_them(healthy, roles):
    kill(roles.tree(roles.etcd_leader()) + roles.tree("sentinel-1"))
    assert ask(healthy, "/health/ready")[0] == 200
    assert wait_until(lambda: roles.etcd_leader() is not None, 30)


#: it expires while PostgreSQL has no primary, or soon after
ASKS = {
    "name": "asks",
    "steps": {
        "ask": {"approval": {"title": "Go on", "quorum": [{"role": "board"}], "sla": "4s"}},
        "act": {
            "uses": "nexus.enrich_threat",
            "needs": ["ask"],
            "guarded_by": "ask",
            "with": {"cves": [], "severity": "low"},
        },
    },
}


def test_an_approval_expires_once_over_a_failover_and_is_never_given(healthy, roles):
    """The primary and the leader die before it expires."""
    assert ask(healthy, "/api/v1/workflows/asks", ASKS, method="PUT")[0] in (200, 201)
    runs = [ask(healthy, "/api/v1/workflows/asks/runs", {"input": {}}, f"asks-{n}")[1]["id"] for n in range(10)]
    before, leader = roles.postgres_primary(), roles.leader()
    kill(roles.tree(before) + roles.tree(leader))

    # Then
    def found():
        return [ask(healthy, f"/api/v1/runs/{run}")[1] for run in runs]

    assert wait_until(lambda: all(run.get("status") == "FAILED" for run in found()), 90)
    assert roles.postgres_primary() != before
    ended = ask(healthy, "/api/v1/approvals?state=ended&limit=200")[1]["items"]
    assert sorted((one["run"], one["outcome"]) for one in ended) == [(run, "expired") for run in sorted(runs)]
    for run in runs:
        told = [(one["type"], one["step"]) for one in ask(healthy, f"/api/v1/runs/{run}/events")[1]["items"]]
        assert told.count(("step.failed", "ask")) == 1
        assert told.count(("run.failed", None)) == 1
        assert ("step.started", "act") not in told


def test_a_run_that_was_accepted_survives_the_primary_and_new_ones_are_accepted_soon(healthy, roles):
    # Given
    path = "/api/v1/workflows/breach-response/runs"
    status, run = ask(healthy, path, {"input": INCIDENT}, "before")
    assert status in (200, 201, 202)
    before = roles.postgres_primary()
    # When
    kill(roles.tree(before))
    # Then
    assert wait_until(lambda: ask(healthy, path, {"input": INCIDENT}, "after")[0] in (200, 201, 202), 30)
    assert roles.postgres_primary() != before
    assert wait_until(lambda: ask(healthy, f"/api/v1/runs/{run['id']}")[1].get("status") == "SUCCEEDED", 60)


def manage(stack, words, typed):
    """What a command of manage.py answers."""
    env = {**os.environ, "ERIP_STATE_DIR": str(stack.state.root)}
    done = subprocess.run(
        [sys.executable, "manage.py", *words],
        env=env,
        cwd=ROOT,
        input=typed,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.timeout(1200)
@pytest.mark.skipif(program() is None, reason="no chromium is installed")
@pytest.mark.skipif("ERIP_PICTURES" not in os.environ, reason="it takes minutes: ERIP_PICTURES asks for it")
def test_five_people_answer_a_breach_at_their_browsers_over_a_failover_and_days_that_are_skipped(
    healthy, roles, tmp_path
):
    """From the report to the lessons. ERIP_PICTURES names a folder for pictures of the end."""
    # Given
    manage(healthy, ["shell", "--verbosity=0"], breach_case.MAKE_THEM)
    begun = datetime.now(UTC)
    incident = {
        **INCIDENT, "breach_id": "BR-17", "respond": True, "iterations": 1000,
        "detected_at": (begun - timedelta(hours=1)).isoformat(),
    }  # fmt: skip
    asked = {"input": incident, "business_key": "BR-17"}
    status, run = ask(healthy, "/api/v1/workflows/breach-response/runs", asked, "br-17")
    assert status in (200, 201, 202)
    with ExitStack() as opened:
        team = {
            name: breach_case.Person(name, opened.enter_context(browser(tmp_path / name)), healthy.url)
            for name in breach_case.TEAM
        }
        for one in team.values():
            one.sign_in()
        # When
        team["sam"].votes("Is this a breach? BR-17", "Approve", form={"Note": "I saw the transfer myself"})
        team["cia"].finds("Contain and answer BR-17: executive")
        before = roles.postgres_primary()
        kill(roles.tree(before))
        # The first of them votes while there is no primary.
        team["cia"].votes("Contain and answer BR-17: executive", "Approve")
        team["cleo"].votes("Contain and answer BR-17: executive", "Approve", comment="Go on")
        assert roles.postgres_primary() != before
        assert wait_until(lambda: len(roles.postgres_replicas()) == 2, 90)
        with closing(psycopg2.connect(healthy.env["DATABASE_URL"])) as connection:
            breach_case.skip(connection, run["id"], 3 * 86_400)
        # Then
        # Home reads what presses every ten seconds.
        assert wait_until(lambda: "Was due" in team["dana"].home(), 30)
        team["dana"].files("GDPR: Notify the supervisory authority", "BfDI-17")
        # The letter is for a duty without a clock.
        proofs = {"nis2-notification": "BSI-18", "gdpr-34": "Letter-9"}
        proof = json.dumps([{"obligation": code, "reference": reference} for code, reference in proofs.items()])
        team["dana"].votes("Notify authorities and people about BR-17", "Approve", form={"Filings": proof})
        secured = json.dumps([{"what": "Disk image", "kept_at": "vault 3"}])
        team["sam"].votes("Secure the evidence of BR-17", "Approve", form={"Evidence": secured, "Contained": "true"})
        actions = json.dumps([{"action": "Patch", "owner": "sam", "due": "2027-01-31"}])
        learnt = {"Lessons": "Patch sooner", "Owner": "ina", "Actions": actions}
        team["ina"].votes("Lessons of BR-17", "Approve", form=learnt)
        whole = lambda: ask(healthy, f"/api/v1/runs/{run['id']}")[1]  # noqa: E731
        assert wait_until(lambda: whole().get("status") == "SUCCEEDED", 90)
        output = whole()["output"]
        assert (output["approved"], output["dismissed"]) == (True, False)
        assert output["lessons"]["lessons"] == "Patch sooner"
        # Each of them was asked, and counted, once.
        told = ask(healthy, f"/api/v1/runs/{run['id']}/events")[1]["items"]
        ended = [one["step"] for one in told if one["type"] == "step.succeeded"]
        assert len(ended) == len({*ended})
        approvals = ask(healthy, "/api/v1/approvals?state=ended&limit=200")[1]["items"]
        mine = {one["title"].partition(" BR-17")[0]: one["outcome"] for one in approvals if one["run"] == run["id"]}
        assert {*mine.values()} == {"approved"}, mine
        assert len(mine) == 5
        # The report says what they did, and the page of the run when.
        team["ina"].tab.go(output["final_report"]["url"])
        report = team["ina"].text
        words = ("user:cia", "user:cleo", "BfDI-17", "BSI-18", "Letter-9", "Disk image")
        assert all(word in report for word in words), report
        # It was filed after its deadline, and the report must not call that met.
        deadlines = {one["code"]: one["status"] for one in output["deadlines"]}
        assert (deadlines["gdpr-33"], deadlines["nis2-notification"]) == ("late", "late"), deadlines
        team["ina"].picture("case-final-report", tall=2_600)
        team["ina"].picture("case-final-report-people", begins="Triage", tall=2_600)
        team["ina"].tab.go(f"{healthy.url}/admin/workflows/workflowrun/{run['id']}/change/")
        assert all(step in team["ina"].text for step in ("approve_executive", "final_report", "lessons"))
        team["ina"].picture("case-timeline", tall=2_600)


def test_the_logs_of_every_server_can_be_read(healthy):
    done = command(healthy, "logs", "-n", "1", "postgres-1", "etcd-1", "sentinel-1", "haproxy")
    assert done.returncode == 0
    assert "postgres-1.log" in done.stdout


def test_down_leaves_no_process(stack):
    mark = read_json(stack.state.supervisor)["id"]
    assert command(stack, "down").returncode == 0
    assert marked(mark) == []


def test_servers_of_ones_own_and_high_availability_exclude_each_other(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "erip.ops.stack", "up", "--ha"],
        env={**os.environ, "ERIP_STATE_DIR": str(tmp_path / "s"), "DATABASE_URL": "postgres://x@127.0.0.1:1/x"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "unset DATABASE_URL" in done.stderr.splitlines()[-1]
