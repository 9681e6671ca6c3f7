"""The traffic of real processes is recorded, checked and played back, by the commands of docs/how-to/load-test.md."""

import json
import re
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from django.core.management import call_command

from erip.access.scopes import Scope
from erip.ops.stack.state import ROOT
from monitoring.core.frames import TICK
from monitoring.models import Frame
from tests.support.api import key
from tests.support.web import web
from tests.workers import environment, leader, until, worker
from workflows.library import cache
from workflows.library.reference import sample_incident
from workflows.models import WorkflowRun

# Its own waits are longer than what tests have by default.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(900)]

PAGE = (ROOT / "docs" / "how-to" / "load-test.md").read_text()
STARTS, READS, LISTS, NONE = 6, 18, 12, 5
ENDED = ["SUCCEEDED", "FAILED", "CANCELLED"]
#: what is sent and must be in no recording
SECRET = "jane@bank.example"


def commands(what: str) -> list[list[str]]:
    """The words of each command of the page that begins so."""
    lines = re.findall(rf"^python (manage\.py {what} .*?[^\\])$", PAGE, re.MULTILINE | re.DOTALL)
    return [shlex.split(line.replace("\\\n", " ")) for line in lines]


@dataclass
class Deployment:
    """A web process, a leader and a worker, and what this test has asked of the first."""

    url: str
    token: str
    folder: Path

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.request(method, f"{self.url}/api/v1{path}", headers=headers, timeout=60, **more)

    def counted(self) -> dict[str, float]:
        """Requests by route, as PULSE has counted them: those of status 2xx."""
        asked = {"metric": "erip_http_requests_total", "by": "route,status", "range": "1h", "step": "10s"}
        answer = self.ask("GET", "/metrics/query", params=asked)
        if answer.status_code == 400:  # nothing is kept yet
            return {}
        found: Counter[str] = Counter()
        for line in answer.raise_for_status().json()["lines"]:
            if line["labels"]["status"] == "2xx":
                found[line["labels"]["route"]] += sum(point[1] for point in line["points"]) * 10
        return {route: round(count, 1) for route, count in found.items()}

    def wait_until_counted(self, wanted: dict[str, int]) -> None:
        """Until PULSE has about as many. Its rates are over the time between two reports, which a machine at work
        stretches."""
        found: dict[str, float] = {}

        def all_counted() -> bool:
            found.update(self.counted())
            return all(found.get(route, 0) > count / 2 for route, count in wanted.items())

        try:
            until(all_counted, seconds=180)
        except AssertionError:
            assert found == wanted  # says more
            raise
        # What came in the same moment may be in two frames.
        last = Frame.objects.filter(tier=TICK).latest("at").at
        until(lambda: Frame.objects.filter(tier=TICK, at__gt=last + timedelta(seconds=2 * TICK)).exists(), seconds=120)

    def run(self, words: list[str], status: int = 0) -> str:
        """A command of the page, in which production and staging are two names of this deployment."""
        host = self.url.removeprefix("http://")
        other = host.replace("127.0.0.1", "localhost")
        words = [
            word.replace("https://erip.example", self.url)
            .replace("https://staging.example", f"http://{other}")
            .replace("staging.example", other)
            for word in words
        ]
        done = subprocess.run(
            [sys.executable, str(ROOT / words[0]), *words[1:]],
            env={**environment(), "ERIP_API_KEY": self.token, "PYTHONWARNINGS": "ignore"},
            cwd=self.folder, capture_output=True, text=True, timeout=500, check=False,
        )  # fmt: skip
        assert self.token not in done.stdout + done.stderr
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    cache.forget()
    call_command("bootstrap", "--json")
    log, reports = tmp_path / "log", str(tmp_path / "reports")
    with leader(log), worker(log, ERIP_REPORT_DIR=reports), web(log, ERIP_REPORT_DIR=reports) as started:
        yield Deployment(started.url, key(Scope.OPERATOR), tmp_path)


def test_what_a_deployment_was_asked_is_recorded_checked_and_played_back(deployment: Deployment) -> None:
    # Given requests of which PULSE knows.
    until(deployment.counted, seconds=120, what="PULSE counts what the web process answers")
    started = ""
    for number in range(STARTS):
        body = {"input": sample_incident(), "business_key": f"{SECRET}-{number}"}
        started = deployment.ask("POST", "/workflows/breach-response/runs", json=body).raise_for_status().json()["id"]
    for _ in range(READS):
        deployment.ask("GET", f"/runs/{started}").raise_for_status()
    for _ in range(LISTS):
        deployment.ask("GET", f"/runs?business_key={SECRET}-1").raise_for_status()
    for _ in range(NONE):
        assert deployment.ask("GET", "/runs/0193b3c0-1111-7000-8000-00000000abcd").status_code == 404
    sent = {
        "POST /api/v1/workflows/{name}/runs": STARTS, "GET /api/v1/runs/{id}": READS, "GET /api/v1/runs": LISTS,
    }  # fmt: skip

    deployment.wait_until_counted(sent)

    # When they are recorded, without and with what changes something.
    only_reads, with_starts = commands("traffic record --url")
    deployment.run(only_reads)
    file = deployment.folder / "profile.yaml"
    reads_text = file.read_text()
    reads = yaml.safe_load(reads_text)
    assert {one["method"] for one in reads["requests"]} == {"GET"}
    assert "requests may have changed something: --writes" in reads_text
    deployment.run(with_starts)
    text = file.read_text()
    profile = yaml.safe_load(text)

    # Then each is in the profile as often as PULSE has counted it, and nothing of what was asked.
    counted = deployment.counted()
    shares = {one["name"]: one["share"] for one in profile["requests"]}
    routes = dict(zip(("startRun-breach-response", "getRun", "listRuns"), sent, strict=True))
    for name, route in routes.items():
        assert shares[name] / shares["getRun"] == pytest.approx(counted[route] / counted[routes["getRun"]], rel=0.02)
    seconds = sum(phase["seconds"] for phase in reads["phases"])
    whole = reads["rate"] * sum(phase["seconds"] * phase["factor"] for phase in reads["phases"])
    lists = whole * next(one["share"] for one in reads["requests"] if one["name"] == "listRuns") / 100
    assert lists == pytest.approx(counted["GET /api/v1/runs"], rel=0.02)
    assert f"# - {6 * 3_600 - seconds:,.0f} seconds of the range are unknown" in reads_text
    assert sum(phase["seconds"] for phase in profile["phases"]) == pytest.approx(20 * 60, rel=0.01)
    assert "requests were refused (4xx)" in text
    for secret in (SECRET, started, deployment.token, "erip_"):
        assert secret not in text
    (check,) = commands("traffic check")
    assert "writes to localhost:" in deployment.run(check)

    # And a profile with faults is refused with the place of each.
    faulty = deployment.folder / "faulty.yaml"
    faulty.write_text(text.replace("method: POST", "method: POKE").replace("format: 1", "format: one"))
    said = deployment.run([*check[:-1], str(faulty)], status=2)
    place = [one["name"] for one in profile["requests"]].index("startRun-breach-response")
    assert f"requests[{place}].method: " in said
    assert f"{faulty}: format: " in said
    (play,) = commands("run_benchmarks traffic --url")
    deployment.run([word.replace("profile.yaml", "faulty.yaml") for word in play], status=2)

    # When it is played back, as long and as often as a test may.
    profile["phases"] = [{"name": "hold", "seconds": 4, "factor": 1}]
    profile["rate"] = 10
    file.write_text(yaml.safe_dump(profile))
    runs = WorkflowRun.objects.count()
    said = deployment.run(play)

    # Then the runs are those that the database has, and the requests about those that PULSE counts, in which earlier
    # ones are: only their order of magnitude is looked at.
    results = json.loads((deployment.folder / "now.json").read_text())
    (load,) = results["loads"]
    count = {name: one["count"] for name, one in load["latencies_ms"].items()}
    figures = {one["name"]: one for one in results["figures"]}
    assert load["errors"] == {}
    assert count["all requests"] == sum(count[name] for name in shares if name in count) > 10
    assert (figures["traffic.asked"]["value"], figures["traffic.asked"]["unit"]) == (count["all requests"], "requests")
    assert load["offered_per_second"] == pytest.approx(count["all requests"] / 4)
    assert load["achieved_per_second"] <= load["offered_per_second"] + 0.001
    assert results["environment"]["url"].startswith("http://localhost:")
    assert "Release of the web processes, by PULSE: " in load["method"]
    assert "PULSE: unknown" not in load["method"]
    assert f"{count['all requests']} requests" in said
    assert WorkflowRun.objects.count() - runs == count["startRun-breach-response"]
    again = {
        "POST /api/v1/workflows/{name}/runs": STARTS + count["startRun-breach-response"],
        "GET /api/v1/runs/{id}": READS + count["getRun"],
        # One more asks for the ids, before the load.
        "GET /api/v1/runs": LISTS + count["listRuns"] + 1,
    }
    deployment.wait_until_counted(again)
    until(lambda: not WorkflowRun.objects.exclude(state__in=ENDED).exists(), seconds=300, what="all runs end")
    assert set(WorkflowRun.objects.values_list("state", flat=True)) == {"SUCCEEDED"}
