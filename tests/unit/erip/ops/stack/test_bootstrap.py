"""The script that makes the virtual environment, as far as it goes without making one."""

import fcntl
import hashlib
import os
import subprocess
import sys

import pytest

from erip.ops.stack import bootstrap, releases


def test_uv_is_pinned_with_hashes_in_the_requirements():
    block = bootstrap._requirement("uv")
    assert block.startswith("uv==")
    assert "--hash=sha256:" in block
    assert len([line for line in block.splitlines() if "==" in line]) == 1
    assert not block.rstrip().endswith("\\")


def test_a_package_that_is_not_pinned_is_named():
    with pytest.raises(bootstrap.BootstrapError, match="does not pin no-such-package"):
        bootstrap._requirement("no-such-package")


def test_an_environment_that_is_up_to_date_is_left_alone(tmp_path):
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").symlink_to(sys.executable)
    digest = hashlib.sha256(bootstrap.REQUIREMENTS.read_bytes()).hexdigest()
    (venv / ".requirements.sha256").write_text(digest + "\n")
    done = subprocess.run(
        [sys.executable, "-I", bootstrap.__file__, "--venv", str(venv)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.fixture
def outdated(tmp_path):
    """An environment of another requirements.txt, and what `make` says to it."""
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").symlink_to(sys.executable)
    (venv / ".requirements.sha256").write_text("of another release\n")
    (venv / bootstrap.IN_USE).touch()
    env = {**os.environ, "ERIP_STATE_DIR": str(tmp_path / "state")}
    (tmp_path / "state").mkdir()

    def make(*words):
        return subprocess.run(
            [sys.executable, "-I", bootstrap.__file__, "--venv", str(venv), *words],
            capture_output=True,
            text=True,
            check=False,
            env=env,
        )

    return venv, tmp_path / "state", make


def test_the_environment_of_a_running_stack_is_not_replaced_and_what_to_do_is_said(outdated):
    venv, _, make = outdated
    with (venv / bootstrap.IN_USE).open() as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        done = make()
    assert done.returncode == 1
    assert "Nothing was replaced underneath it" in done.stderr
    assert "make down, then make up" in done.stderr
    assert (venv / ".requirements.sha256").read_text() == "of another release\n"


@pytest.mark.parametrize(("status", "refused"), [("{}", True), ('{"python": "/elsewhere"}', False), (None, True)])
def test_a_stack_of_a_release_that_held_no_such_lock_is_found_by_its_state(outdated, status, refused):
    venv, state, _ = outdated
    if status is not None:
        (state / "supervisor.json").write_text(status)
    with (state / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert bootstrap.runs(venv, state) is refused
    assert not bootstrap.runs(venv, state)


def test_what_ends_or_shows_a_stack_takes_the_environment_as_it_is(outdated):
    _, _, make = outdated
    done = make("--keep")
    assert (done.returncode, done.stderr) == (0, "")


def test_the_lock_is_the_one_that_supervisors_hold():
    assert bootstrap.IN_USE == releases.IN_USE


def test_an_old_python_is_told_which_one_is_needed(tmp_path):
    source = (bootstrap.ROOT / "erip" / "ops" / "stack" / "bootstrap.py").read_text()
    # The script as a Python that is too old would meet it: the version check is its first statement.
    script = tmp_path / "bootstrap.py"
    script.write_text(source.replace("sys.version_info < (3, 11)", "sys.version_info < (99,)", 1))
    done = subprocess.run([sys.executable, "-I", str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("ERIP needs Python 3.11 or newer")
    assert len(done.stderr.splitlines()) == 1


def test_the_client_is_linked_into_the_environment_and_runs_from_a_path_with_blanks(tmp_path):
    venv = tmp_path / "a folder" / "venv"
    packages = venv / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    packages.mkdir(parents=True)
    (venv / "bin").mkdir()
    (venv / "bin" / "python").symlink_to(sys.executable)
    digest = hashlib.sha256(bootstrap.REQUIREMENTS.read_bytes()).hexdigest()
    (venv / ".requirements.sha256").write_text(digest + "\n")
    command = [sys.executable, "-I", bootstrap.__file__, "--venv", str(venv)]
    assert subprocess.run(command, capture_output=True, text=True, check=False).returncode == 0
    assert (packages / "erip-client.pth").read_text() == f"{bootstrap.ROOT / 'client'}\n"
    # This environment has no packages of its own: the Python's are used.
    path = os.pathsep.join(entry for entry in sys.path if entry)
    done = subprocess.run(
        [venv / "bin" / "erip", "--version"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("erip ")
    # What is linked is left alone; what is not any more is linked again.
    written = (venv / "bin" / "erip").stat().st_mtime_ns
    subprocess.run(command, check=True)
    assert (venv / "bin" / "erip").stat().st_mtime_ns == written
    (venv / "bin" / "erip").unlink()
    subprocess.run(command, check=True)
    assert (venv / "bin" / "erip").exists()
