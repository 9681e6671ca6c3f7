"""What a worker reads before it takes its first run, so that no urgent run waits while caches fill."""

from collections.abc import Callable
from typing import TypeVar

import structlog
from django.db import DatabaseError

log = structlog.get_logger(__name__)

Loader = TypeVar("Loader", bound=Callable[[], object])

_loaders: list[Callable[[], object]] = []


def at_worker_start(load: Loader) -> Loader:
    """Have every worker call this function before it begins. It fills a cache; what it returns is not looked at."""
    _loaders.append(load)
    return load


def warm_up() -> None:
    """Fill the caches. What cannot be read now is read when it is needed."""
    for load in _loaders:
        try:
            load()
        except DatabaseError as error:
            log.warning("cache_left_cold", loader=f"{load.__module__}.{load.__qualname__}", error=str(error).strip())
