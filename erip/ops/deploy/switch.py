"""`python -m erip.ops.deploy.switch`: which set of web servers HAProxy sends requests to, changed while it serves.

Note [Sets of web servers]
The servers `blue-1` and `blue-2` are the set `blue`: what stands before the last number. Blue and green are two
complete sets, of two releases as a rule, and both stand in HAProxy's file at all times. Those of one set have a
weight; those of the other have the weight 0: they are looked at, and are sent nothing. A switch gives the other set
its weight, and then takes it from the first, in one command for all backends: at no moment is there nobody. Nothing
is cut: what a server has begun (a long poll, a stream, a body that drips in) it ends, and it may stay for as long as
you want. The way back is the same command with the other name. It is right at every point: whatever state it finds,
the same state follows.

A set is only switched to if each of its servers passes its check. HAProxy forgets all of this when it is started again:
then its file decides (`active` under `[balancer]`), and the command says so where that differs.
"""

import argparse
import csv
import io
import re
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

#: of haproxy.cfg; the first one checks
BACKENDS = ("web", "web_waiting", "web_large", "web_files")
#: of a server whose weight in HAProxy's file is 0
WEIGHT = 100
#: seconds that HAProxy may take for an answer
PATIENCE = 5.0
LOOK_EVERY = 0.2
DONE, NOT_DRAINED, REFUSED, NOT_KNOWN = 0, 1, 2, 3
_NAME = re.compile(r"(?P<set>.+)-\d+(?P<unchecked>-unchecked)?")


class SwitchError(Exception):
    """HAProxy cannot be asked, or a set cannot be switched to."""


class NotKnownError(SwitchError):
    """Weights were sent, and not all of them were taken, or nobody can tell."""


def set_of(name: str) -> str:
    """The set that a server belongs to; its whole name where it has no number."""
    found = _NAME.fullmatch(name)
    return found["set"] if found else name


@dataclass(frozen=True, slots=True)
class Server:
    """One server in one backend. busy: requests that it works on, or that wait for it. fails: what its check says, ""
    where it passes or is not checked there. usual: its weight in HAProxy's file. given: the one it was given since."""

    backend: str
    name: str
    weight: int
    busy: int
    fails: str
    usual: int = 0
    given: int = 0

    @property
    def place(self) -> tuple[str, str]:
        return self.backend, self.name

    @property
    def set(self) -> str:
        return set_of(self.name)

    @property
    def unchecked(self) -> bool:
        return self.name.endswith("-unchecked")


class Balancer:
    """A HAProxy that runs, by its socket for commands."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def ask(self, text: str) -> str:
        """What it answers to a line. Raises SwitchError."""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
                link.settimeout(PATIENCE)
                link.connect(str(self._path))
                link.sendall(f"{text}\n".encode())
                link.shutdown(socket.SHUT_WR)
                return b"".join(iter(lambda: link.recv(65_536), b"")).decode(errors="replace")
        except OSError as error:
            raise SwitchError(f"{self._path}: {error.strerror or error}") from None

    def servers(self) -> list[Server]:
        """Raises SwitchError."""
        weights = {}
        for line in self.ask("show servers state").splitlines():
            fields = line.split()
            if len(fields) > 8 and fields[1] in BACKENDS:
                weights[fields[1], fields[3]] = int(fields[8]), int(fields[7])
        rows = csv.DictReader(io.StringIO(self.ask("show stat -1 4 -1").lstrip("# ")))
        found = [
            Server(
                row["pxname"],
                row["svname"],
                int(row["weight"]),
                int(row["scur"] or 0) + int(row["qcur"] or 0),
                _fails(row),
                *weights.get((row["pxname"], row["svname"]), (0, 0)),
            )
            for row in rows
            if row.get("pxname") in BACKENDS and row["svname"] not in ("FRONTEND", "BACKEND")
        ]
        if not found:
            raise SwitchError(f"{self._path}: this HAProxy has no web servers, or its socket does not tell of them")
        return found

    def switch(self, to: str, *, force: bool = False) -> list[str]:
        """Send what comes from now on to this set alone. Returns the other sets. Raises NotKnownError, or else
        SwitchError, and then nothing was changed.

        force: also if some of its servers fail their check.
        """
        servers = self.servers()
        mine = [one for one in servers if one.set == to]
        sets = sorted({one.set for one in servers})
        if not mine:
            raise SwitchError(f"there is no set {to}; there is {', '.join(sets)}")
        if not force and (failing := [f"{one.name} fails its check: {one.fails}" for one in mine if one.fails]):
            raise SwitchError("; ".join(failing))
        # Those that get requests first: at no moment is there nobody.
        wanted = {one.place: one.usual or WEIGHT for one in mine}
        wanted |= {one.place: 0 for one in servers if one.set != to}
        self._send(wanted, {one.place: one.given for one in servers})
        return [one for one in sets if one != to]

    def _send(self, wanted: dict[tuple[str, str], int], before: dict[tuple[str, str], int]) -> None:
        """Whether they were taken, HAProxy says when it is asked again. Raises as `switch` does."""
        answered = True
        try:
            told = self.ask("; ".join(f"set server {'/'.join(place)} weight {one}" for place, one in wanted.items()))
            said = f"{self._path}: {' '.join(told.split())}"
        except SwitchError as error:
            answered, said = False, str(error)
        try:
            now = {one.place: one.given for one in self.servers()}
        except SwitchError as error:
            raise NotKnownError(f"whether it has switched is not known: {error}") from None
        if now == wanted:
            return
        # What was not answered may still come to its turn.
        if now == before and answered:
            raise SwitchError(said)
        others = ", ".join(
            f"{'/'.join(place)}: {now.get(place)}" for place in wanted if now.get(place) != wanted[place]
        )
        raise NotKnownError(f"it has not switched as a whole ({said}); weights that are not as they shall be: {others}")

    def busy(self, sets: Sequence[str]) -> int:
        """Requests that these sets still work on. Raises SwitchError."""
        return sum(one.busy for one in self.servers() if one.set in sets)

    def drain(self, sets: Sequence[str], seconds: float, pause: Callable[[float], object] = time.sleep) -> int:
        """Wait until these sets work on nothing any more, for so long. Returns what is left. Raises SwitchError."""
        until = time.monotonic() + seconds
        while (left := self.busy(sets)) and time.monotonic() < until:
            pause(LOOK_EVERY)
        return left


def _fails(row: dict[str, str]) -> str:
    """Only the first backend checks; the others go by what that one sees."""
    checked = row["pxname"] == BACKENDS[0] and not row["svname"].endswith("-unchecked")
    said = (row.get("check_status") or "").removeprefix("* ")
    if not checked or (said in ("L7OK", "L7OKC") and not row["status"].startswith(("DOWN", "MAINT"))):
        return ""
    return " ".join(filter(None, (row["status"], said, row.get("last_chk"))))[:200]


def main(arguments: Sequence[str] | None = None) -> int:
    """0: done, and the others work on nothing any more. 1: done, and they still do. 2: nothing was changed. 3: weights
    were sent, and either not all of them were taken, or nobody can tell, or what is under way is not known."""
    parser = argparse.ArgumentParser(
        prog="erip.ops.deploy.switch",
        description="Sends requests to another set of web servers, or shows the sets. Nothing that has begun is cut.",
    )
    parser.add_argument("set", nargs="?", help="blue, of the servers blue-1 and blue-2; default: show all sets")
    parser.add_argument("--socket", type=Path, required=True, help="HAProxy's socket for commands (level admin)")
    parser.add_argument("--wait", type=float, default=60.0, help="seconds to wait until the others have ended (60)")
    parser.add_argument("--force", action="store_true", help="also to servers that fail their check")
    options = parser.parse_args(arguments)
    balancer = Balancer(options.socket)
    try:
        if options.set is None:
            _show(balancer)
            return DONE
        others = balancer.switch(options.set, force=options.force)
    except NotKnownError as error:
        print(f"erip.ops.deploy.switch: {error}. The same command once more sets all of them.", file=sys.stderr)
        return NOT_KNOWN
    except SwitchError as error:
        print(f"erip.ops.deploy.switch: {error}", file=sys.stderr)
        return REFUSED
    print(f"{options.set} gets all requests that come from now on.")
    try:
        _warn(balancer, options.set)
        left = balancer.drain(others, options.wait) if others else 0
    except SwitchError as error:
        print(f"erip.ops.deploy.switch: it has switched; what is under way is not known: {error}", file=sys.stderr)
        return NOT_KNOWN
    if left:
        print(f"{', '.join(others)}: {left} requests are still under way. They may take as long as they want.")
        return NOT_DRAINED
    if others:
        print(f"{', '.join(others)}: nothing is under way. It may stay, for the way back, or end.")
    return DONE


def _show(balancer: Balancer) -> None:
    servers = balancer.servers()
    for name in sorted({one.set for one in servers}):
        mine = [one for one in servers if one.set == name]
        gets = "gets requests" if any(one.weight for one in mine if not one.unchecked) else "gets none"
        failing = [f"{one.name} fails its check: {one.fails}" for one in mine if one.fails]
        print(f"{name}: {gets}; {sum(one.busy for one in mine)} under way{''.join(f'; {one}' for one in failing)}")


def _warn(balancer: Balancer, to: str) -> None:
    checked = [one for one in balancer.servers() if one.backend == BACKENDS[0] and not one.unchecked]
    if any(bool(one.usual) != (one.set == to) for one in checked):
        print(
            f'HAProxy forgets this when it is started again or reloaded. Before another set ends, set active = "{to}"'
            " under [balancer], render its file, and reload it."
        )


if __name__ == "__main__":
    sys.exit(main())
