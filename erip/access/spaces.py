"""The spaces of objects: which space something belongs to, and who may only use some spaces.

Note [Spaces]
A space is a folder of workflows. Whatever is about one workflow belongs to its space: its runs, versions and schedules.
So nothing is written with a run, a start costs what it did, and moving a workflow moves its runs. A workflow without a
space is open to those alone who have their role on everything.

An operation says what it is about (`of` in `workflows.api.schema.operation`). Callers that have the permission on
everything are not asked any further. For others the object's space decides, and an object elsewhere is answered like
one that does not exist: they are not to learn which exist. An operation that does not say what it is about is closed to
them. Their reads also run behind a second wall, in PostgreSQL: Note [Second wall] in `walls`.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from erip.foundation.errors import EripError


class UnknownObject(EripError):
    """There is no such kind of object. Write `workflow:NAME`, `run:ID`, `approval:ID` or the like: the answer names all
    kinds."""

    code = "unknown_object"
    status = 404


#: what an operation is about that lists things, or reads what it is about from its body: it asks `of_caller` itself
LISTS = "many"

#: the space of the object of this id, or the spaces of all that it is about; None if there is no such object
Find = Callable[[str], str | frozenset[str] | None]
Finder = TypeVar("Finder", bound=Find)

_kinds: dict[str, tuple[Find, type[Exception]]] = {}
_shared: set[str] = set()


def kind(name: str, missing: type[Exception], *, shared: bool = False) -> Callable[[Finder], Finder]:
    """Register how the space of this kind of object is found. missing: what is raised if there is no such object.
    shared: one that is in several spaces is open to who may see one of them, instead of all."""

    def register(find: Finder) -> Finder:
        _kinds[name] = (find, missing)
        if shared:
            _shared.add(name)
        return find

    return register


def kinds() -> list[str]:
    return sorted(_kinds)


def space_of(what: str, id_: str) -> str:
    """The space of an object; "" is none, or several. Raises the error of its kind if there is no such object."""
    found = spaces_of(what, id_)
    return next(iter(found)) if len(found) == 1 else ""


def spaces_of(what: str, id_: str) -> frozenset[str]:
    """The spaces of all that an object is about, "" among them for what is in none. Raises the error of its kind if
    there is no such object."""
    find, missing = _kinds[what]
    try:
        found = find(id_)
    except ValueError:
        found = None  # it is no id of this kind
    if found is None:
        raise missing
    return frozenset({found}) if isinstance(found, str) else found


def space_named(text: str) -> str:
    """The space of `run:ID`, `workflow:NAME` and the like. Raises UnknownObject, or the error of its kind."""
    what, colon, id_ = text.partition(":")
    if not colon or what not in _kinds:
        raise UnknownObject(f'"{text[:100]}" is none of {", ".join(f"{one}:…" for one in kinds())}.')
    return space_of(what, id_)


def need(what: str, id_: str, spaces: frozenset[str] | None) -> None:
    """Raises the error of a missing object unless all that this one is about is in these spaces; of a shared one, any
    of it. None: everywhere; then nothing is looked up."""
    if spaces is None:
        return
    found = spaces_of(what, id_)
    if not found or not (found & spaces if what in _shared else found <= spaces):
        raise _kinds[what][1]


def of_caller(request: Any) -> frozenset[str] | None:
    """The spaces to which this request is confined; None: it is not."""
    spaces: frozenset[str] | None = getattr(request, "erip_spaces", None)
    return spaces
