"""The packages that a site adds (ERIP_APPS): where they stand, and whether the platform loads with them."""

import hashlib
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.machinery import PathFinder
from pathlib import Path

from erip.ops.stack import environment
from erip.ops.stack.processes import MARK
from erip.ops.stack.state import ROOT

#: what tables and reference data of a package are made from
SOURCES = ("migrations/*.py", "hooks.py", "models.py", "**/*.yaml", "**/*.yml", "**/*.json")
#: a machine that is busy takes its time, and a module that waits for something at its import is a fault as well
CHECK_SECONDS = 60.0


def names(env: Mapping[str, str]) -> list[str]:
    return [name.strip() for name in env.get("ERIP_APPS", "").split(",") if name.strip()]


def folders(env: Mapping[str, str]) -> list[Path]:
    """The folders of the packages that can be found. Nothing is imported."""
    path = [str(where) for where in (env.get("ERIP_APPS_DIR"), ROOT) if where] + sys.path
    found = []
    for name in names(env):
        first, *rest = name.split(".")
        spec = PathFinder.find_spec(first, path)
        if spec is None or not spec.submodule_search_locations:
            continue
        folder = Path(next(iter(spec.submodule_search_locations)))
        for part in rest:  # the rest may name a class of `apps.py`
            folder = folder / part if (folder / part).is_dir() else folder
        found.append(folder)
    return found


def fingerprint(env: Mapping[str, str]) -> str:
    """A hash over what a database is brought up to date from: changes whenever a package does."""
    digest = hashlib.sha256(",".join(names(env)).encode())
    for folder in folders(env):
        for pattern in SOURCES:
            for file in sorted(folder.glob(pattern)):
                digest.update(f"{file.relative_to(folder)}\0".encode())
                digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


# --- whether it loads -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Broken:
    """The platform does not load. said: the traceback's last line. place: `file:line`, if it is known."""

    said: str
    place: str

    def __str__(self) -> str:
        return f"{self.place}: {self.said}" if self.place else self.said


class Check:
    """Loads the platform in a process of its own: settings, apps, steps, addresses. It does nothing with them."""

    def __init__(self, env: Mapping[str, str]) -> None:
        """env: as the user gave it."""
        given = environment.of_platform(env)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "erip.ops.stack.own"],
            # The mark keeps the settings from reading the file of a stack that runs.
            env={**given, "DJANGO_SETTINGS_MODULE": environment.settings_module(env), MARK: env.get(MARK, "check")},
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def over(self) -> bool:
        return self._process.poll() is not None

    def result(self) -> Broken | None:
        """Waits for the end. None: it loads."""
        try:
            printed, _ = self._process.communicate(timeout=CHECK_SECONDS)
        except subprocess.TimeoutExpired:
            self.stop()
            return Broken(f"loading the platform with ERIP_APPS took longer than {CHECK_SECONDS:.0f} s", "")
        for line in printed.splitlines():
            if line.startswith(_ANSWER):
                said = json.loads(line.removeprefix(_ANSWER))
                return Broken(**said) if said else None
        return Broken(f"Python ended with {self._process.returncode} while the platform was loaded", "")

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()


_ANSWER = "erip-check: "


def main() -> int:
    """What `Check` runs: one line that says whether the platform loads."""
    said: dict[str, str] = {}
    try:
        import django

        # By name: this package stands below the platform, and only has it loaded.
        import_module("erip.celery")
        django.setup()
        from django.urls import get_resolver

        get_resolver().url_patterns  # noqa: B018
    except BaseException as error:
        said = {"said": _said(error), "place": _place(error)}
    print(f"\n{_ANSWER}{json.dumps(said)}", flush=True)
    return 1 if said else 0


def _said(error: BaseException) -> str:
    last = traceback.format_exception_only(error)[-1].strip() or type(error).__name__
    line = " ".join(last.split()) if len(last) < 2_000 else " ".join(last[:2_000].split()) + " …"
    if isinstance(error, ModuleNotFoundError):
        for name in names(os.environ):
            if error.name and (name == error.name or name.startswith(f"{error.name}.")):
                line += f" (ERIP_APPS names {name}: install it, or name its folder in ERIP_APPS_DIR)"
    # The error says it itself: the place of a step is that of its function.
    return line.removeprefix("workflows.errors.StepRefused: ")


def _place(error: BaseException) -> str:
    if type(error).__name__ == "StepRefused":
        return ""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [str(folder) for folder in folders(os.environ)]
    mine = [frame for frame in frames if frame.filename.startswith(tuple(own))] if own else []
    ours = [frame for frame in frames if Path(frame.filename).is_relative_to(ROOT) and ".venv" not in frame.filename]
    for found in (mine, ours[1:]):
        if found and not isinstance(error, ModuleNotFoundError | type(None)):
            return f"{found[-1].filename}:{found[-1].lineno}"
    return f"{mine[-1].filename}:{mine[-1].lineno}" if mine else ""


if __name__ == "__main__":
    sys.exit(main())
