"""Loads redis without its asyncio client. A program imports this before anything that imports redis.

Its `__init__` loads that client for everybody, with one for clusters: 13 modules, of which processes of the platform
use none. Whoever asks `redis.asyncio` for something finds all of it (`parts_alone`).
"""

from erip.foundation.without import parts_alone

with parts_alone("redis"), parts_alone("redis.asyncio"):
    import redis.client  # noqa: F401
