"""The files by which a server of a site is known to others, where TLS is spoken."""

from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Identity:
    """The files with which a server proves its identity and checks others: certificate and key, and the authority's."""

    certificate: Path
    ca: Path


def identity(folder: Path, name: str) -> Identity:
    """Where the authority puts the files of `name` (`erip.ops.ca`)."""
    return Identity(folder / f"{name}.pem", folder / "ca.crt")


def files_of(one: Identity | None) -> dict[str, object]:
    """For a template: empty texts where there is no TLS."""
    return {"certificate": "", "ca": ""} if one is None else asdict(one)
