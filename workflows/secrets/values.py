"""What a value may be: text that can be struck out of what a step leaves behind."""

from typing import Final

from erip.foundation.redacting import SHORTEST

#: bytes in UTF-8
LONGEST: Final = 64 * 1024


def fault(value: str) -> str | None:
    """What is wrong with a value; it never quotes it."""
    if len(value.strip()) < SHORTEST:
        return f"has at least {SHORTEST} characters: a shorter one could not be struck out of logs and outputs"
    if "\0" in value:
        return "holds a null character"
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        return "holds half of a character"
    if size > LONGEST:
        return f"has at most {LONGEST:,} bytes"
    return None
