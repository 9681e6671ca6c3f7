"""The turns of a rehearsal: forward and back, process by process and all at once, with the table in between."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import psycopg2

from erip.ops.stack import control, services
from erip.ops.stack.errors import StackError
from erip.ops.stack.ha.roles import Roles
from erip.ops.stack.processes import Identity
from erip.ops.stack.state import State, read_json

from ..deployment import Deployment
from ..errors import BenchmarkError
from ..uptime.outages import Mark
from ..uptime.topology import absent, database_faults, missing_workers, names_of, pid_of
from .old_stack import Release

#: seconds until a process that was asked to end is there again, and serves
BACK_WITHIN = 120.0
LOOK_EVERY = 0.1
#: seconds that the filling of the table may take
FILLED_WITHIN = 1800.0
#: seconds of ordinary life before the first turn, and between two
CALM = 5.0


@dataclass
class Turns:
    """One rehearsal. marks: what was done when, as it goes on. plan: what `upgrade --plan` said before. filled: seconds
    that the rows took."""

    deployment: Deployment
    release: Release
    tell: Callable[[str], object]
    marks: list[Mark]
    plan: str = ""
    filled: float = 0.0

    @property
    def _state(self) -> State:
        assert self.deployment.state is not None
        return self.deployment.state

    async def run(self) -> None:
        """All of them. Raises BenchmarkError."""
        await asyncio.sleep(CALM)
        await self._settled()
        names = self._names()
        # The first of each kind, so that two releases are side by side while the rows are filled.
        first = [name for name in names if name.endswith("-1")]
        await self._step("schema forward", "tables", self._forward)
        await self._roll("rolled forward", first)
        await self._step("rows filled", "5 kinds of processes of two releases beside it", self._fill)
        await self._roll("rolled forward", [name for name in names if name not in first])
        await self._step("files back", "", self._files_back)
        await self._roll("rolled back", names)
        await self._step("all at once forward", "web, workers, leaders", lambda: self._all_at_once(newer=True))
        await asyncio.sleep(CALM)
        await self._settled()
        await self._step("all at once back", "web, workers, leaders", lambda: self._all_at_once(newer=False))
        await asyncio.sleep(CALM)
        await self._settled()

    # --- what is done -----------------------------------------------------------------------------------

    def _forward(self) -> None:
        self.release.tree.switch(self.release.after, newer=True)
        # It ends with 1 where the old release breaks, or nothing is known; what it says goes to the report.
        self.plan = self.release.manage(self._state, "upgrade", "--plan", right=(0, 1))
        self.release.manage(self._state, "migrate", "--verbosity", "0")
        self.release.manage(self._state, "bootstrap")

    def _fill(self) -> None:
        began = time.monotonic()
        self.release.manage(self._state, "backfill", "run", "--rest", "0.5", patience=FILLED_WITHIN)
        self.filled = time.monotonic() - began

    def _files_back(self) -> None:
        self.release.tree.switch(self.release.before, newer=False)

    def _all_at_once(self, *, newer: bool) -> None:
        release = self.release
        release.tree.switch(release.after if newer else release.before, newer=newer)
        olds = self._leaders()
        try:
            control.reload(self._state)
        except StackError as error:
            raise BenchmarkError(f"The processes were not replaced: {error}") from error
        # The leaders come last, and then what older processes could not read is published: by commands that are started
        # from the files that are in place.
        until = time.monotonic() + BACK_WITHIN
        while self._leaders() & olds or not read_json(self._state.setup).get("files"):
            if time.monotonic() > until:
                raise BenchmarkError(f"The end of the replacement was not seen within {BACK_WITHIN:.0f} s.")
            time.sleep(LOOK_EVERY)

    def _leaders(self) -> set[int]:
        processes = read_json(self._state.supervisor).get("processes", [])
        return {int(one["pid"]) for one in processes if str(one["name"]).startswith("leader") and one["pid"]}

    async def _roll(self, kind: str, names: Sequence[str]) -> None:
        for name in names:
            await self._step(kind, name, lambda name=name: self._replace(name))  # type: ignore[misc]
            await self._settled()

    def _replace(self, name: str) -> None:
        """Ask it to end; the supervisor starts it again, from the files that are in place."""
        before = pid_of(self._state, name)
        os.kill(before, signal.SIGTERM)
        until = time.monotonic() + BACK_WITHIN
        while not self._came_back(name, before):
            if time.monotonic() > until:
                raise BenchmarkError(f"{name} did not come back within {BACK_WITHIN:.0f} s.")
            time.sleep(LOOK_EVERY)

    def _came_back(self, name: str, before: int) -> bool:
        try:
            now = pid_of(self._state, name)
        except BenchmarkError:
            return False
        return now != before and Identity.of(now) is not None

    async def _step(self, kind: str, what: str, do: Callable[[], None]) -> None:
        self.tell(f"{kind}: {what}" if what else kind)
        at = time.perf_counter()
        self.marks.append(Mark(kind, what, at, at))
        await asyncio.to_thread(do)
        self.marks[-1] = replace(self.marks[-1], healed=time.perf_counter())

    # --- how it is --------------------------------------------------------------------------------------

    def _names(self) -> list[str]:
        """What runs code of the platform: web processes, then workers, then leaders."""
        names = names_of(self._state)
        return [name for kind in ("web", "worker", "leader") for name in names if name.startswith(kind)]

    async def _settled(self) -> None:
        """Raises BenchmarkError where something is missing for too long."""
        until = time.monotonic() + BACK_WITHIN
        while missing := await asyncio.to_thread(self._missing):
            if time.monotonic() > until:
                raise BenchmarkError(f"Still missing: {', '.join(missing)}")
            await asyncio.sleep(LOOK_EVERY)
        if self.marks and self.marks[-1].whole is None:
            last = self.marks[-1]
            self.marks[-1] = replace(last, whole=time.perf_counter() - last.at)

    def _missing(self) -> list[str]:
        assert self.deployment.database is not None
        try:
            return (
                absent(self._state)
                or self._silent()
                or database_faults(self.deployment.database)
                or missing_workers(self._state, self.deployment.database)
                or self._loading()
            )
        except BenchmarkError as error:
            return [str(error)]

    def _loading(self) -> list[str]:
        """The leaders that have not said yet that they live: until then they read files, which must stay in place."""
        assert self.deployment.database is not None
        try:
            session = psycopg2.connect(self.deployment.database, connect_timeout=2)
            with closing(session), session.cursor() as cursor:
                cursor.execute("SELECT pid FROM workflows_leader")
                known = {pid for (pid,) in cursor.fetchall()}
        except psycopg2.Error as error:
            return [f"the database ({str(error).strip().splitlines()[0]})"]
        return ["a leader"] if self._leaders() - known else []

    def _silent(self) -> list[str]:
        """The web processes that do not answer."""
        found = []
        for one in read_json(self._state.supervisor).get("processes", []):
            if str(one["name"]).startswith("web"):
                url = str(one["url"])
                context = Roles(self._state).web_context() if urlsplit(url).scheme == "https" else None
                if not services.answers(url, context):
                    found.append(str(one["name"]))
        return found
