"""The threads in which the light path talks to the database.

As many as the pool has connections: one more would only wait for one. They stay, where Django makes a thread for each
request.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import ParamSpec, TypeVar

from django.conf import settings

from erip.foundation.db.connections import release_connections

P = ParamSpec("P")
T = TypeVar("T")


@cache
def _threads() -> ThreadPoolExecutor:
    # Made at the first request, and not before gunicorn forks.
    return ThreadPoolExecutor(settings.ERIP_DB_POOL_SIZE + settings.ERIP_DB_POOL_OVERFLOW, thread_name_prefix="light")


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """`function(*args)` in a thread; whatever connection it used goes back to the pool."""
    return await asyncio.get_running_loop().run_in_executor(_threads(), lambda: _releasing(function, *args, **kwargs))


def _releasing(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    try:
        return function(*args, **kwargs)
    finally:
        release_connections()
