"""Imports libraries without what they can do without."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Final

#: seconds that a thread waits for another one that loads the package
LONGEST: Final = 10.0


@contextmanager
def without(*names: str) -> Iterator[None]:
    """Within the block, what is imported takes these packages for not installed. One that is loaded already stays."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


@contextmanager
def parts_alone(name: str) -> Iterator[None]:
    """Within the block, modules of the package `name` are imported without what its own `__init__` loads.

    That is loaded when somebody later asks the package for anything that it does not have yet, so whoever else imports
    it finds all of it. Does nothing if the package is loaded already, or is not installed.
    """
    package: Any = sys.modules.get(name)
    if package is None:
        spec = find_spec(name)
        if spec is None or spec.loader is None or spec.submodule_search_locations is None:
            yield
            return
        package = sys.modules[name] = _Later(spec)
        above, _, last = name.rpartition(".")
        if above:
            setattr(sys.modules[above], last, package)
    if not isinstance(package, _Later):
        yield
        return
    here = package._here
    here.depth = getattr(here, "depth", 0) + 1
    try:
        yield
    finally:
        here.depth -= 1


class _Later(ModuleType):
    """A package of which only parts are loaded."""

    def __init__(self, spec: ModuleSpec) -> None:
        super().__init__(spec.name)
        self.__spec__: Any = spec
        self.__loader__ = spec.loader
        self.__package__ = spec.name
        self.__file__ = spec.origin
        #: depth: of the blocks in which this thread wants parts alone
        self._here = threading.local()
        self._unloaded = True
        self._turn = threading.RLock()

    def __getattr__(self, name: str) -> Any:
        """Called for what is not there yet."""
        inside = getattr(self.__dict__["_here"], "depth", 0) > 0
        if name == "__path__":
            # Who imports a module of it asks for nothing else, and that module may need all of the package.
            if not inside:
                self._load()
            return self.__dict__.get(name) or list(self.__spec__.submodule_search_locations)
        # Python itself asks for names such as __wrapped__, and the package is none the wiser.
        if not inside and (name == "__version__" or not name.startswith("__")):
            self._load()
            if name in self.__dict__:
                return self.__dict__[name]
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")

    def _load(self) -> None:
        # Not for ever: the thread that loads may need a module that this one is in the middle of importing. This one
        # then goes on as if the package had not loaded yet, which is what `from package import module` does as well.
        if not self._turn.acquire(timeout=LONGEST):
            return
        try:
            # The package asks itself for modules that are still to come: those are imported, as ever.
            if self._unloaded:
                self._unloaded = False
                self.__path__ = list(self.__spec__.submodule_search_locations)
                try:
                    self.__spec__.loader.exec_module(self)
                except BaseException:
                    self._unloaded = True
                    del self.__path__
                    raise
        finally:
            self._turn.release()
