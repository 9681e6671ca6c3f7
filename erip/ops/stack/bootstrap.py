"""Make the virtual environment, from nothing but a Python with the standard library.

Run as a script by the Makefile, with whatever Python the machine has; it ends at once when requirements.txt has
not changed since the environment was made. pip installs uv (its version and hashes stand in requirements.txt),
uv installs the rest in parallel. Where uv cannot reach the packages, as behind an index that only pip's own
configuration knows, pip installs them itself.

The client in client/ is not installed but linked: a .pth file and the program `erip`. So nothing is built, nothing is
fetched without a hash, and a change of its files needs no installation.
"""

# ruff: noqa: S603 (programs are started from lists; no word of them comes from a request)

import sys

if sys.version_info < (3, 11):  # noqa: UP036 (this line is for the Python that is too old)
    sys.exit(
        f"ERIP needs Python 3.11 or newer, and {sys.executable} is {sys.version.split()[0]}. "
        "Install one and name it: make PYTHON=python3.12 ..."
    )

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import stat
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
REQUIREMENTS = ROOT / "requirements.txt"
#: as `erip.ops.stack.releases` has it, which cannot be imported here: it needs the environment
IN_USE = ".in-use"
CLIENT = ROOT / "client"
# A shell starts it, because a path after #! may have no spaces and is cut off after 127 characters.
PROGRAM = """#!/bin/sh
'''exec' "{python}" "$0" "$@"
' '''
from erip_client.cli import main
main()
"""
NO_PIP = (
    "This Python ({python}) can make no virtual environment: it has neither ensurepip nor pip. "
    "Install the package python3-venv (Debian, Ubuntu) or uv, then run make again."
)


class BootstrapError(Exception):
    """The one line to show the user."""


def main() -> int:
    """Bring the environment up to date; 0 when it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv")
    parser.add_argument("--keep", action="store_true", help="take the environment as it is, if it works")
    parser.add_argument("--check", action="store_true", help="only ask whether it is as pinned; status 3 if it is not")
    options = parser.parse_args()
    venv: Path = options.venv.absolute()
    stamp = venv / ".requirements.sha256"
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    if options.check:
        return 0 if _current(stamp, wanted) else 3
    try:
        if _current(stamp, wanted) or (options.keep and _works(venv / "bin" / "python")):
            if not (venv / IN_USE).exists():
                (venv / IN_USE).touch()
            if not _linked(venv):
                link_client(venv)
            return 0
        # Two `make` at once must not build the same environment; the lock goes with the process.
        with REQUIREMENTS.open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not _current(stamp, wanted):
                _keep_from_replacing_what_runs(venv)
                build(venv)
                stamp.write_text(wanted + "\n")
            link_client(venv)
    except BootstrapError as error:
        print(f"erip: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"erip: cannot make {venv}: {error.strerror}: {error.filename or venv}", file=sys.stderr)
        return 1
    return 0


def build(venv: Path) -> None:
    """Make `venv` if it is missing or broken, and install exactly what requirements.txt pins."""
    started = time.monotonic()
    python = venv / "bin" / "python"
    # Everyone may read the environment: the processes run as another user when root starts them.
    os.umask(0o022)
    uv_block = _requirement("uv")
    if not _works(python):
        base = choose_python()
        _say(f"making {venv.name} with {base}")
        _make_venv(base, venv)
    uv = _uv(venv, uv_block)
    _say("installing the pinned requirements")
    if uv is None or not _sync(uv, python):
        _say("uv could not install them; trying pip, which takes longer")
        _run([*_pip(python), "install", "--quiet", "--require-hashes", "-r", str(REQUIREMENTS)])
    (venv / IN_USE).touch()
    _say(f"the virtual environment is ready ({time.monotonic() - started:.0f} s)")


def _keep_from_replacing_what_runs(venv: Path) -> None:
    """Raise when a stack runs from this environment: its processes would find other files all of a sudden."""
    if runs(venv, Path(os.environ.get("ERIP_STATE_DIR") or ROOT / ".erip").expanduser().absolute()):
        raise BootstrapError(
            f"ERIP runs from {venv}, and requirements.txt has changed since. Nothing was replaced underneath it. To "
            "upgrade: make down, then make up. Its data stays, and its database is brought up to date."
        )


def runs(venv: Path, state: Path) -> bool:
    """Whether a stack runs from this environment.

    Each supervisor shares a lock on a file of its environment. One of a release that did not is found by the lock of
    the state directory.
    """
    return _is_locked(venv / IN_USE) or (_is_locked(state / "lock") and _runs_from(state / "supervisor.json", venv))


def _is_locked(file: Path) -> bool:
    """Whether a process holds a lock on it."""
    try:
        with file.open() as opened:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _runs_from(status: Path, venv: Path) -> bool:
    """Whether the stack with this supervisor.json runs from `venv`; one that does not say may do so."""
    try:
        return bool(json.loads(status.read_text()).get("python", str(venv)) == str(venv))
    except (OSError, ValueError):
        return True


def link_client(venv: Path) -> None:
    """Make the client in client/ importable, and `erip` a program of the environment."""
    for path, content, mode in _links(venv):
        path.write_text(content)
        path.chmod(mode)


def _linked(venv: Path) -> bool:
    try:
        return all(path.read_text() == content for path, content, _ in _links(venv))
    except FileNotFoundError:
        return False


def _links(venv: Path) -> list[tuple[Path, str, int]]:
    """The files that make the link: path, content and mode. None where the environment has no packages at all."""
    folders = list(venv.glob("lib/python3*/site-packages"))
    program = PROGRAM.format(python=venv / "bin" / "python")
    return [
        *((folder / "erip-client.pth", f"{CLIENT}\n", 0o644) for folder in folders),
        *((venv / "bin" / "erip", program, 0o755) for _ in folders[:1]),
    ]


def choose_python() -> str:
    """The interpreter for the environment: this one, unless root runs one that only root can read.

    A Python under /root cannot be run by the unprivileged user that the stack drops to, so the system's own is
    preferred where it can make an environment.
    """
    mine = os.path.realpath(sys.executable)
    if os.geteuid() != 0 or _readable_by_all(mine):
        return sys.executable
    check = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))"
    for name in ("python3", "python3.14", "python3.13", "python3.12", "python3.11"):
        for folder in ("/usr/local/bin", "/usr/bin"):
            other = os.path.join(folder, name)
            if not os.path.exists(other) or not _readable_by_all(os.path.realpath(other)):
                continue
            if _succeeds([other, "-I", "-c", check]):
                _say(f"{mine} is readable by root alone; using {other}, so that nothing needs to run as root")
                return other
    return sys.executable


def _readable_by_all(path: str) -> bool:
    """Whether every folder above `path` may be entered by everyone."""
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in Path(path).parents)


def _current(stamp: Path, wanted: str) -> bool:
    """Whether the environment was made from this requirements.txt and its Python is still there."""
    try:
        return stamp.read_text().strip() == wanted and (stamp.parent / "bin" / "python").exists()
    except FileNotFoundError:
        return False


def _works(python: Path) -> bool:
    return python.exists() and _succeeds([str(python), "-c", "import sys; sys.exit(sys.version_info < (3, 11))"])


def _make_venv(base: str, venv: Path) -> None:
    """With ensurepip; without it by another pip or uv that the machine has."""
    if venv.exists():
        shutil.rmtree(venv)
    if _succeeds([base, "-I", "-c", "import ensurepip, venv"]):
        _run([base, "-I", "-m", "venv", str(venv)])
    elif _succeeds([base, "-I", "-c", "import venv"]) and (
        _succeeds([base, "-m", "pip", "--version"]) or shutil.which("uv")
    ):
        _run([base, "-I", "-m", "venv", "--without-pip", str(venv)])
    elif uv := shutil.which("uv"):
        _run([uv, "venv", "--quiet", "--python", base, str(venv)])
    else:
        raise BootstrapError(NO_PIP.format(python=base))


def _uv(venv: Path, requirement: str) -> str | None:
    """The pinned uv of the environment, installed by pip; else one from PATH; None when there is neither."""
    mine = venv / "bin" / "uv"
    wanted = requirement.split()[0].removeprefix("uv==")
    if mine.exists() and f" {wanted}" in _output([str(mine), "--version"]):
        return str(mine)
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as pin:
        pin.write(requirement)
        pin.flush()
        try:
            pip = _pip(venv / "bin" / "python")
        except BootstrapError:
            if found := shutil.which("uv"):
                return found
            raise
        _say("installing uv")
        done = subprocess.run([*pip, "install", "--quiet", "--require-hashes", "-r", pin.name], check=False)
    return str(mine) if done.returncode == 0 else shutil.which("uv")


def _pip(python: Path) -> list[str]:
    """A pip that installs into the environment: its own, or this Python's (`pip --python`)."""
    if _succeeds([str(python), "-m", "pip", "--version"]):
        return [str(python), "-m", "pip"]
    if _succeeds([str(python), "-m", "ensurepip", "--default-pip"]):
        return [str(python), "-m", "pip"]
    if _succeeds([sys.executable, "-m", "pip", "--python", str(python), "--version"]):
        return [sys.executable, "-m", "pip", "--python", str(python)]
    raise BootstrapError(NO_PIP.format(python=python))


def _sync(uv: str, python: Path) -> bool:
    command = [uv, "pip", "sync", "--quiet", "--require-hashes", "--compile-bytecode", "--python", str(python)]
    return subprocess.run([*command, str(REQUIREMENTS)], check=False).returncode == 0


def _requirement(name: str) -> str:
    """The lines of requirements.txt that pin `name`, with its hashes."""
    lines: list[str] = []
    for line in REQUIREMENTS.read_text().splitlines():
        if line.startswith(f"{name}==") or (lines and line.lstrip().startswith("--hash=")):
            lines.append(line)
        elif lines:
            break
    if not lines:
        raise BootstrapError(f"requirements.txt does not pin {name}: run `make requirements` and commit it.")
    return "\n".join(lines).rstrip("\\ ") + "\n"


def _succeeds(command: list[str]) -> bool:
    return (
        subprocess.run(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, check=False
        ).returncode
        == 0
    )


def _output(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + " " if done.returncode == 0 else ""


def _run(command: list[str]) -> None:
    done = subprocess.run(command, check=False)
    if done.returncode != 0:
        raise BootstrapError(f"this failed with status {done.returncode}: {' '.join(command)}")


def _say(message: str) -> None:
    print(f"erip: {message}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
