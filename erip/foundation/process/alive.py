"""Heartbeat files: a live process touches one, and a probe checks how old it is. Imports nothing from Django.

    python -m erip.foundation.process.alive general@host
    python -m erip.foundation.process.alive leader

Exit status 0: alive, or alive and parked, which is said; 1: silent for too long, or never heard of.

A worker is called by its Celery name (`-n`); without `@…` this host's name is added. The files stand in ERIP_ALIVE_DIR,
by default `alive/` in the state directory; their modification times are all that counts. That of a process that only
stands by holds the word `parked`.
"""

import argparse
import os
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path

#: seconds between two touches
EVERY = 1.0
#: processes of which a host has one, called by their role alone
ROLES = frozenset({"leader", "autoscaler"})
#: what a file says of a process that lives and only stands by; otherwise files are empty
PARKED = "parked"
#: seconds of silence after which a process is not alive any more
SILENT_AFTER = 10.0


def directory() -> Path:
    """The directory of the files."""
    state = os.environ.get("ERIP_STATE_DIR") or Path(__file__).resolve().parents[3] / ".erip"
    return Path(os.environ.get("ERIP_ALIVE_DIR") or Path(state) / "alive")


def path_of(name: str) -> Path:
    """The file of the process of this name. Raises ValueError for a name that is no file name."""
    if not name or "/" in name or name.startswith("."):
        raise ValueError(f"{name!r} is no name of a process")
    return directory() / name


def touch(name: str, says: str = "") -> None:
    """Report that this process is alive. says: what it is besides, PARKED or "". Raises OSError if the file cannot be
    written."""
    path = path_of(name)
    if said(name) == says:
        with suppress(FileNotFoundError):
            os.utime(path)
            return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(says)


def renew(name: str) -> None:
    """The same, of a file that is there: a process that ends in good order removes its own. Raises OSError."""
    with suppress(FileNotFoundError):
        os.utime(path_of(name))


def said(name: str) -> str:
    """What the file of this process says; "" if there is none."""
    try:
        return path_of(name).read_text("utf-8", "replace")[:100]
    except OSError:
        return ""


def forget(name: str) -> None:
    """This process ends in good order."""
    path_of(name).unlink(missing_ok=True)


def silence(name: str) -> float | None:
    """Seconds since the process was last heard of; None if it never was."""
    try:
        return max(0.0, time.time() - path_of(name).stat().st_mtime)
    except FileNotFoundError:
        return None


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m erip.foundation.process.alive", description="Whether a worker or the leader is alive."
    )
    parser.add_argument("name", help="general@host, or general for this host's; leader; or autoscaler")
    parser.add_argument("--within", type=float, default=SILENT_AFTER, metavar="SECONDS")
    given = parser.parse_args(arguments)
    name = given.name if "@" in given.name or given.name in ROLES else f"{given.name}@{socket.gethostname()}"
    try:
        silent = silence(name)
    except ValueError as error:
        parser.error(str(error))
    if silent is None:
        print(f"{name}: no heartbeat in {directory()}")
        return 1
    print(f"{name}: heard of {silent:.1f} s ago{', parked' if said(name) == PARKED else ''}")
    return 0 if silent <= given.within else 1


if __name__ == "__main__":
    sys.exit(main())
