"""The statuses that the program ends with: a contract with scripts, in docs/how-to/command-line.md."""

from enum import IntEnum

from erip_client.errors import (
    Conflict,
    EripError,
    Invalid,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    TooBusy,
    Unavailable,
    Unreachable,
    WaitedTooLong,
)


class Exit(IntEnum):
    OK = 0
    #: the run ended otherwise than SUCCEEDED, or the platform is not ready
    FAILED = 1
    #: the command line, a file or the configuration is at fault; nothing was sent
    USAGE = 2
    NOT_FOUND = 3
    #: no key, a wrong one, or one that may not do this
    REFUSED = 4
    UNREACHABLE = 5
    #: what was sent is at fault
    INVALID = 6
    #: it is in a state that does not allow this
    CONFLICT = 7
    #: the lane or the journal is full
    BUSY = 8
    #: the server failed, or its answer is none of ERIP's
    SERVER = 9
    #: as of timeout(1)
    TIMEOUT = 124
    #: Ctrl-C: 128 + SIGINT
    INTERRUPTED = 130
    #: whoever read the output has ended: 128 + SIGPIPE
    PIPE_CLOSED = 141


_OF: tuple[tuple[type[EripError], Exit], ...] = (
    (NotFound, Exit.NOT_FOUND),
    (NotAuthenticated, Exit.REFUSED),
    (NotAllowed, Exit.REFUSED),
    (Unreachable, Exit.UNREACHABLE),
    (Unavailable, Exit.UNREACHABLE),
    (Invalid, Exit.INVALID),
    (Conflict, Exit.CONFLICT),
    (TooBusy, Exit.BUSY),
    (WaitedTooLong, Exit.TIMEOUT),
)


def status_of(error: EripError) -> Exit:
    return next((status for kind, status in _OF if isinstance(error, kind)), Exit.SERVER)
