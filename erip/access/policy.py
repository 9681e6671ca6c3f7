"""Who may do what: the one place that decides it.

Note [One policy]
The API, the light path, the admin, the console, event streams and commands all ask `decide`. It knows the caller, the
permissions that the action needs, and the space of its object. Nothing is allowed that no grant allows: an action that
names no permission is open to those who may do everything, and to nobody else.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from .catalog import EVERYTHING, holders


class Holder(Protocol):
    """What is asked of a caller.

    permissions: what it holds on everything; within: what it holds in single spaces, by their names. Both with all that
    is implied (`catalog.closed`), `*` for everything.
    """

    @property
    def superuser(self) -> bool: ...
    @property
    def permissions(self) -> frozenset[str]: ...
    @property
    def within(self) -> Mapping[str, frozenset[str]]: ...


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a caller may do something.

    allowed: on the object that was asked about; without one, on everything
    missing: the permissions that it would need in addition
    spaces: the spaces in which it is allowed; None is everywhere
    """

    allowed: bool
    missing: tuple[str, ...] = ()
    spaces: frozenset[str] | None = frozenset()


_YES = Decision(True, (), None)


def decide(caller: Holder, needs: Collection[str], *, space: str | None = None) -> Decision:
    """Whether the caller may do what needs all of these permissions. space: of the object; None asks about everything
    at once."""
    if caller.superuser:
        return _YES
    if not needs:
        return Decision(False)
    missing = tuple(one for one in needs if not holds(caller.permissions, one))
    if not missing:
        return _YES
    spaces = frozenset(
        name for name, permissions in caller.within.items() if all(holds(permissions, one) for one in missing)
    )
    if space is None:
        return Decision(False, missing, spaces)
    here = caller.within.get(space, frozenset())
    return Decision(space in spaces, tuple(one for one in missing if not holds(here, one)), spaces)


def holds(permissions: frozenset[str], needed: str) -> bool:
    return needed in permissions or EVERYTHING in permissions


def covers(caller: Holder, permissions: Collection[str]) -> bool:
    """Whether the caller holds all of these on everything: nobody hands on more than they have."""
    if EVERYTHING in permissions:
        return caller.superuser
    return caller.superuser or all(holds(caller.permissions, one) for one in permissions)


def refusal(decision: Decision) -> str | None:
    """Why it is refused, for the caller to read; None if it is allowed."""
    if decision.allowed:
        return None
    if not decision.missing:
        return "This is open to superusers only."
    named = [f"{one} ({_roles(one)})" for one in decision.missing]
    return f"This needs the permission{'s' if len(named) > 1 else ''} {', '.join(named)}."


def _roles(one: str) -> str:
    roles = holders(one)
    return f"role{'s' if len(roles) > 1 else ''} {', '.join(roles)}"
