"""`make upgrade`, after the files are those of the newer release: what runs goes over to them.

If the pinned packages are the same, new processes replace the old ones while the stack serves. If they are others, the
environment has to be replaced: the stack ends, and starts again as it was, with the same layout and settings.
"""

# ruff: noqa: S603, S606 (a program of ours is started from a list)

import os
import subprocess
import sys
from pathlib import Path

from erip.ops.stack import asked, control, progress
from erip.ops.stack.errors import StackError
from erip.ops.stack.state import ROOT, State, read_json

BOOTSTRAP = ROOT / "erip" / "ops" / "stack" / "bootstrap.py"


def upgrade(state: State) -> None:
    """Raises StackError. Does not return where the stack ended and starts anew."""
    if not control.is_running(state):
        _renew_environment()
        progress.console().print("Nothing runs here. `make up` starts the release that is here now.")
        return
    seconds = None if _environment_is_old() else control.restart(state)
    if seconds is not None:
        progress.done("the platform runs from the new files", seconds)
        return
    if not _environment_is_old():
        return  # restart ended it and started it, because settings had changed
    wanted = asked.merged(state)
    ha = read_json(state.supervisor).get("layout") == "ha"
    progress.warn("The pinned packages are others now: the platform ends and starts again. Its data stays.")
    control.down(state)
    _renew_environment()
    # In the new environment, which this process does not have.
    os.environ.update(wanted)
    os.execv(sys.executable, [sys.executable, "-m", "erip.ops.stack", "up", *(["--ha"] if ha else [])])


def _environment_is_old() -> bool:
    done = subprocess.run([sys.executable, "-I", str(BOOTSTRAP), "--venv", sys.prefix, "--check"], check=False)
    return done.returncode != 0


def _renew_environment() -> None:
    done = subprocess.run([_outside(), "-I", str(BOOTSTRAP), "--venv", sys.prefix], check=False)
    if done.returncode != 0:
        raise StackError("The environment could not be replaced; `make up` tries it again.")


def _outside() -> str:
    """A Python that is not in the environment, which is replaced underneath."""
    return str(Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}")
