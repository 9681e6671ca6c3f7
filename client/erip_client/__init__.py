"""A typed Python client of ERIP: `Client`, `AsyncClient`, and the errors that they raise.

`models` has the documents, `errors` the errors. `erip_client.cli` is the program `erip` (extra `cli`).
"""

from .client import AsyncClient, Client
from .errors import (
    Conflict,
    EripError,
    Fault,
    Invalid,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    NotUnderstood,
    Refused,
    ServerFault,
    TooBusy,
    Unavailable,
    Unreachable,
    WaitedTooLong,
)
from .streaming import StreamedEvent
from .version import VERSION

__version__ = VERSION

__all__ = [
    "AsyncClient",
    "Client",
    "Conflict",
    "EripError",
    "Fault",
    "Invalid",
    "NotAllowed",
    "NotAuthenticated",
    "NotFound",
    "NotUnderstood",
    "Refused",
    "ServerFault",
    "StreamedEvent",
    "TooBusy",
    "Unavailable",
    "Unreachable",
    "WaitedTooLong",
]
