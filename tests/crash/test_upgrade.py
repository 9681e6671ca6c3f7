"""An older release becomes this one and this one the older one again, as two sets of real processes behind HAProxy, on
a database that begins with the older schema, while a client starts runs all the time: no request is cut, each start is
answered, and each run ends once.

`run_benchmarks upgrade` is the same with the highly available stack and more of everything.
"""

import http.client
import json
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import urlsplit

import psycopg2
import pytest
import redis

from erip.ops.deploy.balancer import Balancer as File
from erip.ops.deploy.balancer import Rules
from erip.ops.deploy.nodes import Address, PostgresPeer
from erip.ops.deploy.switch import Balancer
from erip.ops.stack.binaries import SYSTEM_FOLDERS
from erip.ops.stack.ports import any_free
from erip.ops.stack.processes import listens
from tests import workers
from tests.support.programs import needs
from tests.support.raw import Raw
from tests.support.web import status
from tests.workers import ROOT, until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(600), needs("haproxy")]

#: the commit before production was the topic: "Steps ask stored decision tables"
BEFORE = "85a5d666"
WORK = """
name: upgraded
steps:
  first: {uses: sample.work, with: {times: 1}}
  each: {needs: [first], uses: sample.echo, foreach: [1, 2, 3], with: {value: "${{ item }}"}}
  nap: {needs: [each], wait: {for: 200ms}}
  last: {needs: [nap], uses: sample.echo, with: {value: "${{ steps.each.output.total }}"}}
output: ${{ steps.last.output.value }}
"""
#: whoever starts it and waits for its end has a long poll
HELD = """
name: held
steps: {hold: {wait: {signal: go, timeout: 1h}}}
"""
#: the sets behind HAProxy: the older release, and this one
BLUE, GREEN = "blue", "green"
#: what is wrong, in the eyes of a release, with the latest version of each workflow
READ = """
import json
from django.db.models import F
from workflows import registry
from workflows.core import definition
from workflows.models import WorkflowVersion
found = {}
for version in WorkflowVersion.objects.filter(number=F("definition__latest")).select_related("definition"):
    try:
        definition.validate(definition.parse(version.source, version.media), registry.all())
    except definition.DefinitionInvalid as error:
        found[version.definition.name] = list(map(str, error.faults))
print(json.dumps(found))
"""
#: runs that are started with each pair of releases
EACH = 5


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """The tree of the older release; in a shallow clone there is none."""
    git = shutil.which("git")
    found = git and subprocess.run([git, "cat-file", "-e", f"{BEFORE}^{{commit}}"], cwd=ROOT, capture_output=True)
    if not found or found.returncode:
        pytest.skip(f"the commit {BEFORE} is not here: a shallow clone, or no clone at all")
    tree = tmp_path / "before"
    tree.mkdir()
    packed = subprocess.run([str(git), "archive", BEFORE], cwd=ROOT, capture_output=True, check=True)
    subprocess.run(["tar", "-x", "-C", str(tree)], input=packed.stdout, check=True)
    return tree


@pytest.fixture
def database() -> Iterator[str]:
    """An empty one on the test's server."""
    url = urlsplit(workers.environment()["DATABASE_URL"])
    name = f"upgraded_{token_hex(4)}"
    with closing(psycopg2.connect(url.geturl())) as session, session.cursor() as cursor:
        session.autocommit = True
        cursor.execute(f"CREATE DATABASE {name}")
        try:
            yield url._replace(path=f"/{name}").geturl()
        finally:
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


Processes = list[subprocess.Popen[bytes]]


class Deployment:
    """Processes of two releases on one database, and HAProxy before their web processes."""

    def __init__(self, before: Path, database: str, log: Path, admin: Path) -> None:
        self.before, self.database, self.log = before, database, log
        self.port, self.ports = any_free(), {BLUE: any_free(), GREEN: any_free()}
        self.balancer, self._admin = Balancer(admin), admin
        self.token = ""
        self.processes: Processes = []

    def environment(self, tree: Path) -> dict[str, str]:
        return {
            **workers.environment(),
            "DATABASE_URL": self.database,
            "PYTHONPATH": str(tree),
            # Whoever ends them has sent clients elsewhere before.
            "ERIP_DRAIN_SECONDS": "0",
            # A body stands still for as long as a switch takes here.
            "ERIP_BODY_GRACE_SECONDS": "110",
        }

    def manage(self, tree: Path, *words: str) -> str:
        command = [sys.executable, "-W", "ignore", "manage.py", *words]
        done = subprocess.run(command, cwd=tree, env=self.environment(tree), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    def balance(self) -> None:
        """Start HAProxy, with the file of a site that has both sets."""
        webs = [Address(f"{name}-1", "127.0.0.1", port) for name, port in self.ports.items()]
        nowhere = [PostgresPeer("postgres-1", "127.0.0.1", any_free(), any_free())]
        file = self._admin.with_name("haproxy.cfg")
        rules = Rules(maxconn_all=2000)
        described = File(webs, nowhere, self.port, any_free(), any_free(), rules, active=BLUE, admin=str(self._admin))
        # On a busy machine an answer to a check takes its time, and what is counted as down is cut.
        file.write_text(described.render().replace("timeout check 1s", "timeout check 30s"))
        program = shutil.which("haproxy", path=SYSTEM_FOLDERS)
        with self.log.open("ab") as output:
            self.processes.append(
                subprocess.Popen(
                    [str(program), "-db", "-f", str(file)], stdout=output, stderr=output, start_new_session=True
                )
            )
        until(lambda: self._admin.exists() and self.passes(BLUE), what=f"HAProxy sees blue; log: {self.log}")

    def passes(self, name: str) -> bool:
        return not any(one.fails for one in self.balancer.servers() if one.set == name)

    def start(self, tree: Path) -> Processes:
        """A web process and a worker of this release, at work. What waits and is due needs no leader."""
        name = BLUE if tree == self.before else GREEN
        worker = [
            "-m", "celery", "-A", "erip", "worker", "--pool=threads", "-c", "4", "-Q", "critical,high,standard,bulk",
            "-n", f"{name}-{token_hex(2)}@test", "--without-mingle", "--without-gossip", "--loglevel=INFO",
        ]  # fmt: skip
        bind = f"--bind=127.0.0.1:{self.ports[name]}"
        web = ["-m", "gunicorn", "-c", "python:erip.gunicorn", bind, "--workers=1"]
        env, started = self.environment(tree), []
        with self.log.open("ab") as output:
            for arguments in (web, worker):
                command = [sys.executable, *arguments]
                one = subprocess.Popen(command, env=env, cwd=tree, stdout=output, stderr=output, start_new_session=True)
                started.append(one)
                self.processes.append(one)
        until(lambda: self._at_work(started, name), seconds=90, what=f"{name} is at work; log: {self.log}")
        return started

    def switch(self, to: str) -> None:
        """Send what comes to this set, and wait until the other one has answered what it has."""
        self.switch_at_once(to)
        other = BLUE if to == GREEN else GREEN
        assert self.balancer.drain([other], 120) == 0, f"{other} still has something; log: {self.log}"

    def switch_at_once(self, to: str) -> None:
        until(lambda: self.passes(to), seconds=90, what=f"{to} passes its check; log: {self.log}")
        self.balancer.switch(to)

    def end(self, processes: Processes) -> None:
        """As a rollout does it."""
        for one in processes:
            one.terminate()
        until(lambda: all(one.poll() is not None for one in processes), seconds=90, what=f"ended; log: {self.log}")

    def _at_work(self, started: Processes, name: str) -> bool:
        for one in started:
            assert one.poll() is None, f"{one.args!r} ended with {one.returncode}; log: {self.log}"
        web, worker = started
        registered = self.ask("SELECT FROM workflows_worker WHERE stopped_at IS NULL AND pid = %s", worker.pid)
        port = self.ports[name]
        return bool(registered) and listens(web.pid, port) and status(f"http://127.0.0.1:{port}/health/live") == 200

    def call(
        self, method: str, path: str, body: str, kind: str = "application/json", *, seconds: float = 20, **more: str
    ) -> tuple[int, Any]:
        """The answer's status and JSON. more: headers. Raises OSError."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": kind}
        headers |= {name.replace("_", "-"): value for name, value in more.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)
        with closing(connection):
            connection.request(method, f"/api/v1{path}", body, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"{}")

    def unended(self) -> int:
        return int(self.ask("SELECT count(*) FROM workflows_workflowrun WHERE finished_at IS NULL")[0][0])

    def ask(self, query: str, *values: Any) -> list[Any]:
        with closing(psycopg2.connect(self.database)) as session, session.cursor() as cursor:
            cursor.execute(query, values)
            return list(cursor.fetchall())


class Client:
    """Starts runs one after the other, each under a key of its own; a try that gets no answer is made again."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._go_on)
        #: idempotency key → the run that was promised
        self.promised: dict[str, str] = {}
        self.failures: list[str] = []
        #: tries that somebody cut, though another one might have succeeded
        self.cut: list[str] = []

    def __enter__(self) -> "Client":
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._over.set()
        self._thread.join(60)

    def _go_on(self) -> None:
        while not self._over.wait(0.05):
            key = token_hex(8)
            said = []
            # In all as long as the fleet of the benchmark tries, on a machine that is busy with other tests.
            for pause in (0.5, 2.0, 8.0, 30.0):
                try:
                    answered, body = self._deployment.call(
                        "POST", "/workflows/upgraded/runs", '{"input": {}}', Idempotency_Key=key
                    )
                except TimeoutError:
                    answered, body = 0, {"error": "no answer in time"}
                except (OSError, http.client.HTTPException) as error:
                    answered, body = 502, {"error": type(error).__name__}
                if answered in (200, 202):
                    self.promised[key] = str(body["id"])
                    break
                said.append(f"{answered} {str(body)[:200]}")
                if answered == 502:
                    self.cut.append(said[-1])
                if self._over.wait(pause):
                    return
            else:
                self.failures.append(" | ".join(said))

    def more(self, what: str) -> None:
        """Wait for some more runs."""
        wanted = len(self.promised) + EACH
        until(lambda: len(self.promised) >= wanted or self.failures, seconds=120, what=f"runs with {what}")
        assert self.failures == [], what


@pytest.fixture
def deployment(before: Path, database: str, log: Path) -> Iterator[Deployment]:
    # A socket's path is short.
    with tempfile.TemporaryDirectory(prefix="erip-") as folder:
        made = Deployment(before, database, log, Path(folder) / "admin.sock")
        yield made
        for one in made.processes:
            workers.kill(one)


@contextmanager
def under_way(deployment: Deployment) -> Iterator[None]:
    """A long poll, and a body that drips in, which the set that is active now has begun. The block switches; then both
    go on, and come to their end."""
    answers: list[tuple[int, Any]] = []
    wait = {"Prefer": "wait=55", "seconds": 90}
    poll = threading.Thread(
        target=lambda: answers.append(deployment.call("POST", "/workflows/held/runs", '{"input": {}}', **wait))  # type: ignore[arg-type]
    )
    poll.start()
    body = b'{"input": {}' + b" " * 60_000 + b"}"
    head = f"POST /api/v1/workflows/held/runs HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    head += f"Content-Type: application/json\r\nAuthorization: Bearer {deployment.token}\r\n\r\n"
    with Raw(f"http://127.0.0.1:{deployment.port}") as drip:
        drip.send(head.encode() + body[:45_000])
        # The client's own requests come and go; these two stay.
        until(
            lambda: waiting_at(deployment, "web_waiting") and waiting_at(deployment, "web_large"), what="blue has both"
        )
        yield
        drip.send(body[45_000:])
        assert drip.status(60) == 202
    until(lambda: held(deployment) == 2, what="both runs wait")
    for (run,) in deployment.ask("SELECT id::text FROM workflows_workflowrun WHERE workflow = 'held'"):
        assert deployment.call("POST", f"/runs/{run}/signals/go", "{}")[0] == 200
    poll.join(100)
    # It is answered by who had it: with the outcome, or after its time with what there is.
    assert [status for status, _ in answers] in ([200], [202])


def waiting_at(deployment: Deployment, backend: str) -> bool:
    return any(one.busy and one.set == BLUE for one in deployment.balancer.servers() if one.backend == backend)


def held(deployment: Deployment) -> int:
    query = "SELECT count(*) FROM workflows_steprun WHERE step = 'hold' AND state = 'WAITING'"
    return int(deployment.ask(query)[0][0])


def test_an_older_release_becomes_this_one_and_back_and_nobody_notices(
    deployment: Deployment, broker: redis.Redis
) -> None:
    before = deployment.before
    deployment.manage(before, "migrate", "--verbosity", "0")
    made = deployment.manage(before, "create_api_key", "--name", "upgraded", "--scope", "admin", "--json")
    deployment.token = json.loads(made)["key"]
    old = deployment.start(before)
    deployment.balance()
    for name, source in (("upgraded", WORK), ("held", HELD)):
        assert deployment.call("PUT", f"/workflows/{name}", source, "text/yaml")[0] in (200, 201)

    with Client(deployment) as client:
        client.more("the older release alone")
        deployment.manage(ROOT, "migrate", "--verbosity", "0")
        client.more("the older release on this schema")
        put_off = deployment.manage(ROOT, "bootstrap")
        assert "compliance-assessment: not published yet. " in put_off
        # What it would refuse, or fail over, is not there for it.
        assert json.loads(deployment.manage(before, "shell", "-c", READ).splitlines()[-1]) == {}
        new = deployment.start(ROOT)
        client.more("workers of both releases, and the older one's web processes")
        with under_way(deployment):
            deployment.switch_at_once(GREEN)
        deployment.switch(GREEN)
        client.more("this release's web processes")
        # The older set may stay for as long as one wants: back, and forward again.
        deployment.switch(BLUE)
        client.more("the older web processes again")
        deployment.switch(GREEN)
        client.more("this release's web processes again")
        # And back for good: this release's processes end, and nothing else is done.
        deployment.switch(BLUE)
        deployment.end(new)
        client.more("the older release on this schema, again")

    assert client.failures == []
    assert client.cut == []
    until(lambda: deployment.unended() == 0, seconds=120, what="all runs have ended")
    rows = deployment.ask("SELECT id::text, state, output FROM workflows_workflowrun WHERE workflow = 'upgraded'")
    assert set(client.promised.values()) <= {row[0] for row in rows}, "none is lost"
    # The client was told to stop, perhaps before it had the answer to its last one.
    assert len(rows) - len(client.promised) in (0, 1), "none is there twice"
    assert {row[1:] for row in rows} == {("SUCCEEDED", 3)}
    assert deployment.ask("SELECT DISTINCT state FROM workflows_workflowrun WHERE workflow = 'held'") == [
        ("SUCCEEDED",)
    ]
    deployment.end(old)
