"""HAProxy, asked on its stats socket: which servers of each backend are up."""

import csv
import socket
import time
from collections.abc import Mapping
from pathlib import Path

from monitoring.core.components import Member, State
from monitoring.core.series import series
from monitoring.probes import PATIENCE, Finding, Unanswered

_MOST = 1_000_000


class HaProxy:
    """where: the path of the socket, or `host:port`."""

    def __init__(self, where: str) -> None:
        self._where = where

    def __call__(self) -> Finding:
        known = ask(self._where, "show info\n")
        facts = dict(line.split(": ", 1) for line in known.splitlines() if ": " in line)
        rows = list(csv.DictReader(ask(self._where, "show stat\n").removeprefix("# ").splitlines()))
        if not rows or "svname" not in rows[0]:
            raise Unanswered("HAProxy answers something that is not its statistics")
        return judge(rows, facts)


def judge(rows: list[dict[str, str]], facts: Mapping[str, str]) -> Finding:
    """What to say of `show stat` and `show info`."""
    measures: dict[str, float] = {}
    members: list[Member] = []
    empty, partly = [], []
    for backend in (row for row in rows if row["svname"] == "BACKEND"):
        name = backend["pxname"]
        servers = [
            row
            for row in rows
            if row["pxname"] == name and row["svname"] not in ("BACKEND", "FRONTEND") and row["bck"] != "1"
        ]
        up = sum(_is_up(row) for row in servers)
        if name == "web":
            members += [_member(row) for row in servers]
        measures[str(series("erip_haproxy_servers_up", backend=name))] = float(up)
        for column, metric in (("qcur", "queue"), ("scur", "sessions")):
            if backend[column]:
                measures[str(series(f"erip_haproxy_{metric}", backend=name))] = float(backend[column])
        for column, metric in (("hrsp_5xx", "errors"), ("req_tot", "requests")):
            if backend.get(column):
                measures[str(series(f"erip_haproxy_{metric}_total", backend=name))] = float(backend[column])
        if servers and not up:
            empty.append(name)
        # Of PostgreSQL's servers only one is the primary, and it is no replica: that is how it should be.
        elif up < len(servers) and not name.startswith("postgres"):
            partly.append(f"{name} ({up} of {len(servers)})")
    identity = f"{facts.get('Pid', '')} {facts.get('Start_time_sec', '')}".strip()
    # A HAProxy that finds no server works: the trouble is theirs.
    about = dict.fromkeys("postgresql" if name.startswith("postgres") else "web" for name in (*empty, *partly))
    state, sentence = State.OK, "HAProxy serves, and all its servers are up."
    if "web" in empty or "postgres_primary" in empty:
        state, sentence = State.DOWN, f"HAProxy has no server that is up for {', '.join(empty)}."
    elif empty or partly:
        lacking = ", ".join([*(f"{name} (none)" for name in empty), *partly])
        state, sentence = State.DEGRADED, f"HAProxy serves, but not all servers are up: {lacking}."
    return Finding(state, sentence, identity, measures, tuple(members), tuple(about))


def _is_up(row: Mapping[str, str]) -> bool:
    return row["status"].startswith("UP") or row["status"] == "no check"


def _member(row: Mapping[str, str]) -> Member:
    """A web server, as HAProxy's checks find it. `chkdown` counts how often it was found down, however shortly."""
    name, state = row["svname"], State.OK if _is_up(row) else State.DOWN
    counted = row.get("chkdown") or ""
    counters = {"failures": float(counted)} if counted.isdigit() else {}
    return Member("web", name, state, f"HAProxy finds {name} {row['status'].lower()}.", counters=counters, direct=False)


def ask(where: str, command: str) -> str:
    """The answer to a command. Raises Unanswered."""
    deadline = time.monotonic() + PATIENCE
    said = b""
    try:
        with _connect(where) as link:
            link.sendall(command.encode())
            while len(said) < _MOST:
                link.settimeout(max(0.01, deadline - time.monotonic()))
                piece = link.recv(65_536)
                if not piece:
                    return said.decode("utf-8", "replace")
                said += piece
                if time.monotonic() > deadline:
                    break
    except OSError as error:
        raise Unanswered(f"HAProxy's stats socket does not answer: {type(error).__name__}") from error
    raise Unanswered("HAProxy's stats socket does not come to an end")


def _connect(where: str) -> socket.socket:
    host, _, port = where.rpartition(":")
    if host and port.isdigit() and not where.startswith("/"):
        return socket.create_connection((host, int(port)), PATIENCE)
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        link.settimeout(PATIENCE)
        link.connect(str(Path(where)))
    except BaseException:
        link.close()
        raise
    return link
