"""What an app adds to the platform, said by the app itself when it is loaded.

A hook is a list with a name. An app adds to it from a module that its `AppConfig.ready` imports; whoever carries out
what a hook stands for asks for all that was added, in the order in which it came. So a new app is entered in
INSTALLED_APPS and nowhere else.
"""

from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

import structlog
from django.db import DatabaseError

log = structlog.get_logger(__name__)

Added = TypeVar("Added")
Loader = TypeVar("Loader", bound=Callable[[], int])


class Hook(Generic[Added]):
    """A place where apps add things. Calling it adds one, and returns it, so that it serves as a decorator."""

    def __init__(self, meaning: str) -> None:
        """meaning: what happens to that which was added, in one sentence."""
        self.meaning = meaning
        self._added: list[Added] = []

    def __call__(self, one: Added) -> Added:
        self._added.append(one)
        return one

    def all(self) -> tuple[Added, ...]:
        """Everything that was added so far, in that order."""
        return tuple(self._added)


leader_duty: Hook[Callable[[], object]] = Hook(
    "The leader calls it several times a second; it decides itself whether there is anything to do by now."
)
at_worker_start: Hook[Callable[[], object]] = Hook(
    "Every worker calls it before it takes its first run: it fills a cache, and its result is not looked at."
)

_seeds: Hook[tuple[str, Callable[[], int]]] = Hook("`manage.py bootstrap` calls it.")


def at_bootstrap(name: str) -> Callable[[Loader], Loader]:
    """Have `manage.py bootstrap` call this function. It returns how much it loaded: 0 when all is there."""

    def register(load: Loader) -> Loader:
        _seeds((name, load))
        return load

    return register


def load_seeds() -> Mapping[str, int]:
    """Load what the apps bring. Returns how much each of them loaded."""
    return {name: load() for name, load in _seeds.all()}


def warm_up() -> None:
    """Fill the caches of this worker. What cannot be read now is read when it is needed."""
    for load in at_worker_start.all():
        try:
            load()
        except DatabaseError as error:
            name = f"{load.__module__}.{getattr(load, '__qualname__', load)}"
            log.warning("cache_left_cold", loader=name, error=str(error).strip())
