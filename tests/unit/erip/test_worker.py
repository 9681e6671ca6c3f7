"""The entry of a worker: Celery runs it again after SIGHUP, with the words that it finds in `sys.argv`."""

import subprocess
import sys

import pytest

from erip import worker


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
