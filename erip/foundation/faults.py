"""One thing that is wrong with a document, and where."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """A fault in a definition, an input or a request body.

    path: where it is, written as a reader would (`steps.assess.needs[0]`, `input.cves[0]`); "" is the whole document.
    message: what is wrong and, where it can be said, what to do instead.
    """

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


def join(path: str, key: str | int) -> str:
    """`path` one level down: join("steps", "a") is `steps.a`, join("needs", 0) is `needs[0]`."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    if not _plain(key):
        return f"{path}[{key!r}]"
    return f"{path}.{key}" if path else key


def _plain(key: str) -> bool:
    return key.replace("-", "_").replace("$", "_").isidentifier()
