"""An older release becomes this one and this one the older one again, as real processes on a database that begins with
the older schema, while a client starts runs all the time: each start is answered, and each run ends once.

`run_benchmarks upgrade` is the same with the highly available stack and more of everything.
"""

import http.client
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import urlsplit

import psycopg2
import pytest
import redis

from erip.ops.stack.ports import any_free
from erip.ops.stack.processes import listens
from tests import workers
from tests.support.web import status
from tests.workers import ROOT, until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(600)]

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
    """Processes of two releases on one database."""

    def __init__(self, before: Path, database: str, log: Path) -> None:
        self.before, self.database, self.log = before, database, log
        self.port = any_free()
        self.token = ""
        self.processes: Processes = []

    def environment(self, tree: Path) -> dict[str, str]:
        return {
            **workers.environment(),
            "DATABASE_URL": self.database,
            "PYTHONPATH": str(tree),
            # Nobody is in front who would have to notice.
            "ERIP_DRAIN_SECONDS": "0",
        }

    def manage(self, tree: Path, *words: str) -> str:
        command = [sys.executable, "-W", "ignore", "manage.py", *words]
        done = subprocess.run(command, cwd=tree, env=self.environment(tree), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    def start(self, tree: Path) -> Processes:
        """A web process and a worker of this release, at work. What waits and is due needs no leader."""
        name = "before" if tree == self.before else "after"
        worker = [
            "-m", "celery", "-A", "erip", "worker", "--pool=threads", "-c", "4", "-Q", "critical,high,standard,bulk",
            "-n", f"{name}-{token_hex(2)}@test", "--without-mingle", "--without-gossip", "--loglevel=INFO",
        ]  # fmt: skip
        bind = f"--bind=127.0.0.1:{self.port}"
        web = ["-m", "gunicorn", "-c", "python:erip.gunicorn", bind, "--workers=1", "--reuse-port"]
        env, started = self.environment(tree), []
        with self.log.open("ab") as output:
            for arguments in (web, worker):
                command = [sys.executable, *arguments]
                one = subprocess.Popen(command, env=env, cwd=tree, stdout=output, stderr=output, start_new_session=True)
                started.append(one)
                self.processes.append(one)
        until(lambda: self._at_work(started), seconds=90, what=f"{name} is at work; log: {self.log}")
        return started

    def end(self, processes: Processes) -> None:
        """As a rollout does it."""
        for one in processes:
            one.terminate()
        until(lambda: all(one.poll() is not None for one in processes), seconds=90, what=f"ended; log: {self.log}")

    def _at_work(self, started: Processes) -> bool:
        for one in started:
            assert one.poll() is None, f"{one.args!r} ended with {one.returncode}; log: {self.log}"
        web, worker = started
        registered = self.ask("SELECT FROM workflows_worker WHERE stopped_at IS NULL AND pid = %s", worker.pid)
        return bool(registered) and listens(web.pid, self.port) and status(f"{self.url}/health/live") == 200

    def call(self, method: str, path: str, body: str, kind: str, key: str = "") -> tuple[int, Any]:
        """The answer's status and JSON. Raises OSError."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": kind}
        if key:
            headers["Idempotency-Key"] = key
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with closing(connection):
            connection.request(method, f"/api/v1{path}", body, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"{}")

    def unended(self) -> int:
        return int(self.ask("SELECT count(*) FROM workflows_workflowrun WHERE finished_at IS NULL")[0][0])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

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
                        "POST", "/workflows/upgraded/runs", '{"input": {}}', "application/json", key
                    )
                except (OSError, http.client.HTTPException) as error:
                    answered, body = 0, {"error": type(error).__name__}
                if answered in (200, 202):
                    self.promised[key] = str(body["id"])
                    break
                said.append(f"{answered} {str(body)[:200]}")
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
    made = Deployment(before, database, log)
    yield made
    for one in made.processes:
        workers.kill(one)


def test_an_older_release_becomes_this_one_and_back_and_nobody_notices(
    deployment: Deployment, broker: redis.Redis
) -> None:
    before = deployment.before
    deployment.manage(before, "migrate", "--verbosity", "0")
    made = deployment.manage(before, "create_api_key", "--name", "upgraded", "--scope", "admin", "--json")
    deployment.token = json.loads(made)["key"]
    old = deployment.start(before)
    assert deployment.call("PUT", "/workflows/upgraded", WORK, "text/yaml")[0] in (200, 201)

    with Client(deployment) as client:
        client.more("the older release alone")
        deployment.manage(ROOT, "migrate", "--verbosity", "0")
        client.more("the older release on this schema")
        new = deployment.start(ROOT)
        client.more("both releases")
        # And back: this release's processes end, and nothing else is done.
        deployment.end(new)
        client.more("the older release on this schema, again")

    assert client.failures == []
    until(lambda: deployment.unended() == 0, seconds=120, what="all runs have ended")
    rows = deployment.ask("SELECT id::text, state, output FROM workflows_workflowrun")
    assert set(client.promised.values()) <= {row[0] for row in rows}, "none is lost"
    # The client was told to stop, perhaps before it had the answer to its last one.
    assert len(rows) - len(client.promised) in (0, 1), "none is there twice"
    assert {row[1:] for row in rows} == {("SUCCEEDED", 3)}
    deployment.end(old)
