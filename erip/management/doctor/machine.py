"""The settings here, and the files that they name."""

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.core import checks

from erip.management import configuration
from erip.settings.declared import DECLARED
from erip.settings.sources import BY_FILE

from .findings import Finding, problem, unknown, warning, well

#: shares of a disk that are free
_FEW, _NONE = 0.15, 0.05
_REFERENCE = "see docs/reference/settings.md"


def settings_are_right() -> Iterator[Finding]:
    looked = configuration.look(configuration.read("here"), os.environ["DJANGO_SETTINGS_MODULE"])
    for fault in looked.faults:
        if fault.unknown:
            yield unknown("settings", str(fault))
        else:
            # What is no setting is ignored; what is wrong would have stopped this command already.
            yield warning("settings", str(fault), f"correct or remove it, and restart; {_REFERENCE}")
    if not looked.faults:
        own = sum(place != "default" for place in looked.places.values())
        yield well("settings", f"{own} of {len(DECLARED)} are set, none is wrong")
    if settings.DEBUG:
        yield problem("settings", "DEBUG is on: errors show code and settings to everybody", "switch it off")
    if not os.environ["DJANGO_SETTINGS_MODULE"].endswith("production"):
        module = os.environ["DJANGO_SETTINGS_MODULE"]
        yield warning(
            "settings", f"{module} is in force here", "a deployment uses erip.settings.production or one built on it"
        )


def checks_pass() -> Iterator[Finding]:
    """Django's own checks, and those of the apps."""
    found = checks.run_checks(include_deployment_checks=True)
    for one in found:
        if one.is_silenced():
            continue
        make = problem if one.level >= checks.ERROR else warning
        yield make(f"check {one.id}", str(one.msg).split("\n")[0], one.hint or "see manage.py check --deploy")
    if not found:
        yield well("checks", "all pass")


def files_are_there() -> Iterator[Finding]:
    for name in ("ERIP_REPORT_DIR",):
        yield from _folder(name, Path(getattr(settings, name)))
    for name, one in DECLARED.items():
        path = os.environ.get(name + BY_FILE) if one.by_file else None
        if path:
            yield from _secret(name, Path(path))


def _folder(name: str, path: Path) -> Iterator[Finding]:
    at = path
    while not at.exists():
        at = at.parent
    if not os.access(at, os.W_OK | os.X_OK) or not at.is_dir():
        yield problem(name, f"{path} cannot be written by this user", "give the user of the workers write access to it")
        return
    usage = shutil.disk_usage(at)
    share = usage.free / usage.total if usage.total else 0.0
    says = f"{usage.free / 1e9:.1f} GB are free on the disk of {path} ({share:.0%})"
    if share < _NONE:
        yield problem(name, says, "free some space: reports cannot be written much longer")
    elif share < _FEW:
        yield warning(name, says, "free some space, or shorten ERIP_REPORT_TTL_DAYS")
    else:
        yield well(name, says)


def _secret(name: str, path: Path) -> Iterator[Finding]:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        yield problem(name, f"{path} cannot be read: {error.strerror}", f"correct {name}{BY_FILE}")
        return
    if mode & 0o007:
        yield warning(name, f"{path} has mode {mode:o}: every user of this machine reads it", f"chmod o= {path}")
    else:
        yield well(name, f"{path} is for its owner and group alone")
