"""Where in its text a part of a definition stands: the line and the column of a fault's path."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import yaml

from erip.foundation.faults import join

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
#: a character in two halves, which JSON has and libyaml refuses
_ESCAPE = re.compile(r"\\u[0-9a-fA-F]{4}")
#: how the messages about a text that cannot be read name a place
_NAMED = re.compile(r"line ([0-9]{1,9}), column ([0-9]{1,9})\)")


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Both count from 1; a column counts characters."""

    line: int
    column: int


START = Place(1, 1)


@dataclass(slots=True)
class _Open:
    path: str
    #: the next index of a list; None: an object
    index: int | None
    key: str | None = None
    awaits_key: bool = True


def find(text: str, paths: Iterable[str]) -> dict[str, Place]:
    """The place of each path in a definition's text, YAML or JSON, that has been read: that of a value's key, of a
    list's item, or of what would hold a missing key. The text is read once, as events, so that this is as bounded as
    the reading is."""
    wanted = {path: list(_upwards(path)) for path in paths}
    found = _find(text, {path for ways in wanted.values() for path in ways})
    return {path: next((found[one] for one in ways if one in found), START) for path, ways in wanted.items()}


def named(message: str) -> Place | None:
    """The place that a message about an unreadable text names."""
    match = _NAMED.search(message)
    return Place(max(1, int(match[1])), max(1, int(match[2]))) if match else None


def _upwards(path: str) -> Iterable[str]:
    """The path, and the paths above it, from below."""
    while path:
        yield path
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
    yield ""


def _find(text: str, wanted: set[str]) -> dict[str, Place]:
    found: dict[str, Place] = {}
    open_: list[_Open] = []
    if text.lstrip().startswith("{"):
        text = _ESCAPE.sub("xxxxxx", text)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            if isinstance(event, yaml.CollectionEndEvent):
                open_.pop()
            if not isinstance(event, yaml.NodeEvent):
                continue
            parent = open_[-1] if open_ else None
            if parent is not None and parent.index is None and parent.awaits_key:
                parent.key, parent.awaits_key = str(getattr(event, "value", "")), False
                path = join(parent.path, parent.key)
            elif parent is None:
                path = ""
            elif parent.index is None:
                path, parent.awaits_key = join(parent.path, str(parent.key)), True
            else:
                path, parent.index = join(parent.path, parent.index), parent.index + 1
            if path in wanted and path not in found:
                mark: Any = event.start_mark
                found[path] = Place(mark.line + 1, mark.column + 1)
            if isinstance(event, yaml.CollectionStartEvent):
                open_.append(_Open(path, 0 if isinstance(event, yaml.SequenceStartEvent) else None))
    except yaml.YAMLError:
        pass  # what stands before it has been found
    return found
