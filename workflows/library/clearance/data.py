"""The decision table that is in force, from memory."""

from workflows.decisions.compiled import Compiled, compiled
from workflows.decisions.errors import UnknownTable
from workflows.library.cache import cached

#: its token is renewed by whoever publishes a decision table: a trigger of the database does it
AREA = "clearance"


def in_force(name: str) -> Compiled | None:
    """The latest version of that table; None when there is no such table. Raises TableInvalid if this release cannot
    read it."""
    return cached(AREA, name, lambda: _load(name))


def _load(name: str) -> Compiled | None:
    try:
        return compiled(name)
    except UnknownTable:
        return None
