"""The API key of a running deployment: what stands in a command line is seen by all users of a machine."""

import os
import re
from typing import Final

from .errors import Usage

#: as for the command `erip`
VARIABLE: Final = "ERIP_API_KEY"


def api_key(given: str | None) -> str | None:
    """What --api-key says, or else the environment; None if neither does. Raises Usage for what is no key."""
    key = given or os.environ.get(VARIABLE) or None
    if key is not None and not re.fullmatch(r"[!-~]{1,500}", key):
        # The text is not repeated: it is a secret.
        source = "--api-key" if given else VARIABLE
        raise Usage(f"{source} is no key: it has blanks, line ends or other odd characters, or is too long.")
    return key
