"""Keeps a stack's processes alive, and ends them all when it ends itself.

One process with one thread: it starts the servers of its layout (`single`, `ha`), has the database brought up to date,
starts the platform, then waits for a signal or a child that died. What runs is written to supervisor.json at every
change, for `status` and for the clean-up after a crash. The process that started it reads its progress from a pipe, as
JSON lines: `{"step": …}`, `{"done": …, "seconds": …}`, `{"warning": …}`, and `{"ready": true}` or `{"failed": …}` as
the last.
"""

import fcntl
import os
import secrets
import select
import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import IO, Any
from urllib.parse import urlsplit

from erip.foundation.os_errors import in_words
from erip.foundation.process.trust import context_of
from erip.ops.stack import carrying, control, environment, own, releases, services, setup
from erip.ops.stack.children import Child, Children, Server
from erip.ops.stack.errors import ServerFailed, StackError, from_os_error
from erip.ops.stack.layout import Layout
from erip.ops.stack.postgres import Postgres
from erip.ops.stack.processes import MARK, last_line, listens
from erip.ops.stack.reloading import Reload
from erip.ops.stack.reporting import Progress, write_status
from erip.ops.stack.rotation import rotate_all
from erip.ops.stack.services import Service
from erip.ops.stack.state import State, read_json, write_json, write_private

# A machine that is busy with other things takes its time.
START_SECONDS = 120.0
CRASHES_AT_START = 3


class Stopped(Exception):
    """A signal asked the supervisor to end while it was starting."""


class Supervisor:
    """The stack under `state`, laid out as `layout` says.

    carry: the PostgreSQL of the single stack, if its data shall be taken over before the platform starts.
    """

    def __init__(
        self, state: State, layout: Layout, report: IO[str] | None, carry: Callable[[], Postgres] | None = None
    ) -> None:
        self.state = state
        self.layout = layout
        self.progress = Progress(report)
        self.children = Children(secrets.token_hex(8), self._write_status)
        self.phase = "starting"
        self.stopping = False
        self._asked_to_reload = self._asked_to_renew = False
        self._env: dict[str, str] = {}
        self._reloads = 0
        #: how the last reload went
        self._reloaded: dict[str, Any] = {}
        self._carry = carry
        self._code = releases.fingerprint()
        self._environment: IO[str] | None = None
        self._wakeup, self._wake = os.pipe()

    # --- the whole life ---------------------------------------------------------------------------------

    def run(self) -> int:
        """Until SIGTERM or SIGINT; the exit status."""
        self._catch_signals()
        lock = self.state.lock.open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.progress.tell(failed="Another supervisor has just started this stack.")
            return 1
        self._environment = releases.hold_environment()
        status = 0
        try:
            self._start()
            self.phase = "running"
            self._write_status()
            self.progress.tell(ready=True)
            self.progress.close()
            while True:
                self._pause(self.children.next_due())
                if self._asked_to_reload:
                    self._reload()
                if self._asked_to_renew:
                    self._asked_to_renew = False
                    self.layout.replace_certificates()
                    self.children.renew_now()
                self.children.tend()
                self.children.renew()
                rotate_all(self.state.logs)
        except Stopped:
            pass
        except (StackError, OSError) as error:
            known = error if isinstance(error, StackError) else from_os_error(error, self.state.root)
            print(f"failed: {known}", flush=True)
            self.progress.tell(failed=str(known))
            status = 1
        finally:
            self.stopping = True
            self.phase = "stopping"
            self.children.stop_all()
            self.state.supervisor.unlink(missing_ok=True)
            self.progress.close()
        return status

    def _reload(self) -> None:
        """Replace the platform's processes; how that went is written for the process that asked for it."""
        began, said = time.monotonic(), ""
        self._asked_to_reload = False
        code = releases.fingerprint()
        reload = Reload(
            self.children,
            self._env,
            serves=_serves,
            registered=lambda pids: services.workers_registered(self._env["DATABASE_URL"], pids),
            take_more=lambda pids: services.workers_take_more(self._env["DATABASE_URL"], pids),
            pause=self._pause,
        )
        try:
            setup.bring_up_to_date(self.state, self._env, self.layout.secrets["admin"], self.progress)
            reload.run()
            self._code = code
        except (StackError, OSError) as error:
            said = in_words(error)
        print(f"reloaded: {said or 'done'}", flush=True)
        self._reloads += 1
        self._reloaded = {"number": self._reloads, "failed": said, "seconds": round(time.monotonic() - began, 2)}
        self._write_status()
        try:
            if not said:
                reload.finish()
                # What the processes before could not read is published now that they are gone.
                setup.bring_up_to_date(self.state, self._env, self.layout.secrets["admin"], self.progress)
        except (StackError, OSError) as error:
            print(f"not replaced: {in_words(error)}", flush=True)

    def _start(self) -> None:
        self._write_status()
        check = own.Check({**os.environ, MARK: self.children.stack_id})
        try:
            self._start_all(check)
        finally:
            check.stop()

    def _start_all(self, check: own.Check) -> None:
        ranks = 0
        for rank, group in enumerate(self.layout.servers()):
            self._start_servers(group, rank)
            ranks = rank + 1
        told = self.layout.settings()
        write_private(self.state.env, services.env_file(told))
        module = environment.settings_module(os.environ)
        wanted = {**told, "DJANGO_SETTINGS_MODULE": module, MARK: self.children.stack_id}
        self._env = env = {**environment.of_platform(os.environ), **wanted}
        # It has run beside the servers' start. A process that cannot load would otherwise be started over and over.
        if broken := check.result():
            raise ServerFailed(f"The platform cannot be loaded: {broken}")
        known = self.layout.secrets
        if self._carry:
            self.progress.tell(step="carrying the single stack's data over")
            carrying.carry_over(self._carry(), env["DATABASE_OWNER_URL"], self.progress.done)
            # What was copied has no privileges yet.
            self.state.setup.unlink(missing_ok=True)
        setup.bring_up_to_date(self.state, env, known["admin"], self.progress)
        self._forget_flower()
        self._start_platform(self.layout.services(env), env["DATABASE_URL"], ranks)

    # --- servers ----------------------------------------------------------------------------------------

    def _start_servers(self, group: list[Server], rank: int) -> None:
        """Start them all at once and wait until each does its work."""
        if not group:
            return
        self.progress.tell(step="starting " + _named(group))
        began = time.monotonic()
        waiting = []
        for server in group:
            child = self.children.add(server, server.log, rank)
            server.prepare()
            self.children.start(child)
            waiting.append((child, server))
        while waiting:
            for child, server in list(waiting):
                if server.ready():
                    waiting.remove((child, server))
                    where = f" on port {server.port}" if server.port else ""
                    where = where if len(group) < 3 else f" ({server.name}){where}"
                    self.progress.done(server.title + where, time.monotonic() - began)
                    continue
                self.children.reap(child)
                if child.process is None:
                    raise ServerFailed(f"{server.title} does not start: {server.why()} (the whole log: {server.log})")
                if time.monotonic() - began > START_SECONDS:
                    raise ServerFailed(f"{server.title} did not answer within {START_SECONDS:.0f} s; see {server.log}")
            self._pause(0.03)

    # --- the platform -----------------------------------------------------------------------------------

    def _start_platform(self, wanted: list[Service], database: str, rank: int) -> None:
        """Start all at once, and wait until the web processes can serve and none of them has died."""
        self.progress.tell(step="starting " + ", ".join(service.name for service in wanted))
        began = time.monotonic()
        # Flower comes last: nobody waits for it, and it would slow down what somebody waits for.
        for service in wanted:
            if service.name != "flower":
                self._start_service(service, rank)
        serving = [child for child in self.children.all if child.what in wanted and getattr(child.what, "url", None)]
        while not (all(map(_serves, serving)) and self._front_answers() and self._workers_registered(database)):
            self._pause(0.1)
            self.children.tend()
            for child in self.children.all:
                if max(child.crashes, child.restarts) >= CRASHES_AT_START:
                    raise ServerFailed(
                        f"{child.name} does not start: {last_line(child.log)} (the whole log: {child.log})"
                    )
            if time.monotonic() - began > START_SECONDS:
                log = self.state.logs / f"{wanted[0].name}.log"
                raise ServerFailed(f"The web process did not become ready within {START_SECONDS:.0f} s; see {log}")
        self.progress.done("platform started", time.monotonic() - began)
        for service in wanted:
            if service.name == "flower":
                self._start_service(service, rank)

    def _start_service(self, service: Service, rank: int) -> Child:
        child = self.children.add(service, self.state.logs / f"{service.name}.log", rank)
        self.children.start(child)
        return child

    def _front_answers(self) -> bool:
        return self.layout.serves()

    def _workers_registered(self, database: str) -> bool:
        workers = [child for child in self.children.all if child.name.startswith("worker-")]
        pids = {child.identity.pid for child in workers if child.identity}
        return len(pids) == len(workers) and services.workers_registered(database, pids)

    def _forget_flower(self) -> None:
        """An earlier release gave its login to people."""
        known = read_json(self.state.credentials)
        if known.pop("flower", None) is not None:
            write_json(self.state.credentials, known)

    # --- signals, reports -------------------------------------------------------------------------------

    def _catch_signals(self) -> None:
        """Signals wake `_pause`; a second one while stopping changes nothing."""
        os.set_blocking(self._wake, False)
        os.set_blocking(self._wakeup, False)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._ask_to_stop)
        signal.signal(control.RELOAD, self._ask_to_reload)
        signal.signal(control.RENEW, self._ask_to_renew)

    def _ask_to_stop(self, _number: int, _frame: FrameType | None) -> None:
        self.stopping = True

    def _ask_to_reload(self, _number: int, _frame: FrameType | None) -> None:
        self._asked_to_reload = True

    def _ask_to_renew(self, _number: int, _frame: FrameType | None) -> None:
        self._asked_to_renew = True

    def _pause(self, seconds: float) -> None:
        """Wait for a signal, for `seconds` at most."""
        if self.stopping:
            raise Stopped
        if select.select([self._wakeup], [], [], seconds)[0]:
            os.read(self._wakeup, 512)
        if self.stopping:
            raise Stopped

    def _write_status(self) -> None:
        write_status(
            self.state,
            self.children,
            phase=self.phase,
            layout=self.layout.name,
            addresses=self.layout.addresses,
            code=self._code,
            reloaded=self._reloaded,
        )


def _named(group: list[Server]) -> str:
    return ", ".join(dict.fromkeys(server.title for server in group))


def _serves(child: Child) -> bool:
    """Whether this very process serves: another stack that has taken its port meanwhile would answer in its place.

    The process that it is to replace may answer, too: then it is enough that this one listens, as it does when it can
    answer (Note [A shared port] in `erip.foundation.http.shared_port`).
    """
    url = getattr(child.what, "url", None) or ""
    if child.identity is None or not listens(child.identity.pid, urlsplit(url).port):
        return False
    mine = getattr(child.what, "asked_with", None)
    return services.answers(url, context_of(str(mine.ca), str(mine.certificate)) if mine else None)
