"""When a worker counts as alive, and what a probe makes of its file."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from erip.foundation.process import alive
from erip.foundation.process.vitals import GOOD_FOR, LOOKED_WITHIN, Pulse

ROOT = Path(__file__).resolve().parents[5]


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_consumer_that_polls_is_alive_and_one_that_stops_is_not(clock: Clock) -> None:
    pulse = Pulse(clock)
    for _ in range(20):
        clock.now += 1
        pulse.polled()
        assert pulse.lives()
    clock.now += GOOD_FOR + 0.1
    pulse.looked()
    assert not pulse.lives(), "that the worker looks into PostgreSQL is no excuse for its consumer"


def test_one_that_tries_to_reconnect_lives_on_what_the_worker_finds_in_postgresql(clock: Clock) -> None:
    pulse = Pulse(clock)
    for _ in range(60):
        clock.now += 1
        pulse.reconnecting()
        pulse.looked()
        assert pulse.lives()
    for _ in range(int(LOOKED_WITHIN) + 1):
        clock.now += 1
        pulse.reconnecting()
    assert not pulse.lives(), "neither messages nor looks: it does nothing"


def probe(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    env = {**os.environ, "ERIP_ALIVE_DIR": str(folder)}
    env.pop("DJANGO_SETTINGS_MODULE", None)
    return subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "erip.foundation.process.alive", *arguments],
        env=env, cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def test_the_probe_tells_a_living_process_from_a_silent_one_and_loads_no_django(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ERIP_ALIVE_DIR", str(tmp_path / "alive"))
    folder = tmp_path / "alive"
    assert probe(folder, "general@h").returncode == 1
    alive.touch("general@h")
    found = probe(folder, "general@h")
    assert found.returncode == 0, found.stdout
    assert "django" not in found.stderr
    assert "celery" not in found.stderr
    os.utime(alive.path_of("general@h"), (0, 0))
    assert probe(folder, "general@h").returncode == 1
    alive.touch("general@h")
    alive.forget("general@h")
    assert probe(folder, "general@h").returncode == 1


@pytest.mark.parametrize("name", ["", "../secrets", "a/b", ".hidden"])
def test_a_name_that_is_no_file_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError):
        alive.path_of(name)
