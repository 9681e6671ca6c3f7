"""Refusals of callers, and of changes to their keys."""

from erip.foundation.errors import EripError


class NotFromThere(EripError):
    """The API key is right, but not allowed from this address."""

    code = "key_not_from_there"
    status = 403

    def __init__(self, who: str) -> None:
        """who: the key's principal, for the audit log."""
        super().__init__()
        self.who = who


class IssuerAway(EripError):
    """The issuer of this token cannot be asked for its keys; send the same request again."""

    code = "issuer_away"
    status = 503
    retry_after = 30.0


class UnknownKey(EripError):
    """There is no API key of that number, or of that name."""

    code = "unknown_key"
    status = 404


class KeyRefused(EripError):
    """The API key cannot be made or changed so. Fix what `faults` names."""

    code = "key_refused"
    status = 422


class KeyTaken(EripError):
    """There is an API key of that name already. Choose another name."""

    code = "key_taken"
    status = 409


class KeyRevoked(EripError):
    """The API key is revoked, for good. Make a new one."""

    code = "key_revoked"
    status = 409


class BeyondYours(EripError):
    """The API key may do more than you may: nobody hands on more than they have."""

    code = "beyond_yours"
    status = 403
