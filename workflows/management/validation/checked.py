"""What is wrong with the definition in a file, each fault with its line and column. Asks no database."""

import os
import stat
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from erip.foundation.faults import Fault
from workflows import registry
from workflows.core import definition, feasibility, places
from workflows.core.places import Place
from workflows.core.source import MAX_BYTES, Media

#: names the standard input
STDIN = "-"


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault, where it stands."""

    fault: Fault
    place: Place


@dataclass(frozen=True, slots=True)
class Checked:
    """A file that was looked at."""

    file: str
    #: the workflow that it defines; None if something is wrong with it
    workflow: str | None = None
    faults: tuple[Finding, ...] = ()
    #: what is valid and may not be meant
    warnings: tuple[Finding, ...] = ()
    #: why it could not be read at all
    unreadable: str | None = None


def check(file: str) -> Checked:
    """Check the definition in a file: JSON if its name ends in .json, else YAML. `-` is the standard input."""
    try:
        source = _read(file)
    except (OSError, ValueError) as error:
        return Checked(file, unreadable=_said(error))
    media: Media = "json" if file.lower().endswith(".json") else "yaml"
    try:
        document = definition.parse(source, media)
    except definition.DefinitionInvalid as error:
        found = [Finding(fault, places.named(fault.message) or places.START) for fault in error.faults]
        return Checked(file, faults=tuple(found))
    try:
        graph = definition.validate(document, registry.all())
    except definition.DefinitionInvalid as error:
        where = places.find(source.decode("utf-8-sig"), [fault.path for fault in error.faults])
        return Checked(file, faults=tuple(sorted(_findings(error.faults, where), key=lambda one: one.place)))
    warnings = feasibility.warnings(graph)
    where = places.find(source.decode("utf-8-sig"), [warning.path for warning in warnings]) if warnings else {}
    return Checked(file, graph.name, warnings=tuple(_findings(warnings, where)))


def _findings(faults: Sequence[Fault], where: dict[str, Place]) -> list[Finding]:
    return [Finding(fault, where[fault.path]) for fault in faults]


def _read(file: str) -> bytes:
    """No more than is needed to see that it is too much. Raises OSError, ValueError."""
    if file == STDIN:
        return sys.stdin.buffer.read(MAX_BYTES + 1)
    # Opening a pipe would otherwise wait for somebody to write into it.
    handle = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(handle, "rb") as opened:
        mode = os.fstat(handle).st_mode
        if stat.S_ISDIR(mode):
            raise ValueError("is a folder; name the files in it")
        if not stat.S_ISREG(mode):
            raise ValueError("is not a file; use - for the standard input")
        return opened.read(MAX_BYTES + 1)


def _said(error: Exception) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)
