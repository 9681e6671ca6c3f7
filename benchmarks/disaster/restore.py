"""A large database is backed up and restored to a named second, by the commands of docs/how-to/backups.md."""

import json
import os
import shutil
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_hex
from typing import Any

from erip.ops.backup.archived import Archiving, archiving
from erip.ops.backup.pgbackrest import find
from erip.ops.stack.errors import ServerFailed
from erip.ops.stack.privileges import choose_user
from erip.ops.stack.processes import wait_until
from erip.ops.stack.servers import Server, temporary_folder
from erip.ops.stack.state import State

from ..history import fill
from . import left, servers
from .ledger import Callers
from .seen import Seen
from .sites import Site, make_ready

PATIENCE = 180.0
PROOFS = ("ledger", "audit", "erased", "keys", "work")
#: bytes of a run beside its document: its rows, those of its four steps, and their index entries
BESIDE = 3_000
#: bytes of disk for each byte of the database: the data, the repository, and what is restored
ROOM = 2.9
#: while it is filled nothing has to survive
FILLING = {
    "max_wal_size": "8GB",
    "checkpoint_timeout": "30min",
    "shared_buffers": "512MB",
    "autovacuum": "off",
    # What compresses little is seen sooner.
    "default_toast_compression": "lz4",
}
#: no vacuum of what was just written comes in between
WORKING = {"max_wal_size": "2GB", "shared_buffers": "512MB", "autovacuum": "off"}


@dataclass(frozen=True)
class Sizes:
    """gigabytes: of the database. document: characters of each run's outcome. after: runs between the backup and the
    second. under_way: runs in flight at the second. patience: seconds for the drill."""

    gigabytes: float = 20.0
    document: int = 32_640
    after: int = 5_000
    under_way: int = 2_000
    patience: float = 7_200.0


def tell(sizes: Sizes, seen: Seen) -> None:
    """The whole story. Raises ServerFailed, and MissingServer where PostgreSQL is too new for pgBackRest."""
    if find() is None:
        raise ServerFailed("this machine has no pgBackRest (Debian: apt install pgbackrest)")
    state = State.from_environment()
    user = choose_user(state)
    with ExitStack() as stack:
        folder = stack.enter_context(temporary_folder(user))
        folder.chmod(0o755)
        room = shutil.disk_usage(folder).free
        if room < sizes.gigabytes * 1e9 * ROOM:
            raise ServerFailed(f"{sizes.gigabytes:.0f} GB need {sizes.gigabytes * ROOM:.0f} GB of disk under {folder}")
        server, node = archiving(servers.home(folder, "postgres", user), state, user)
        stack.callback(server.kill)
        site = Site(
            "east", folder, server, token_hex(24), user, ERIP_BACKUP_CONFIG=str(node.configuration),
        )  # fmt: skip
        stack.callback(site.kill)
        callers = _filled(sizes, seen, server, site)
        _backed_up(seen, site)
        second = _second(sizes, seen, server, site, callers)
        _restored(sizes, seen, site, second, servers.home(folder, "drill", user))


def _filled(sizes: Sizes, seen: Seen, server: Server, site: Site) -> Callers:
    """The database, full; its server archives then. Returns callers who know it."""
    kind = server.kind
    assert isinstance(kind, Archiving)
    kind.archives, kind.fsync, kind.more = False, False, FILLING
    server.start(PATIENCE)
    site.redis.start()
    callers = Callers(make_ready(site.env, site.folder / "prepare.log"))
    callers.site = (site.name, site.url)
    site.start()
    until(site.ready, "it serves")
    callers.define()
    callers.chains(100)
    ended(server, PATIENCE)
    site.kill()
    ((template,),) = servers.ask(
        server.url, "SELECT id::text FROM workflows_workflowrun WHERE state = 'SUCCEEDED' LIMIT 1"
    )
    # It is trusted: who owns the database may have it.
    servers.change(server.url, "CREATE EXTENSION IF NOT EXISTS pgcrypto")
    count = max(1, int(sizes.gigabytes * 1e9 / (sizes.document * 1.04 + BESIDE)))
    with seen.timed(f"{count:,} finished runs were written", count):
        fill(
            server.url, template, count, lambda _: None, document=sizes.document, at_once=os.cpu_count() or 1,
            portion=1_000,
        )  # fmt: skip
    with seen.timed("all was on the disk"):
        server.stop()
        os.sync()
    kind.archives, kind.fsync, kind.more = True, True, WORKING
    server.start(PATIENCE)
    ((size,),) = servers.ask(server.url, "SELECT pg_database_size(current_database())")
    seen.keep("bytes", size, f"the database has {size / 1e9:.2f} GB")
    return callers


def _backed_up(seen: Seen, site: Site) -> None:
    began = time.monotonic()
    done = site.manage("backup", "now", "--json")
    if done.returncode != 0:
        raise ServerFailed(f"backup now: {done.stderr.strip()[-1500:]}")
    took, made = time.monotonic() - began, json.loads(done.stdout)["backup"]
    seen.figures["stored_bytes"] = made["stored_bytes"]
    rate, stored = made["size_bytes"] / 1e6 / took, made["stored_bytes"] / 1e9
    seen.keep("backup", took, f"backup now: {took:.1f} s, {rate:.0f} MB/s, {stored:.2f} GB stored")


def _second(sizes: Sizes, seen: Seen, server: Server, site: Site, callers: Callers) -> datetime:
    """Runs that end after the backup, runs that are in flight, the second, and runs that come after it."""
    site.start()
    until(site.ready, "it serves")
    callers.chains(sizes.after)
    ended(server, PATIENCE * 3)
    sealed = "SELECT count(*) FROM audit_checkpoint"
    ((before,),) = servers.ask(server.url, sealed)
    site.stop_worker()
    callers.chains(sizes.under_way)
    callers.sleepers(100, (datetime.now(UTC) + timedelta(seconds=1)).isoformat())
    until(lambda: servers.ask(server.url, sealed)[0][0] > before, "the audit log is signed")
    ((second,),) = servers.ask(server.url, "SELECT clock_timestamp()")
    callers.chains(500)
    done = site.manage("backup", "check")
    if done.returncode != 0:
        raise ServerFailed(f"backup check: {done.stderr.strip()[-1500:]}")
    seen.say(
        f"the second: {second.isoformat()}; {left.open_runs(server.url):,} runs open now, 500 of them from after it"
    )
    assert isinstance(second, datetime)
    return second


def _restored(sizes: Sizes, seen: Seen, site: Site, second: datetime, into: Path) -> None:
    report = site.folder / "drill.json"
    began = time.monotonic()
    done = site.manage(
        "drill", "--second", second.isoformat(), "--margin", "0", "--into", str(into), "--patience",
        str(sizes.patience), "--report", str(report),
    )  # fmt: skip
    took = time.monotonic() - began
    if not report.exists():
        raise ServerFailed(f"drill: {done.stderr.strip()[-1500:]}")
    found: dict[str, Any] = json.loads(report.read_text())
    seen.figures["drill"] = found
    gigabytes = seen.figures["bytes"] / 1e9
    for name, seconds in found["times"].items():
        seen.say(f"drill, {name}: {seconds:.1f} s, {gigabytes * 1e3 / max(seconds, 0.01):.0f} MB/s")
    for one in found["proofs"]:
        seen.say(f"drill, proof {one['name']}: {one['ok']}, {one['seconds']:.1f} s: {one['says']}")
    seen.say(f"drill: {took:.1f} s; RTO {found['rto_seconds']:.1f} s, RPO {found['rpo_seconds']:.1f} s")
    proven = {one["name"]: one["ok"] for one in found["proofs"]}
    seen.must("the drill proves everything", proven == dict.fromkeys(PROOFS, True) and done.returncode == 0)
    work: dict[str, Any] = next((one for one in found["proofs"] if one["name"] == "work"), {})
    seen.must("runs in chunks go on", work.get("due_in_chunks", 0) > 0 and work["taken_up"] == work["due"])


def ended(server: Server, seconds: float) -> None:
    if left.drained(server.url, patience=seconds):
        raise ServerFailed("the runs did not end")


def until(fact: Any, what: str) -> None:
    if not wait_until(fact, PATIENCE):
        raise ServerFailed(f"not within {PATIENCE:.0f} s: {what}")
