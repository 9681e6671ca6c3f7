"""What `manage.py bootstrap` loads besides the library's own data: each app says so itself."""

from collections.abc import Callable, Mapping
from typing import TypeVar

Loader = TypeVar("Loader", bound=Callable[[], int])

_loaders: dict[str, Callable[[], int]] = {}


def at_bootstrap(name: str) -> Callable[[Loader], Loader]:
    """Have bootstrap call this function; it says how much it loaded, and 0 when all is there."""

    def register(load: Loader) -> Loader:
        _loaders[name] = load
        return load

    return register


def load_seeds() -> Mapping[str, int]:
    return {name: load() for name, load in _loaders.items()}
