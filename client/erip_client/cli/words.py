"""Texts from elsewhere, made fit for a terminal or a pipe: a name or an error must not move the cursor, change the
title of the window, or show itself in another order than it is in."""

import json
import re
from datetime import UTC, datetime
from typing import Any

#: C0 and C1 controls, DEL, line and paragraph separators, bidirectional controls, and halves of surrogate pairs
_HARMFUL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_HARMFUL_IN_BLOCK = re.compile(_HARMFUL.pattern.replace("\x00-\x1f", "\x00-\x08\x0b-\x1f"))


def safe(text: object, most: int = 0) -> str:
    """In one line, with what could harm a terminal written as an escape. most: characters; 0: all."""
    whole = _HARMFUL.sub(_escaped, str(text))
    return whole if not most or len(whole) <= most else f"{whole[: most - 1]}…"


def safe_block(text: object) -> str:
    """As `safe`, with its lines and tabs."""
    return _HARMFUL_IN_BLOCK.sub(_escaped, str(text).replace("\r\n", "\n"))


def to_json(value: Any, indent: int | None = 2) -> str:
    """JSON that is safe to show: what could harm stands inside of strings, where JSON has escapes for it."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    return _HARMFUL_IN_BLOCK.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def error_sentence(error: Any) -> str:
    """The error of a run or step: `code: message`, or what it is."""
    if isinstance(error, dict) and isinstance(error.get("message"), str):
        code = error.get("code")
        return f"{code}: {error['message']}" if code else error["message"]
    return error if isinstance(error, str) else to_json(error, indent=None)


def since(moment: datetime, now: datetime | None = None) -> str:
    """How long ago: `12 s`, `5 min`, `3 h`, `9 d`."""
    seconds = max(0.0, ((now or datetime.now(UTC)) - moment).total_seconds())
    for most, unit, size in ((100, "s", 1), (6000, "min", 60), (172_800, "h", 3600)):
        if seconds < most:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86_400:.0f} d"


def took(began: datetime | None, ended: datetime | None) -> str:
    """`12 ms`, `3.2 s`, `5 min 3 s`, `2 h 5 min`; empty if it has not ended."""
    if began is None or ended is None:
        return ""
    seconds = max(0.0, (ended - began).total_seconds())
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def clock(moment: datetime) -> str:
    """The local time of day."""
    return moment.astimezone().strftime("%H:%M:%S")


def _escaped(found: re.Match[str]) -> str:
    number = ord(found[0])
    return {9: "\\t", 10: "\\n", 13: "\\r", 27: "\\e"}.get(number) or (
        f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}"
    )
