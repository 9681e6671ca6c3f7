"""Which code a stack was started from, and whether the files here are other ones by now."""

import fcntl
import hashlib
import sys
from pathlib import Path
from typing import IO

from erip.ops.stack.state import ROOT, State, read_json

#: what the platform is made of, besides the packages in ERIP_APPS
PACKAGES = ("erip", "workflows", "schedules", "people", "monitoring", "console")
SUFFIXES = (".py", ".yaml", ".json", ".html", ".css", ".js", ".svg", ".md", ".txt")
#: the supervisors that run in an environment share a lock on this file in it; `bootstrap.py` replaces none that is held
IN_USE = ".in-use"

OUTDATED = (
    "The stack that runs was started from other files than those that are here now. To bring them in: make down, then "
    "make up. Its data stays, and its database is brought up to date."
)


def fingerprint(root: Path = ROOT) -> str:
    """A hash over the names and contents of all files that the platform runs from, and the requirements."""
    digest = hashlib.sha256((root / "requirements.txt").read_bytes())
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*")):
            if path.suffix in SUFFIXES and path.is_file():
                digest.update(f"{path.relative_to(root)}\0".encode())
                digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def is_outdated(state: State) -> bool:
    """Whether the running stack was started from other files. A stack that has not recorded it is of an older
    release."""
    return read_json(state.supervisor).get("code") != fingerprint()


def hold_environment() -> IO[str] | None:
    """Keep the virtual environment of this Python from being replaced, for as long as the returned file is open.

    None where the environment has no such file: it is not one of `bootstrap.py`.
    """
    try:
        file = (Path(sys.prefix) / IN_USE).open()
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return None
    return file
