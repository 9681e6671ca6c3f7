"""Settings that are not in force here: those of a file, of a process that runs, or of this environment. They are
looked at by the very code that reads them at the start, in a process of its own, with nothing but what is looked at:
so nothing here is changed, and defaults that follow from other settings are right.
"""

import base64
import binascii
import difflib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from erip.settings import sources
from erip.settings.declared import DECLARED, Fault
from erip.settings.sources import BY_FILE

ROOT = Path(__file__).resolve().parents[2]
#: what the source `here` is called
HERE: Final = "this environment"
#: bytes of a file of settings
LARGEST: Final = 1024 * 1024
#: seconds to load the settings
PATIENCE: Final = 60
_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: variables that are ours by their name
_OURS = ("ERIP_", "DATABASE_")
#: what the process that looks needs to run; never a setting
_NEEDED = ("PATH", "HOME", "LANG", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "SSL_CERT_FILE")
#: how alike two names are when one may be the other, misspelt
_ALIKE: Final = 0.85


class BadSettings(Exception):
    """What should hold settings cannot be read: the message says where and why."""


@dataclass(frozen=True, slots=True)
class Given:
    """Settings as text. name: how the source is called. places: where a setting stands, if that is more than that."""

    name: str
    values: Mapping[str, str]
    places: Mapping[str, str] = field(default_factory=dict)
    #: faults of the file itself
    faults: tuple[Fault, ...] = ()

    def place(self, name: str) -> str:
        return self.places.get(name, self.name)


@dataclass(frozen=True, slots=True)
class Looked:
    """faults: all that is wrong. values: by name, what would be in force; None for a secret. places: where from."""

    faults: list[Fault]
    values: dict[str, Any]
    places: dict[str, str]


def read(source: str) -> Given:
    """source: a file of KEY=value lines; a JSON or YAML file with names and values, or with ConfigMaps and Secrets of
    Kubernetes; `pid:1234`, the environment of a process; or `here`, this environment. Raises BadSettings."""
    if source == "here":
        return Given(HERE, dict(os.environ))
    if source.startswith("pid:"):
        return _of_process(source.removeprefix("pid:"))
    text = _text(Path(source))
    if source.endswith((".json", ".yaml", ".yml")):
        return _of_documents(source, text)
    return _of_lines(source, text)


def look(given: Given, settings_module: str) -> Looked:
    """What these settings come to with this settings module. A file that is named for a secret, and is not on this
    machine, is a fault that says `unknown`. Raises BadSettings if the module cannot be loaded at all."""
    env = {name: value for name in _NEEDED if (value := os.environ.get(name))}
    own = {name.strip() for name in given.values.get("ERIP_APPS_ENV", "").split(",")}
    env |= {
        name: value for name, value in given.values.items() if name.startswith(_OURS) or name in own or name in DECLARED
    }
    # The mark keeps `local` from reading the file of a stack that runs here.
    env |= {"DJANGO_SETTINGS_MODULE": settings_module, "ERIP_STACK_ID": env.get("ERIP_STACK_ID", "check")}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "erip.settings.looking"],
            env=env,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        found = json.loads(done.stdout.splitlines()[-1])
    except (subprocess.TimeoutExpired, ValueError, IndexError) as error:
        # Its traceback may quote values.
        raise BadSettings(f"{given.name}: {settings_module} cannot be loaded with it") from error
    if "error" in found:
        raise BadSettings(f"{given.name}: {settings_module} cannot be loaded with it: {found['error']}")
    faults = [
        Fault(one["name"], _place(given, one["name"], one["place"]), one["what"], unknown=one["unknown"])
        for one in found["faults"]
    ]
    faults += [*given.faults, *strange(given, own)]
    places = {name: _place(given, name, place) for name, place in found["places"].items()}
    return Looked(faults, found["values"], places)


def strange(given: Given, own: set[str]) -> Iterator[Fault]:
    """Names that look like settings and are none: a misspelt one would be ignored without a word."""
    known = {*DECLARED, *(name + BY_FILE for name, one in DECLARED.items() if one.by_file)}
    for name in given.values:
        if name.startswith("ERIP_") and name not in known and name not in own and not _of_kubernetes(name):
            close = difflib.get_close_matches(name, known, n=1, cutoff=_ALIKE)
            meant = (
                f": did you mean {close[0]}?" if close else "; if a package of yours reads it, name it in ERIP_APPS_ENV"
            )
            yield Fault(name, given.place(name), f"is no setting{meant}")


def difference(one: Given, other: Given, first: Looked, second: Looked) -> list[tuple[str, str, str]]:
    """Names whose value differs, with both values as text. Of a secret only whether it is set, and the same."""
    found = []
    for name, declared in DECLARED.items():
        left, right = first.values.get(name), second.values.get(name)
        if declared.secret:
            left, right = _secret(one, name), _secret(other, name)
            if left == right:
                continue
            shown = [("(set)" if side else "(not set)") for side in (left, right)]
            found.append((name, *(["(set)", "(set, another one)"] if left and right else shown)))
        elif left != right:
            found.append((name, text_of(left), text_of(right)))
    return found  # type: ignore[return-value]


def text_of(value: Any) -> str:
    """A value as a user writes it, without the password of a URL."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        text = ",".join(f"{name}={text_of(one)}" for name, one in value.items())
    elif isinstance(value, list):
        text = ",".join(map(str, value))
    elif isinstance(value, float) and value.is_integer():
        text = str(int(value))
    else:
        text = "" if value is None else str(value)
    return _PASSWORD.sub(r"\1…@", text)


#: whatever stands before the @ of a URL
_PASSWORD = re.compile(r"(://)[^/?#\s,]*@")


def _secret(given: Given, name: str) -> str:
    return given.values.get(name, "") or (f"file {path}" if (path := given.values.get(name + BY_FILE)) else "")


def _place(given: Given, name: str, place: str) -> str:
    """What the other process calls `environment` is this source."""
    if place == sources.HERE:
        return given.place(name)
    return place


def _of_kubernetes(name: str) -> bool:
    """It puts the addresses of services into the environment: ERIP_WEB_SERVICE_HOST, ERIP_WEB_PORT_8000_TCP."""
    return re.search(r"_SERVICE_(HOST|PORT)(_|$)|_PORT_\d+_(TCP|UDP)(_|$)", name) is not None


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            found = file.read(LARGEST + 1)
        if len(found) > LARGEST:
            raise BadSettings(f"{path}: is larger than {LARGEST} bytes")
        return found.decode()
    except OSError as error:
        raise BadSettings(f"{path}: {error.strerror}") from error
    except (UnicodeDecodeError, ValueError) as error:
        raise BadSettings(f"{path}: is not text in UTF-8") from error


def _of_lines(name: str, text: str) -> Given:
    """KEY=value lines, as systemd, Docker and kustomize read them: quotes around a value are taken off."""
    values: dict[str, str] = {}
    lines: dict[str, int] = {}
    faults = []
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if not (match := _LINE.fullmatch(line)):
            faults.append(Fault(f"line {number}", name, "is not KEY=value"))
            continue
        key, value = match[1], match[2].strip()
        if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        if key in values:
            faults.append(Fault(key, f"{name}, line {number}", f"is there twice: first in line {lines[key]}"))
        values[key], lines[key] = value, number
    return Given(name, values, {key: f"{name}, line {number}" for key, number in lines.items()}, tuple(faults))


def _of_documents(name: str, text: str) -> Given:
    try:
        documents = [one for one in yaml.safe_load_all(text) if one is not None]
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise BadSettings(f"{name}{where}: is not YAML or JSON") from error
    values: dict[str, str] = {}
    faults = []
    for document in documents:
        for key, value in _pairs(name, document):
            if not isinstance(key, str) or not _NAME.fullmatch(key):
                faults.append(Fault(repr(key)[:60], name, "is not the name of a variable"))
            elif isinstance(value, list | dict):
                faults.append(Fault(key, name, "must be a text, a number, true or false"))
            elif key in values:
                faults.append(Fault(key, name, "is there twice"))
            else:
                values[key] = text_of_scalar(value)
    return Given(name, values, faults=tuple(faults))


def _pairs(name: str, document: Any) -> Iterator[tuple[Any, Any]]:
    """The settings in one document: it is a mapping itself, or a ConfigMap or Secret of Kubernetes. Others of its
    objects hold none."""
    if not isinstance(document, dict):
        raise BadSettings(f"{name}: holds something else than names with values")
    kind = document.get("kind")
    if "apiVersion" not in document or not isinstance(kind, str):
        yield from document.items()
    elif kind in ("ConfigMap", "Secret"):
        for part in ("data", "stringData"):
            held = document.get(part) or {}
            if not isinstance(held, dict):
                raise BadSettings(f"{name}: {part} of a {kind} holds no names with values")
            for key, value in held.items():
                if kind == "Secret" and part == "data":
                    try:
                        value = base64.b64decode(str(value), validate=True).decode()
                    except (binascii.Error, ValueError):
                        raise BadSettings(f"{name}: {key} of a Secret is not base64") from None
                yield key, value


def text_of_scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _of_process(pid: str) -> Given:
    if not pid.isascii() or not pid.isdigit():
        raise BadSettings(f"pid:{pid}: is not the number of a process")
    try:
        raw = Path("/proc", pid, "environ").read_bytes()
    except OSError as error:
        raise BadSettings(f"pid:{pid}: {error.strerror}") from error
    pairs = (one.partition("=") for one in raw.decode(errors="replace").split("\0"))
    return Given(f"process {pid}", {name: value for name, equals, value in pairs if equals})
