"""The entry of a worker: Celery runs it again after SIGHUP, with the words that it finds in `sys.argv`."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from erip import worker
from erip.ops.stack.state import ROOT
from tests.workers import until


def test_the_words_of_a_worker_start_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["erip/worker.py", "--help"])
    with pytest.raises(SystemExit):
        worker.main(["--help"])
    # As `celery.apps.worker._reload_current_worker` does.
    again = subprocess.run([sys.executable, *sys.argv], capture_output=True, text=True, check=False, timeout=120)
    assert again.returncode == 0, again.stderr[-500:]
    assert "Usage: python -m erip.worker" in again.stdout


@pytest.mark.parametrize("word", ["--detach", "-D", "-ED"])
def test_a_worker_does_not_leave_its_supervisor(
    word: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["erip/worker.py", word])
    with pytest.raises(SystemExit) as ended:
        worker.main([word])
    assert ended.value.code == 2
    assert "No such option" in capsys.readouterr().err


def test_a_worker_that_is_told_while_it_loads_ends_with_0(tmp_path: Path) -> None:
    """Note [Told early] in `early_end`. An app that it loads waits for the test, so it is caught however quick."""
    (tmp_path / "waits_here").mkdir()
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    (tmp_path / "waits_here" / "__init__.py").write_text(f"open({str(gate)!r}).read()\n")
    settings = {
        "DJANGO_SETTINGS_MODULE": "erip.settings.test",
        "DATABASE_URL": "postgres://nobody@127.0.0.1:1/none",
        "ERIP_APPS": "waits_here",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)]),
    }

    opened: list[int] = []

    def reads() -> bool:
        assert loading.poll() is None, said(loading)
        try:
            opened.append(os.open(gate, os.O_WRONLY | os.O_NONBLOCK))
        except OSError as error:
            if error.errno != errno.ENXIO:  # nobody reads yet
                raise
        return bool(opened)

    with subprocess.Popen(
        [sys.executable, "-m", "erip.worker", "--pool=threads", "-c", "2", "-Q", "standard", "-n", "early@test"],
        cwd=ROOT,
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as loading:
        try:
            until(reads, seconds=120, what="it loads the app")
            loading.send_signal(signal.SIGTERM)
            assert loading.wait(timeout=120) == 0, said(loading)
        finally:
            loading.kill()
            for fd in opened:
                os.close(fd)
        assert said(loading) == ""


def said(ended: subprocess.Popen[str]) -> str:
    assert ended.stdout is not None
    return ended.stdout.read()
