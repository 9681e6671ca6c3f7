"""Where the text of a setting comes from, and how that place is called when the value is wrong.

    1. the environment: NAME
    2. a file that the environment names: NAME_FILE, for secrets alone. Both at once is a fault: nobody could tell which
       of them was meant.
    3. with `erip.settings.local`, the local stack's `env` file, for what the environment does not have
    4. the default

An empty value is as good as none.
"""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

import environ

from .values import LONGEST, BadValue

#: what the settings are read from
ENVIRONMENT: Mapping[str, str] = os.environ
#: the place of what the environment itself has
HERE = "environment"
#: the place of what came from no setting at all
DEFAULT = "default"
#: the end of the name of a variable that names a file with a secret
BY_FILE = "_FILE"
#: by name: the file that it was read from into the environment
_from_files: dict[str, str] = {}


class NotThere(BadValue):
    """The file that should hold a secret is not on this machine, or must not be read."""


def read_env_file(path: Path) -> None:
    """Take into the environment what this file of KEY=value lines has and the environment does not."""
    before = set(os.environ)
    environ.Env.read_env(str(path))
    _from_files.update((name, str(path)) for name in set(os.environ) - before)


def place_of(name: str, *, by_file: bool) -> str:
    """Where the value of this setting comes from: a path, `environment`, or `default`."""
    if ENVIRONMENT.get(name):
        return _from_files.get(name, HERE)
    path = ENVIRONMENT.get(name + BY_FILE) if by_file else ""
    return f"{path}, which {name}{BY_FILE} names" if path else DEFAULT


def given(name: str, *, by_file: bool) -> str | None:
    """The text of this setting; None if there is none. Raises BadValue if it cannot be had."""
    text = ENVIRONMENT.get(name) or None
    path = ENVIRONMENT.get(name + BY_FILE) if by_file else None
    if text and path:
        raise BadValue(f"is set twice, by itself and by {name}{BY_FILE}: take one of them away")
    if path:
        return _of_file(Path(path))
    if text and len(text) > LONGEST:
        raise BadValue(f"is longer than {LONGEST} characters")
    return text


def _of_file(path: Path) -> str:
    """What stands in the file, without the ends of its lines. Raises BadValue, and NotThere."""
    try:
        # A pipe or a device could keep the start waiting for ever.
        if not stat.S_ISREG(path.stat().st_mode):
            raise BadValue("cannot be read: that is no file")
        with path.open("rb") as file:
            found = file.read(LONGEST + 1)
    except BadValue:
        raise
    except OSError as error:
        raise NotThere(f"cannot be read: {error.strerror or type(error).__name__}") from None
    except ValueError:  # a NUL in the path
        raise BadValue("cannot be read: that is no path") from None
    if len(found) > LONGEST:
        raise BadValue(f"is longer than {LONGEST} bytes")
    try:
        text = found.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise BadValue("is not text in UTF-8") from None
    if not text or "\0" in text:
        raise BadValue("is empty, or holds a NUL")
    return text
