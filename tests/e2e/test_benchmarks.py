"""The command, as a user runs it: a private stack, small loads, every result checked."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.management.commands.run_benchmarks import Command
from erip.ops.stack.state import ROOT
from tests.support.programs import needs_ha_programs


def benchmark(*words: str, seconds: float = 280) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "erip.settings.test"}
    return subprocess.run(
        [sys.executable, "manage.py", "run_benchmarks", *words],
        env=env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def test_the_engine_is_measured_and_every_result_is_right(tmp_path):
    told, page = tmp_path / "out.json", tmp_path / "out.html"
    small = ("--runs", "200", "--count", "10", "--rate", "20", "--backlog", "100", "--waits", "10", "--fan-outs", "2")
    done = benchmark("engine", *small, "--json", str(told), "--html", str(page))
    # The test is whether the command works, not how quick this machine is today.
    assert done.returncode in (0, 3), done.stderr
    results = json.loads(told.read_text())
    loads = {load["name"]: load for load in results["loads"]}
    assert loads.keys() == {
        "engine.throughput",
        "engine.idle_http",
        "engine.idle_in_process",
        "engine.critical",
        "engine.fan_out",
        "engine.waits",
    }
    for load in loads.values():
        assert load["correctness"]["right"], load["correctness"]["faults"]
        assert load["errors"] == {}
    assert loads["engine.throughput"]["correctness"]["steps_recorded"] == 800
    figures = {figure["name"]: figure["value"] for figure in results["figures"]}
    assert figures["engine.cpu"] > 0
    assert figures["engine.memory.worker-general"] > 20
    assert figures["engine.waits.seconds"] >= 0.4
    assert figures["limits.commits_16"] > 0
    assert results["environment"]["postgres_fsync"] == "on"
    assert page.read_text().startswith("<!doctype html>")
    assert (done.returncode == 0) == results["passed"]


def test_a_worker_killed_or_frozen_or_cut_off_loses_nothing_and_records_nothing_twice(tmp_path):
    told = tmp_path / "out.json"
    done = benchmark("engine-crash", "--runs", "2000", "--kills", "1", "--no-limits", "--json", str(told))
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads(told.read_text())
    (load,) = results["loads"]
    assert load["correctness"]["right"], load["correctness"]["faults"]
    figures = {figure["name"]: figure["value"] for figure in results["figures"]}
    # On a quick machine all runs may end before the next fault: then as many are started again.
    assert figures["engine-crash.runs"] >= 2_000
    assert load["correctness"]["steps_recorded"] == 4 * figures["engine-crash.runs"]
    assert (figures["engine-crash.lost"], figures["engine-crash.twice"]) == (0, 0)
    # The worker had work in its hands at each fault.
    assert figures["engine-crash.held"] >= 3
    assert figures["engine-crash.recovery"] > 0


def test_a_deployment_that_does_not_answer_is_a_missing_dependency():
    done = benchmark("response-times", "--url", "http://127.0.0.1:9", "--api-key", "none")
    assert done.returncode == 4
    assert "does not answer" in done.stderr


def status(*words: str) -> int:
    """The exit status, from a call in this process: a new process takes 2 s to start, only to refuse its arguments."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(SystemExit) as ended:
            Command().run_from_argv(["manage.py", "run_benchmarks", *words])
    finally:
        signal.signal(signal.SIGTERM, before)
    return ended.value.code


def test_a_wrong_call_is_told_before_anything_is_started(tmp_path):
    assert benchmark("engine", "--url", "http://127.0.0.1:8000").returncode == 2
    assert status("engine", "--url", "http://127.0.0.1:8000") == 2
    # A deployment that others use must not lose a worker.
    assert status("engine-crash", "--url", "http://127.0.0.1:8000", "--api-key", "k") == 2
    assert status("engine", "--fail-on-regression", "10%") == 2
    assert status("engine", "--baseline", str(tmp_path / "none.json")) == 2
    assert status("something") == 2
    assert status("engine", "--runs", "0") == 2


def test_timers_signals_starts_and_operations_on_many_runs_are_measured_and_every_result_is_right(tmp_path):
    told = tmp_path / "out.json"
    few = ("--waiting", "60", "--due-rate", "30", "--due-seconds", "1", "--due", "50", "--sleepers", "300")
    done = benchmark(
        "timers", "signals", "many", "starts", *few, "--races", "40", "--count", "9", "--many", "60", "--runs", "60",
        "--json", str(told),
    )  # fmt: skip
    assert done.returncode in (0, 3), done.stderr
    loads = {load["name"]: load for load in json.loads(told.read_text())["loads"]}
    assert loads.keys() == {
        "timers.steady",
        "timers.burst",
        "timers.sleepers",
        "signals.latency",
        "signals.race",
        "many",
        "starts.1",
        "starts.8",
        "starts.64",
    }
    for load in loads.values():
        assert load["correctness"]["right"], load["correctness"]["faults"]


def uptime(told: Path, *words: str) -> dict[str, Any]:
    """The results of a short run; no promise may be broken, however slow this machine is today."""
    done = benchmark("uptime", "--fleet-rate", "10", "--json", str(told), *words, seconds=560)
    assert done.returncode in (0, 3), done.stdout + done.stderr
    results = json.loads(told.read_text())
    (load,) = results["loads"]
    assert load["correctness"]["right"], load["correctness"]["faults"]
    assert load["correctness"]["runs_expected"] > 50
    figures = {figure["name"]: figure["value"] for figure in results["figures"]}
    for name in ("lost", "unended", "failed", "duplicated", "uncancelled", "twice"):
        assert figures[f"uptime.{name}"] == 0, name
    assert sum(one["asked"] for one in load["timeline"]["moments"]) >= 200
    return results


def faults_of(results: dict[str, Any]) -> dict[str, str]:
    """The process that each fault hit."""
    (grid,) = (one for one in results["loads"][0]["tables"] if one["title"] == "Faults")
    return {row[2]: row[3] for row in grid["rows"]}


@pytest.mark.timeout(600)
def test_clients_are_promised_nothing_that_is_lost_when_single_servers_die(tmp_path):
    words = ("--single", "--duration", "30s", "--seed", "7", "--faults", "worker-kill,redis-flushall")
    results = uptime(tmp_path / "out.json", *words)
    victims = faults_of(results)
    assert victims.keys() == {"worker-kill", "redis-flushall"}
    assert victims["redis-flushall"] == "redis"


@pytest.mark.timeout(600)
@needs_ha_programs
def test_clients_are_promised_nothing_that_is_lost_when_a_highly_available_server_dies(tmp_path):
    results = uptime(tmp_path / "out.json", "--duration", "25s", "--seed", "7", "--faults", "redis-kill")
    # The fault hits the process that Sentinel named.
    assert faults_of(results)["redis-kill"] == "redis-1"


def test_an_unknown_fault_or_faults_for_somebody_elses_servers_are_a_wrong_call():
    assert status("uptime", "--faults", "earthquake") == 2
    assert status("uptime", "--duration", "soon") == 2
    assert status("uptime", "--single", "--faults", "etcd-kill", "--duration", "5s") == 2
