"""Process 1 of a machine: mounts its own files, and runs systemd's units, as systemd itself cannot run here.

It reads the unit files with their drop-ins: user, environment, credentials, folders, limits, restarts, reloads. It does
not build the walls of a unit (`ProtectSystem=` and its like). Standard library alone, and no import of the platform.
"""

# ruff: noqa: S108, S603 (folders and programs are those of the machine and of the units)

import json
import os
import resource
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import Any

UNITS = Path("/etc/systemd/system")
CONTROL = Path("/run/machine/control")
PATH = "/run/machine/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LOGS = Path("/var/log/machine")
#: several values, of which an empty one takes away those before
LISTS = ("Environment", "EnvironmentFile", "LoadCredential", "ExecStart", "ExecStartPre", "ExecStartPost", "ExecReload")


#: what is waited for by who started it; all others are orphans, which process 1 takes in
STARTED: set[int] = set()
STARTING = threading.Lock()


def start(words: list[str], **more: Any) -> subprocess.Popen[bytes]:
    with STARTING:
        process = subprocess.Popen(words, **more)
        STARTED.add(process.pid)
    return process


def finish(words: list[str], env: dict[str, str] | None = None) -> None:
    """Raises BadUnit if it fails."""
    process = start(words, env=env)
    status = process.wait()
    STARTED.discard(process.pid)
    if status:
        raise BadUnit(f"{' '.join(words)}: status {status}")


def reap() -> None:
    """Take in orphans that ended."""
    with STARTING:
        while True:
            try:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if not found or found.si_pid in STARTED:
                return
            os.waitpid(found.si_pid, 0)


class BadUnit(Exception):
    """It cannot be started; the message says why."""


def read(name: str) -> dict[str, list[str]]:
    """All values of a unit, its drop-ins laid over it as systemd does: those of `a-.service.d` count for `a-b` too."""
    file = UNITS / f"{name}.service"
    if not file.is_file():
        raise BadUnit(f"Unit {name}.service not found.")
    parts = name.split("-")
    folders = ["-".join(parts[:at]) + "-.service.d" for at in range(1, len(parts))] + [f"{name}.service.d"]
    dropped = {one.name: one for folder in folders for one in (UNITS / folder).glob("*.conf")}
    found: dict[str, list[str]] = {}
    for path in [file, *(dropped[key] for key in sorted(dropped))]:
        for line in path.read_text().splitlines():
            if not line or line[0] in "#;[":
                continue
            key, _, value = line.partition("=")
            if key not in LISTS or not value:
                found[key] = []
            if value:
                found.setdefault(key, []).append(value)
    return found


class Unit:
    """One service."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.said = read(name)
        self.wanted = False
        self.process: subprocess.Popen[bytes] | None = None
        self.due = 0.0
        self.mark = ""

    def one(self, key: str, usual: str = "") -> str:
        return self.said.get(key, [usual])[-1:][0] if self.said.get(key) else usual

    @property
    def oneshot(self) -> bool:
        return self.one("Type") == "oneshot"

    def start(self) -> None:
        """Raises BadUnit, and OSError."""
        self._folders()
        for line in self.said.get("ExecStartPre", []):
            finish(self._as_user(shlex.split(line)), self.environment())
        self.process = self._spawn(self.one("ExecStart"))

    def run_to_end(self) -> None:
        """For a oneshot. Raises BadUnit if a command fails."""
        self._folders()
        for line in [self.one("ExecStart"), *self.said.get("ExecStartPost", [])]:
            process = self._spawn(line)
            status = process.wait()
            STARTED.discard(process.pid)
            if status:
                raise BadUnit(f"{self.name}: {line}: status {status}: see {self._log()}")

    def reload(self) -> None:
        if self.process is None or self.process.poll() is not None:
            raise BadUnit(f"{self.name} does not run")
        for line in self.said.get("ExecReload", []):
            finish(shlex.split(line.replace("$MAINPID", str(self.process.pid))))

    def stop(self) -> None:
        """The process is asked to end, and what is left after its time is ended."""
        self.wanted = False
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(float(self.one("TimeoutStopSec", "90")))
            except subprocess.TimeoutExpired:
                self.process.kill()
            self.clear()

    def clear(self) -> None:
        """End what a service left behind, as systemd does with its group of processes."""
        if self.process is not None:
            STARTED.discard(self.process.pid)
        wanted = f"INVOCATION_ID={self.mark}".encode()
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if self.mark and wanted in (folder / "environ").read_bytes().split(b"\0"):
                    os.kill(int(folder.name), signal.SIGKILL)
            except OSError:
                continue

    def _log(self) -> Path:
        return LOGS / f"{self.name}.log"

    def _spawn(self, line: str) -> subprocess.Popen[bytes]:
        self.mark = uuid.uuid4().hex
        # systemd may raise the machine's own limit; here not everybody may.
        files = min(int(self.one("LimitNOFILE", "1024")), resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        mask = int(self.one("UMask", "0022"), 8)

        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
            os.umask(mask)

        with self._log().open("ab") as log:
            return start(
                self._as_user(shlex.split(self._specified(line))),
                cwd=self.one("WorkingDirectory", "/"),
                env=self.environment() | {"INVOCATION_ID": self.mark},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=limit,
            )

    def _as_user(self, words: list[str]) -> list[str]:
        user = self.one("User", "root")
        caps = [one.removeprefix("CAP_").lower() for one in self.said.get("AmbientCapabilities", []) if one]
        added = "".join(f",+{one}" for one in caps)
        more = [f"--inh-caps=-all{added}", f"--ambient-caps=-all{added}", f"--bounding-set=-all{added}"]
        nobody = ["--no-new-privs"] if self.one("NoNewPrivileges") == "yes" else []
        return ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", *more, *nobody, "--", *words]

    def _specified(self, text: str) -> str:
        return text.replace("%d", f"/run/credentials/{self.name}").replace("%H", socket.gethostname())

    def environment(self) -> dict[str, str]:
        found = {"PATH": PATH, "LANG": "C.UTF-8"}
        for one in self.said.get("Environment", []):
            found |= dict(word.split("=", 1) for word in shlex.split(self._specified(one)))
        for file in self.said.get("EnvironmentFile", []):
            path = Path(file.removeprefix("-"))
            if file.startswith("-") and not path.exists():
                continue
            for line in path.read_text().splitlines():
                if line and line[0] not in "#;":
                    key, _, value = line.partition("=")
                    found[key] = "".join(shlex.split(value))
        for name in " ".join(self.said.get("UnsetEnvironment", [])).split():
            found.pop(name, None)
        return found

    def _folders(self) -> None:
        user = self.one("User", "root")
        for key, base in (("StateDirectory", "/var/lib"), ("RuntimeDirectory", "/run")):
            if self.one(key):
                folder = Path(base, self.one(key))
                folder.mkdir(parents=True, exist_ok=True)
                shutil.chown(folder, user, user)
                folder.chmod(int(self.one(f"{key}Mode", "0755"), 8))
        held = Path("/run/credentials", self.name)
        held.mkdir(parents=True, exist_ok=True)
        for one in self.said.get("LoadCredential", []):
            key, _, file = one.partition(":")
            shutil.copyfile(file, held / key)
            shutil.chown(held / key, user, user)
            (held / key).chmod(0o400)


class Manager:
    """All units of this machine."""

    def __init__(self) -> None:
        self._units: dict[str, Unit] = {}
        self._lock = threading.RLock()

    def do(self, verb: str, names: list[str]) -> str:
        """What `systemctl` does. Raises BadUnit."""
        if verb == "daemon-reload":
            return ""
        if verb == "status":
            return json.dumps({name: self._state(one) for name, one in self._units.items()})
        for name in names:
            if name.endswith(".target"):
                continue
            self._one(verb, name.removesuffix(".service"))
        return ""

    def _one(self, verb: str, name: str) -> None:
        if verb in ("stop", "restart") and name in self._units:
            self._units[name].stop()
        if verb in ("start", "restart", "enable"):
            unit = Unit(name)
            if unit.oneshot:
                unit.run_to_end()
                return
            with self._lock:
                unit.start()
                unit.wanted = True
                self._units[name] = unit
        if verb == "reload":
            self._units[name].reload()

    def look(self) -> None:
        """Start again what ended; reap what nobody waits for."""
        with self._lock:
            for unit in self._units.values():
                if not unit.wanted or unit.process is None or unit.process.poll() is None:
                    continue
                if not unit.due:
                    unit.clear()
                    unit.due = time.monotonic() + float(unit.one("RestartSec", "0.1"))
                elif time.monotonic() >= unit.due:
                    unit.due = 0.0
                    unit.start()
        reap()

    def _state(self, unit: Unit) -> str:
        return "active" if unit.process is not None and unit.process.poll() is None else "failed"


def mount(folder: Path, root: Path) -> None:
    """Files of its own for all that an installation writes; the rest is the machine's, to read."""

    def sh(*words: str) -> None:
        subprocess.run(words, check=True)

    sh("mount", "--make-rprivate", "/")
    for name in ("etc", "opt", "var/lib", "var/log", "root"):
        upper, work = folder / name / "files", folder / name / "work"
        upper.mkdir(parents=True, exist_ok=True)
        work.mkdir(parents=True, exist_ok=True)
        # Of root's own folder nothing is seen.
        lower = folder / "nothing" if name == "root" else Path("/", name)
        lower.mkdir(exist_ok=True)
        sh("mount", "-t", "overlay", "overlay", "-o", f"lowerdir={lower},upperdir={upper},workdir={work}", f"/{name}")
    sh("mount", "-t", "tmpfs", "tmpfs", "/run")
    sh("mount", "-t", "tmpfs", "tmpfs", "/tmp")  # nosec B108 (this host's own)
    sh("mount", "-t", "proc", "proc", "/proc")
    Path("/opt/erip").mkdir(parents=True, exist_ok=True)
    sh("mount", "--bind", str(root), "/opt/erip")
    # What an earlier installation of these packages left is none of this machine's.
    for name in ("redis", "etcd", "erip", "postgresql/15"):
        shutil.rmtree(Path("/var/lib", name), ignore_errors=True)
    for path in (LOGS, CONTROL.parent / "bin", UNITS):
        path.mkdir(parents=True, exist_ok=True)
    shim = CONTROL.parent / "bin" / "systemctl"
    shim.write_text(f'#!/bin/sh\nexec {sys.executable} -I {Path(__file__).resolve()} systemctl "$@"\n')
    shim.chmod(0o755)


def serve() -> None:
    manager = Manager()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(CONTROL))
    listener.listen()
    listener.settimeout(0.1)
    while True:
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            manager.look()
            continue
        threading.Thread(target=_answer, args=(manager, connection), daemon=True).start()


def _answer(manager: Manager, connection: socket.socket) -> None:
    with connection, connection.makefile("rw") as file:
        asked = json.loads(file.readline())
        answer: dict[str, Any] = {"fault": ""}
        try:
            answer["text"] = manager.do(asked["verb"], asked["names"])
        except (BadUnit, OSError, KeyError, subprocess.SubprocessError) as error:
            answer["fault"] = f"{type(error).__name__}: {error}"
        file.write(json.dumps(answer) + "\n")


def systemctl(words: list[str]) -> int:
    verb, *names = [word for word in words if not word.startswith("-")]
    with socket.socket(socket.AF_UNIX) as ours:
        ours.connect(str(CONTROL))
        with ours.makefile("rw") as file:
            file.write(json.dumps({"verb": verb, "names": names}) + "\n")
            file.flush()
            answer = json.loads(file.readline())
    print(answer["fault"] or answer.get("text", ""), file=sys.stderr if answer["fault"] else sys.stdout)
    return 1 if answer["fault"] else 0


def main() -> int:
    if sys.argv[1] == "systemctl":
        return systemctl(sys.argv[2:])
    _, _, folder, root, name = sys.argv
    socket.sethostname(name)
    mount(Path(folder), Path(root))
    serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
