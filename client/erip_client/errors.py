"""What can go wrong, as types. Each message is a sentence that can be shown to a person.

EripError
├── Unreachable      no answer came, or a proxy's that there is none
├── NotUnderstood    an answer came that is not ERIP's
├── WaitedTooLong    what was waited for did not happen in time
└── Refused          ERIP's answer is a problem document (RFC 9457)
    ├── Invalid          400, 413, 415, 422: what was sent is at fault; `faults` names everything
    ├── NotAuthenticated 401
    ├── NotAllowed       403
    ├── NotFound         404, 410
    ├── Conflict         409: it is in a state that does not allow this
    ├── TooBusy          429
    ├── Unavailable      503
    └── ServerFault      500, and every other status
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong in a document that was sent. path: where; empty: the whole of it."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class EripError(Exception):
    """All errors of this package."""


class Unreachable(EripError):
    """No answer. may_have_happened: the request may have been carried out nevertheless."""

    def __init__(self, message: str, *, may_have_happened: bool = False) -> None:
        super().__init__(message)
        self.may_have_happened = may_have_happened


class NotUnderstood(EripError):
    """The answer is not what ERIP would say: not JSON, too long, fields missing. Is the address right?"""


class WaitedTooLong(EripError):
    """What was waited for did not happen in time."""


class Refused(EripError):
    """ERIP refused the request.

    status: of HTTP. code: for programs, such as `unknown-run`. detail: a sentence. faults: everything that is wrong
    with what was sent. retry_after: seconds after which the same request may be sent again; None: not said.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        faults: Sequence[Fault] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(status, code, detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.faults = tuple(faults)
        self.retry_after = retry_after

    def __str__(self) -> str:
        return "\n".join([f"{self.detail} ({self.status} {self.code})", *(f"  {fault}" for fault in self.faults)])


class Invalid(Refused):
    """What was sent is at fault; `faults` names everything that is wrong."""


class NotAuthenticated(Refused):
    """No API key was sent, or one that is unknown, expired or revoked."""


class NotAllowed(Refused):
    """The key's scope is too small, or it is bound to other sources of events."""


class NotFound(Refused):
    """There is no such thing, or not any more."""


class Conflict(Refused):
    """It is in a state that does not allow this."""


class TooBusy(Refused):
    """More waits than can be served in time; `retry_after` says when to send the same request again."""


class Unavailable(Refused):
    """The database cannot be reached; `retry_after` says when to send the same request again."""


class ServerFault(Refused):
    """The server failed to answer."""


BY_STATUS: dict[int, type[Refused]] = {
    400: Invalid,
    401: NotAuthenticated,
    403: NotAllowed,
    404: NotFound,
    409: Conflict,
    410: NotFound,
    413: Invalid,
    415: Invalid,
    422: Invalid,
    429: TooBusy,
    503: Unavailable,
}
