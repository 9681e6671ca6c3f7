"""Holds what the overlays make against checkov (https://www.checkov.io), a collection of rules for manifests.

It is no dependency of the platform: it has an environment of its own, below the platform's, with pins by hash. What it
finds and we accept is named with its reason in deploy/k8s/checkov/accepted.yaml. It asks no network: `--skip-download`.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from erip.foundation.os_errors import in_words
from erip.ops.kubernetes import kustomize
from erip.ops.stack.state import ROOT

FOLDER: Final = ROOT / "deploy" / "k8s" / "checkov"
ACCEPTED: Final = FOLDER / "accepted.yaml"
PINS: Final = FOLDER / "pins.txt"
MANIFESTS: Final = ROOT / "deploy" / "k8s"
#: seconds after which something is wrong: it takes 20 on an idle machine
PATIENCE: Final = 900


class CheckovError(Exception):
    """checkov could not be asked, or gave no answer. That is no consent."""


@dataclass(frozen=True, slots=True)
class Finding:
    """check: `CKV_K8S_11`. said: what it asks for. of: `Deployment/erip-web`. where: `production`."""

    check: str
    said: str
    of: str
    where: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """An accepted finding. of: the objects that it holds for; empty: all. why: its reason."""

    check: str
    of: frozenset[str]
    why: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """faults: a line each, what is not accepted and what is accepted for nothing. passed, accepted: how many."""

    faults: tuple[str, ...]
    passed: int
    accepted: int


def exceptions(text: str) -> list[Accepted]:
    """Of accepted.yaml. Raises CheckovError for one without a reason, or with a name that is not known."""
    found, wrong = [], []
    for check, one in (yaml.safe_load(text) or {}).items():
        if not isinstance(one, dict) or one.keys() - {"of", "why"} or len(str(one.get("why", ""))) < 30:
            wrong.append(f"{check}: it has a `why`, and objects `of` or none")
        else:
            found.append(Accepted(check, frozenset(one.get("of", ())), one["why"]))
    if wrong:
        raise CheckovError("; ".join(wrong))
    return found


def judge(report: Mapping[str, Any], accepted: Iterable[Accepted]) -> Verdict:
    """report: checkov's JSON. Raises CheckovError if it looked at nothing, or could not read something."""
    try:
        summary, failed = report["summary"], report["results"]["failed_checks"]
        unread = [str(one) for one in report["results"].get("parsing_errors", [])]
        passed = int(summary["passed"])
        found = [_finding(one) for one in failed]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckovError(f"its report is of an unknown form: {error!r}") from error
    if unread or summary.get("parsing_errors"):
        raise CheckovError(f"it could not read {', '.join(unread) or 'something'}")
    if not passed:
        raise CheckovError("it looked at nothing")
    accepted = list(accepted)
    used: set[tuple[str, str]] = set()
    faults, count = [], 0
    for one in found:
        matching = [each for each in accepted if each.check == one.check and (not each.of or one.of in each.of)]
        if matching:
            used |= {(one.check, one.of), (one.check, "")}
            count += 1
        else:
            faults.append(f"{one.where}: {one.of}: {one.check}: {one.said}")
    for each in accepted:
        faults += [
            f"accepted.yaml: {each.check}{f' of {name}' if name else ''}: nothing needs it any more"
            for name in sorted(each.of) or [""]
            if (each.check, name) not in used
        ]
    return Verdict(tuple(faults), passed, count)


def _finding(one: Mapping[str, Any]) -> Finding:
    kind, _, name = one["resource"].split(".", 2)
    return Finding(one["check_id"], one["check_name"], f"{kind}/{name}", Path(one["file_path"]).stem)


# --- asking it ---------------------------------------------------------------------------------------------


def everything() -> dict[str, list[kustomize.Document]]:
    """All that deploy/k8s makes: each overlay, production with each component, and with all of them."""
    components = sorted((MANIFESTS / "components").iterdir())
    production = MANIFESTS / "overlays" / "production"
    made = {path.name: kustomize.documents(path) for path in sorted((MANIFESTS / "overlays").iterdir())}
    made |= {f"production+{one.name}": kustomize.documents(production, components=[one]) for one in components}
    return made | {"production+all": kustomize.documents(production, components=components)}


def scan(documents: Mapping[str, Iterable[Mapping[str, Any]]]) -> Any:
    """Its report of these objects, by the name of what makes them. Raises CheckovError."""
    with installed() as program, tempfile.TemporaryDirectory(prefix="erip-checkov-") as folder:
        for name, objects in documents.items():
            (Path(folder) / f"{name}.yaml").write_text(yaml.safe_dump_all(objects))
        command = [str(program), "--framework", "kubernetes", "--skip-download", "--quiet", "--compact", "--soft-fail"]
        # It would read a configuration in the folder where it runs, and in the home of who calls it.
        environment = {"PATH": os.environ.get("PATH", ""), "HOME": folder, "LOG_LEVEL": "ERROR"}
        try:
            done = subprocess.run(  # noqa: S603
                [*command, "--output", "json", "--directory", folder],
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
                timeout=PATIENCE,
            )
            return json.loads(done.stdout)
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            raise CheckovError(f"it gave no report: {in_words(error)}") from error


def home() -> Path:
    """Its environment."""
    return Path(sys.prefix) / "tools" / "checkov"


@contextmanager
def installed() -> Iterator[Path]:
    """The program, after it was installed where it is not, or where the pins are others. Nobody replaces it meanwhile.

    Raises CheckovError, with what was tried.
    """
    made = home()
    try:
        made.parent.mkdir(parents=True, exist_ok=True)
        # The lock goes with the process, whatever ends it.
        lock = (made.parent / "checkov.lock").open("w")
    except OSError as error:
        raise CheckovError(f"it cannot be installed: {in_words(error)}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH)
            # Changing a lock lets go of it for a moment, in which another one may install other pins.
            while not _is_current(made):
                fcntl.flock(lock, fcntl.LOCK_EX)
                _install(made)
                fcntl.flock(lock, fcntl.LOCK_SH)
        except OSError as error:
            raise CheckovError(f"it cannot be installed: {in_words(error)}") from error
        yield made / "bin" / "checkov"


def _asked() -> str:
    return hashlib.sha256(PINS.read_bytes()).hexdigest()


def _is_current(made: Path) -> bool:
    mark = made / "pins.sha256"
    return mark.exists() and mark.read_text() == _asked()


def _install(made: Path) -> None:
    if _is_current(made):
        return
    uv, python = Path(sys.executable).with_name("uv"), str(made / "bin" / "python")
    pins = ["--require-hashes", "--no-deps", "-r", str(PINS)]
    # uv is not for every platform, and the environment may have been made without it.
    ways = {
        "uv": (
            [str(uv), "venv", "--quiet", "--python", sys.executable, str(made)],
            [str(uv), "pip", "install", "--quiet", "--python", python, *pins],
        ),
        "pip": (
            [sys.executable, "-m", "venv", str(made)],
            [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *pins],
        ),
    }
    said = []
    for name, commands in ways.items():
        shutil.rmtree(made, ignore_errors=True)
        wrong = next((wrong for one in commands if (wrong := _wrong(one))), "")
        if not wrong:
            (made / "pins.sha256").write_text(_asked())
            return
        said.append(f"{name}: {wrong}")
    raise CheckovError(f"it cannot be installed: {'; '.join(said)}")


def _wrong(command: list[str]) -> str:
    """What went wrong in it; "" if nothing did."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)  # noqa: S603
    except subprocess.TimeoutExpired:
        return f"it did not end within {PATIENCE:.0f} s"
    except OSError as error:
        return in_words(error)
    return (done.stderr.strip()[-500:] or f"it ended with {done.returncode}") if done.returncode else ""
