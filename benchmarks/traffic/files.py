"""Profiles in files."""

from pathlib import Path

from workflows.core.source import MAX_BYTES

from ..errors import Usage
from .profile import BadProfile, Profile, read


def read_file(path: Path) -> Profile:
    """Raises Usage with every fault, a line each. No more of the file is read than a profile may have."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise Usage(f"{path} cannot be read: {error.strerror}") from None
    try:
        return read(text)
    except BadProfile as error:
        raise Usage("\n".join(f"{path}: {fault}" for fault in error.faults)) from None
