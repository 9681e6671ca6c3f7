"""The kinds of steps that definitions may use.

One file for each kind: its part of the format, its check, its configuration, and what it does (`core.kind.Kind`). A new
kind is such a file and a call of `register`: here, or in `ready` of a Django app's AppConfig.
"""


# Note [Format levels]
# During an upgrade processes of two releases work side by side. A worker records the highest level of the kinds that it
# knows (`level()`); a definition needs the highest level of the kinds that it uses (`Graph.level`). A definition that a
# living worker cannot read is not published: that worker would claim steps of its runs and could do nothing with them.
# A kind that a new release adds, or reads differently, gets the next level. So does what the release before cannot read
# of a run, such as a pause, and what it cannot read of a rule: it is refused while a living worker is below its level.
# A step that is new needs no level: workers without it leave it to the others (Note [Lacking] in `store.lacking`). So
# do workers whose step does not know an input that it is given, from the release of level 9 on; earlier ones refuse it,
# and the run fails. So an input that was new before that says its level (`registry.LEVEL`).

from collections.abc import Iterable

from workflows.core.kind import Kind
from workflows.core.kinds.approval import Approval
from workflows.core.kinds.decision import Decision
from workflows.core.kinds.foreach import ForEach
from workflows.core.kinds.task import Task
from workflows.core.kinds.wait import Wait

__all__ = [
    "Approval",
    "Decision",
    "ForEach",
    "Kind",
    "Task",
    "Wait",
    "default",
    "level",
    "of",
    "register",
    "registered",
    "unregister",
]

#: the level that this release reads, whatever kinds are registered. 3: runs that are paused. 4: rules that gather
#: events or give signals. 5: waits with groups in groups, or with conditions. 6: decisions. 7: approvals, and legal
#: clocks. 8: secrets, runs in chunks, how long runs are kept, and sealed data with a salt for each run.
#: 9: sealed events. Approvals, secrets and chunks came one level too late: there were processes without them that said
#: 6 or 7, so each needs the first level that only processes that know it say
LEVEL = 9

_registered: dict[str, type[Kind]] = {}


def register(kind: type[Kind]) -> type[Kind]:
    """Let definitions use a kind of step. Raises ValueError if its marker is a key of another kind, or if another kind
    has one of its keys with a different schema."""
    for other in _registered.values():
        if other is kind:
            return kind
        if other.name == kind.name or other.marker == kind.marker:
            raise ValueError(f"there is already a kind of step {other.name!r}, with the key {other.marker!r}")
        for key in other.keys.keys() & kind.keys.keys():
            if other.keys[key] != kind.keys[key]:
                raise ValueError(f"the kinds {other.name!r} and {kind.name!r} differ about the key {key!r}")
    _registered[kind.name] = kind
    return kind


def unregister(kind: type[Kind]) -> None:
    """Remove a kind that was registered for a while, as tests do."""
    _registered.pop(kind.name, None)


def registered() -> tuple[type[Kind], ...]:
    """Every kind, in the order of registration."""
    return tuple(_registered.values())


def level() -> int:
    """The format level that this process reads."""
    return max(LEVEL, *(kind.level for kind in _registered.values()))


def default() -> type[Kind]:
    """The kind of a step without any kind's marker."""
    return Task


def of(keys: Iterable[str]) -> type[Kind] | list[str]:
    """The kind of a step that has these keys: the kind that allows all markers among them, as `foreach` allows `uses`.
    If there is none, the markers."""
    markers = [kind for kind in _registered.values() if kind.marker in keys]
    if not markers:
        return default()
    for kind in markers:
        if all(other.marker in kind.keys for other in markers):
            return kind
    return [kind.marker for kind in markers]


register(Task)
register(ForEach)
register(Wait)
register(Decision)
register(Approval)
