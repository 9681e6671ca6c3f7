"""What an identity provider has shown of somebody, whichever protocol it speaks."""

from dataclasses import dataclass
from typing import Any, Final

#: characters of one claim. No setting names a longer group
LONGEST: Final = 500


class Refused(Exception):
    """Nobody is signed in. The message says why, for the person to read. detail: for the log alone."""

    def __init__(self, said: str, detail: str = "") -> None:
        super().__init__(said)
        self.detail = detail


class Away(Exception):
    """The provider cannot be asked at this moment."""


@dataclass(frozen=True, slots=True)
class Shown:
    """Somebody, as their provider knows them.

    issuer, subject: who it is, for good: no other person has both
    username, email, name: "" if the provider does not say
    groups: None if it said that it cannot name them all
    second_factor: whether they showed one there that counts here
    session: by which the provider names this sign-in when it ends it
    at: when they proved who they are, in seconds since 1970; None if it does not say
    """

    issuer: str
    subject: str
    username: str = ""
    email: str = ""
    name: str = ""
    groups: frozenset[str] | None = frozenset()
    second_factor: bool = False
    session: str = ""
    at: float | None = None


def text(value: Any) -> str:
    """A claim as one line of text; "" if it is none."""
    if not isinstance(value, str) or len(value) > LONGEST or not value.isprintable():
        return ""
    return value.strip()


def texts(value: Any) -> frozenset[str]:
    """A claim as a set of texts: it is a list, or one alone. All of them: what carries the claim is bounded, and who is
    in a group that was left out would lose its roles."""
    found = value if isinstance(value, list) else [value]
    return frozenset(one for one in map(text, found) if one)
