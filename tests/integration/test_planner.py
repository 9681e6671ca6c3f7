"""`manage.py plan` on frames as the collector writes them: a load that is known is found again."""

import random
import re
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from django.core.management import CommandError, call_command
from django.db import connection

from erip.ops.stack.state import ROOT
from monitoring import store
from monitoring.core.series import Series, series
from monitoring.gathering import Gathering
from monitoring.store import work
from tests.support.events import Recorder, accept, consuming, event
from tests.workers import until

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = (ROOT / "docs" / "how-to" / "plan.md").read_text()


def frames(count: int = 60) -> None:
    """Frames of the last minutes: a run takes 4 ms of a worker, and waits for 20 ms at the most."""
    draw = random.Random(5)
    processes = {"web": 2.0, "worker": 2.0, "leader": 1.0}
    now = work.clock()
    for number in range(count):
        runs, events = draw.uniform(1, 40), draw.uniform(10, 900)
        used = {"web": 0.05 + 0.001 * runs + 0.0001 * events, "worker": 0.06 + 0.004 * runs, "leader": 0.02}
        values: dict[Series, float] = {
            series("erip_runs_accepted_total", workflow="look-up"): runs,
            series("erip_events_logged_total"): events,
            series("erip_postgresql_commits_total"): 3 + 2 * runs,
            series("erip_postgresql_wal_bytes_total"): 1e4 + 5e3 * runs,
            series("erip_postgresql_blocks_read_total"): 2 + runs / 10,
        }
        for le, share in (("0.02", 0.995), ("0.1", 1.0), ("+Inf", 1.0)):
            name = "erip_step_wait_seconds_bucket"
            values[series(name, lane="critical", le=le, component="worker")] = runs * share
        for kind, many in processes.items():
            values |= {
                series("erip_process_cpu_seconds_total", component=kind): used[kind],
                series("erip_processes", component=kind): many,
                series("erip_process_memory_bytes", component=kind): 1e8 * many,
                series("erip_db_connections_in_use", component=kind, database="default"): many,
                series("erip_db_connections_idle", component=kind, database="default"): 2 * many,
            }
        store.learn_series((one, one.metric.endswith(("_total", "_bucket"))) for one in values)
        places = {known.series: known.id for known in store.read_series()}
        row: list[float | None] = [None] * max(places.values())
        for one, value in values.items():
            row[places[one] - 1] = value
        at = now.replace(microsecond=0) - timedelta(seconds=now.second % 10 + 10 * (count - number))
        store.append_frame(at, row)


def plan(*words: str) -> tuple[int, str]:
    out = StringIO()
    try:
        call_command("plan", *words, stdout=out)
    except CommandError as error:
        return error.returncode, f"{out.getvalue()}{error}"
    return 0, out.getvalue()


def test_a_load_that_is_known_is_found_again_and_what_is_not_is_said() -> None:
    frames()
    status, text = plan("--runs", "look-up=100/s", "--json", "--days", "0.02")
    assert status == 0, text
    made = orjson.loads(text)
    (worker,) = (one for one in made["processes"] if one["kind"] == "worker")
    cores = worker["cores"]
    assert cores["low"] <= 0.03 * worker["replicas"] + 0.4 <= cores["high"]
    assert cores["high"] - cores["low"] < 0.1
    assert cores["beyond"] > 2
    assert made["database"]["commits/s"]["value"] == pytest.approx(203, rel=0.02)
    assert made["connections"] >= 3 * worker["replicas"]
    assert any("PostgreSQL" in note for note in made["notes"])

    status, text = plan("--runs", "other=1/s", "--days", "0.02")
    assert (status, "no runs of other were seen" in text) == (2, True)


def test_the_example_of_the_page_and_its_prices(tmp_path: Path) -> None:
    frames()
    example = re.search(r"^manage\.py plan (.*)$", PAGE, re.MULTILINE)
    prices = re.search(r"```text\n(.*?)```", PAGE, re.DOTALL)
    assert example
    assert prices
    (tmp_path / "prices.yaml").write_text(prices[1])
    status, text = plan(*example[1].split(), "--days", "0.02", "--prices", str(tmp_path / "prices.yaml"))

    assert status == 2, "nobody has 1,000 runs here"
    assert "bytes of runs" in text
    assert re.search(r"^worker +\d+ +", text, re.MULTILINE)
    assert re.search(r"^a month +.* EUR$", text, re.MULTILINE)
    assert "p99 of 50 ms was kept" in text


def test_the_patches_are_those_of_the_manifests() -> None:
    frames()
    status, text = plan("--critical", "20/s", "--kustomize", "--days", "0.02")
    assert status == 0, text
    there = {
        (one["kind"], one["metadata"]["name"]): one
        for file in (ROOT / "deploy" / "k8s" / "base").glob("*.yaml")
        for one in yaml.safe_load_all(file.read_text())
        if one and "metadata" in one
    }
    for patch in yaml.safe_load_all(text):
        whole: Any = there[patch["kind"], patch["metadata"]["name"]]
        if patch["kind"] == "Deployment":
            assert ("replicas" in patch["spec"]) == ("replicas" in whole["spec"])
            (container,) = patch["spec"]["template"]["spec"]["containers"]
            assert container["name"] in [one["name"] for one in whole["spec"]["template"]["spec"]["containers"]]


def test_hostile_demands_are_refused_by_name_and_nothing_is_guessed_of_an_empty_past(tmp_path: Path) -> None:
    status, text = plan("--critical", "1e30/s", "--events", "0/s", "--runs-kept", "-1", "--deadline", "50")
    assert status == 1
    assert {line.split()[0] for line in text.splitlines()} == {"--critical", "--events", "--runs-kept", "--deadline"}
    for content in (b"\xff\xfe", b"[" * 100_000, b"currency: [", b"a: 1", b"x" * 200_000):
        (tmp_path / "prices").write_bytes(content)
        status, text = plan("--runs", "1/s", "--prices", str(tmp_path / "prices"))
        assert (status, "--prices" in text) == (1, True), content[:20]
    assert plan("--runs", "1/s", "--prices", str(tmp_path / "none"))[0] == 1
    status, text = plan("--critical", "1/s", "--kustomize")
    assert (status, "nothing was seen" in text) == (2, True)


def test_events_that_took_effect_are_in_the_frames() -> None:
    gathering, at = Gathering(), work.clock()
    name = series("erip_events_logged_total")
    assert name not in gathering.work(at)
    with consuming(Recorder()):
        accept([event(subject=f"asset-{n}") for n in range(30)])
        until(lambda: work.events_logged() >= 30)
    assert gathering.work(at + timedelta(seconds=10))[name] == (True, 3.0)
    assert gathering.counted()[0][name] == 30.0
    with connection.cursor() as cursor:
        cursor.execute("UPDATE events_partition SET position = 0")
    assert name not in gathering.work(at + timedelta(seconds=20))
