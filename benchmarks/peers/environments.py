"""A virtual environment for each peer, made on demand from its pinned requirements and kept in the state directory."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.peers.catalogue import Entry
from erip.ops.stack.state import State

FOLDER = Path(__file__).resolve().parent
#: seconds for the download of one peer's packages
INSTALL_SECONDS = 300


class NotInstalled(Exception):
    """The peer's packages cannot be installed here; the message quotes the last line of the installer."""


def uv() -> str:
    """The uv of this project's requirements."""
    return str(Path(sys.executable).with_name("uv"))


def python_of(peer: Entry) -> str:
    """The interpreter to run the peer with. Raises NotInstalled."""
    if peer.package is None:
        return sys.executable
    requirements = FOLDER / peer.module / "requirements.txt"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]
    place = State.from_environment().root / "peers" / f"{peer.name}-{digest}"
    python = place / "bin" / "python"
    # The marker is written last: an interrupted installation is made anew.
    marker = place / "complete"
    if not marker.exists():
        shutil.rmtree(place, ignore_errors=True)
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _uv("venv", "--python", sys.executable, str(place))
        _uv("pip", "install", "--python", str(python), "--require-hashes", "-r", str(requirements))
        marker.touch()
    return str(python)


def version_of(peer: Entry) -> str:
    """The pinned version; empty for this project itself."""
    if peer.package is None:
        return ""
    lines = (FOLDER / peer.module / "requirements.txt").read_text().splitlines()
    names = (line.split("==") for line in lines if "==" in line)
    return next(rest.split()[0] for name, rest in names if name.split("[")[0] == peer.package)


def _uv(*arguments: str) -> None:
    try:
        done = subprocess.run(  # noqa: S603
            [uv(), "-q", *arguments], capture_output=True, text=True, check=False, timeout=INSTALL_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotInstalled(f"uv: {error}") from None
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or [f"status {done.returncode}"]
        raise NotInstalled(f"uv {arguments[0]}: {last[0].strip()}")
