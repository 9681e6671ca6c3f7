"""How long PostgreSQL takes no writes after a fault, and whether an acknowledged one was lost.

    python -m benchmarks.failover --runs 5            every fault, five times each

Real servers: three PostgreSQL under Patroni with their guards, three etcd, HAProxy; a client that writes all the time
through HAProxy, each row with a number, and remembers what was acknowledged. Prints a table of the gaps between the
last acknowledged write before a fault and the first after it.
"""

import argparse
import itertools
import os
import shutil
import signal
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

import psutil
import psycopg2

from erip.ops.stack.children import Child, Children
from erip.ops.stack.errors import ServerFailed
from erip.ops.stack.ha.haproxy import HaProxy
from erip.ops.stack.ha.layout import HaLayout
from erip.ops.stack.ha.roles import Roles
from erip.ops.stack.private import without_others
from erip.ops.stack.privileges import choose_user, hand_over
from erip.ops.stack.processes import kill_group, wait_until
from erip.ops.stack.reporting import write_status
from erip.ops.stack.state import State, read_json, write_private

from .uptime import cut
from .uptime.cut import Cut
from .uptime.processes import Owner
from .uptime.topology import Victim

START_SECONDS = 90.0


class Trio:
    """The database's part of a highly available stack, without supervisor and platform."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.roles = Roles(state)
        self.children = Children(token_hex(8), self._changed)
        self.layout = HaLayout(state, ())

    def start(self) -> None:
        for rank, group in enumerate(self.layout.servers()):
            wanted = [server for server in group if not server.name.startswith(("redis", "sentinel"))]
            for server in wanted:
                server.prepare()
                self.children.start(self.children.add(server, server.log, rank))
            for server in wanted:
                if not wait_until(server.ready, START_SECONDS):
                    raise ServerFailed(f"{server.name}: {server.why()}")
                if isinstance(server, HaProxy):
                    self.haproxy = server
        write_private(self.state.env, f"DATABASE_URL='{self.haproxy.database}'\n")

    def whole(self) -> bool:
        """Whether every node works and both standbys are candidates; starts again what was killed."""
        self.children.tend()
        return len(self.roles.postgres_voters()) == 2 and self.haproxy.ready()

    def child(self, name: str) -> Child:
        return next(child for child in self.children.all if child.name == name)

    def stop(self) -> None:
        for child in self.children.all:
            if child.process and child.process.poll() is None:
                kill_group(child.process)
            for pid in self.roles.tree(child.name):
                with suppress(OSError):
                    os.kill(pid, signal.SIGKILL)

    def _changed(self) -> None:
        write_status(self.state, self.children, phase="running", layout="ha", addresses={}, code="")


class Writer(threading.Thread):
    """Inserts one number after the other, on one connection after the other; `acknowledged` has the time of each."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self._url = url
        self._ended = threading.Event()
        self.acknowledged: dict[int, float] = {}
        #: what each write that was not acknowledged ended with
        self.failed: list[str] = []

    def run(self) -> None:
        numbers = itertools.count(1)
        connection = None
        while not self._ended.is_set():
            try:
                if connection is None:
                    connection = psycopg2.connect(self._url, connect_timeout=1, options="-c statement_timeout=1000")
                    connection.autocommit = True
                number = next(numbers)
                with connection.cursor() as cursor:
                    cursor.execute("INSERT INTO written (number) VALUES (%s)", [number])
                self.acknowledged[number] = time.monotonic()
            except psycopg2.Error as error:
                self.failed.append(str(error).strip())
                if connection is not None:
                    connection.close()
                connection = None
            time.sleep(0.005)

    def end(self) -> None:
        self._ended.set()
        self.join(10)

    def lost(self) -> set[int]:
        """Numbers that were acknowledged and are not in the table."""
        with psycopg2.connect(self._url) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT number FROM written")
            return set(self.acknowledged) - {row[0] for row in cursor.fetchall()}

    def gap(self, since: float, *, least: float = 0.2) -> float | None:
        """The longest time in seconds between two acknowledgements, beginning with the last one before `since`; None
        while it is no longer than `least`: then no fault has been noticed yet."""
        before = [at for at in self.acknowledged.values() if at <= since]
        after = [at for at in list(self.acknowledged.values()) if at > since]
        times = sorted([max(before), *after])
        gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
        return max(gaps) if gaps and max(gaps) > least else None

    def has_written_since(self, moment: float) -> bool:
        return any(at > moment for at in list(self.acknowledged.values()))


def kill(pids: list[int], number: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def patroni_and_postgres_killed(trio: Trio, name: str) -> None:
    kill(trio.roles.tree(name)[1:], signal.SIGKILL)


def postmaster_killed(trio: Trio, name: str) -> None:
    postmaster = trio.roles.postmaster(name)
    kill([postmaster] if postmaster else [], signal.SIGKILL)


def patroni_killed(trio: Trio, name: str) -> None:
    kill(
        [p.pid for p in psutil.Process(trio.roles.pid(name)).children() if "erip.ops.guard.patroni" in p.cmdline()],
        signal.SIGKILL,
    )


def postgres_frozen(trio: Trio, name: str) -> None:
    postmaster = trio.roles.postmaster(name)
    assert postmaster
    kill([postmaster, *(p.pid for p in psutil.Process(postmaster).children(recursive=True))], signal.SIGSTOP)


def patroni_and_postgres_frozen(trio: Trio, name: str) -> None:
    kill(trio.roles.tree(name)[1:], signal.SIGSTOP)


def node_and_guard_killed(trio: Trio, name: str) -> None:
    """Kept down long enough that only the peers can have acted."""
    child = trio.child(name)
    kill(trio.roles.tree(name), signal.SIGKILL)
    if child.process:
        child.process.wait()
    trio.children.reap(child)
    child.due = time.monotonic() + 8


def node_and_guard_frozen(trio: Trio, name: str) -> None:
    """For 12 s, which is less than the leader key lives."""
    pids = trio.roles.tree(name)
    kill(pids, signal.SIGSTOP)
    threading.Timer(12, kill, [pids, signal.SIGCONT]).start()


def cut_off(trio: Trio, name: str) -> Cut:
    """Cut off from the network, its guard too, until that is healed."""
    ports = read_json(trio.state.ports)
    top = [pid for pid in (trio.roles.pid(name), trio.roles.postmaster(name)) if pid]
    victim = Victim(name, tuple(top), (ports[name], ports[f"{name}-rest"]))
    fault = Cut(Owner(os.getpid(), "", (trio.state.root, trio.layout.home)), victim)
    fault.inject()
    return fault


def node_cut_off(trio: Trio, name: str) -> None:
    """For 8 s."""
    threading.Timer(8, cut_off(trio, name).heal).start()


FAULTS: dict[str, Callable[[Trio, str], None]] = {
    "Patroni and PostgreSQL killed": patroni_and_postgres_killed,
    "postmaster killed": postmaster_killed,
    "Patroni killed": patroni_killed,
    "PostgreSQL frozen": postgres_frozen,
    "Patroni and PostgreSQL frozen": patroni_and_postgres_frozen,
    "node and its guard killed": node_and_guard_killed,
    "node and its guard frozen": node_and_guard_frozen,
    **({"node cut off": node_cut_off} if cut.possible() else {}),
}


@contextmanager
def running_trio() -> Iterator[Trio]:
    """In a temporary folder, which is deleted with it."""
    state = State(Path(tempfile.gettempdir()) / f"erip-trio-{token_hex(6)}")
    trio = Trio(state)
    state.make()
    if user := choose_user(state):
        hand_over(state.root, user)
    try:
        with without_others():
            trio.start()
        yield trio
    finally:
        trio.stop()
        home = state.root / "home"
        if home.is_file():
            shutil.rmtree(home.read_text().strip(), ignore_errors=True)
        shutil.rmtree(state.root, ignore_errors=True)


@contextmanager
def writing(trio: Trio) -> Iterator[Writer]:
    with psycopg2.connect(trio.haproxy.owner) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS written (number bigint PRIMARY KEY)")
        cursor.execute("TRUNCATE written")
    connection.close()
    writer = Writer(trio.haproxy.owner)
    writer.start()
    try:
        yield writer
    finally:
        writer.end()


def strike(trio: Trio, writer: Writer, fault: Callable[[Trio, str], None], *, patience: float) -> float:
    """The gap in acknowledged writes. Raises TimeoutError when it is longer than `patience`."""
    assert wait_until(lambda: len(writer.acknowledged) > 20, 10)
    primary = trio.roles.postgres_primary()
    assert primary
    struck = time.monotonic()
    fault(trio, primary)

    def is_over() -> bool:
        """A gap was seen, or another node leads and takes writes: on an idle machine that takes less than a gap."""
        if writer.gap(struck) is not None:
            return True
        looked = time.monotonic()
        return trio.roles.postgres_primary() not in (None, primary) and wait_until(
            lambda: writer.has_written_since(looked), 1.0
        )

    if not wait_until(is_over, patience):
        raise TimeoutError(f"no acknowledged write within {patience:.0f} s")
    return writer.gap(struck, least=0.0) or 0.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.failover", description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--fault", action="append", choices=FAULTS, help="only this (may be repeated)")
    options = parser.parse_args()
    lost = 0
    with running_trio() as trio:
        for name in options.fault or FAULTS:
            gaps = []
            for _ in range(options.runs):
                if not wait_until(trio.whole, 90):
                    print(f"{name}: not whole before the fault")
                    return 1
                with writing(trio) as writer:
                    gaps.append(strike(trio, writer, FAULTS[name], patience=60))
                    if not wait_until(trio.whole, 90):
                        print(f"{name}: not whole again within 90 s")
                        return 1
                written = len(writer.acknowledged)
                lost += len(writer.lost())
            shown = " ".join(f"{gap:.2f}" for gap in sorted(gaps))
            print(
                f"{name:32} median {statistics.median(gaps):5.2f} s  ({shown}); last run {written} writes", flush=True
            )
    print(f"acknowledged writes lost: {lost}")
    return 1 if lost else 0


if __name__ == "__main__":
    raise SystemExit(main())
