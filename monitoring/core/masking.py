"""Messages without the values in them: what two errors of one kind have in common, and what may be shown to everybody
who runs the platform.

Note [Masking]
A value is whatever differs between two errors of one kind: numbers, ids, times, quoted text, addresses, paths, rows.
Each becomes a word in angle brackets, and a row of equal words becomes one, since lists differ in length. Numbers that
name the kind of error stay: an HTTP status, an errno, a SQLSTATE, an exit code. Words without quotes and digits stay,
too: nothing tells a name from a word. So a masked message may still contain names.
"""

import re
from collections.abc import Callable
from typing import Final

#: characters of a message that are looked at, and that are kept
LOOKED_AT, KEPT = 2_000, 300

#: in this order: what one makes, the later ones leave alone
_RULES: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    # pydantic quotes the input, cut off in the middle
    (re.compile(r"input_value=.{0,500}?, input_type="), "input_value=<value>, input_type="),
    # PostgreSQL quotes the row and the statement
    (re.compile(r"\)=\([^\n]{0,500}?\)(?= |\.|$)"), ")=(<value>)"),
    (re.compile(r"(?<=row contains )\([^\n]*\)"), "(<value>)"),
    (re.compile(r"\bLINE \d+: [^\n]*\n[^\n^]*\^?"), "<statement> "),
    (re.compile(r"\b[a-zA-Z][a-zA-Z0-9+.-]{1,20}://[^\s'\"<>]+"), "<url>"),
    (re.compile(r"[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64})+"), "<email>"),
    (re.compile(r"\b[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}\b"), "<id>"),
    # an object as Python shows it by default
    (re.compile(r"<([\w.]+)(?: object)?[^<>]{0,200} at 0x[0-9a-fA-F]+>"), r"<\1>"),
    (re.compile(r"(?<!\w)[bru]{0,2}'(?:[^'\\\n]|\\.)*'(?!\w)"), "<value>"),
    (re.compile(r'(?<!\w)[bru]{0,2}"(?:[^"\\\n]|\\.)*"(?!\w)'), "<value>"),
    (re.compile(r"`[^`\n]*`|“[^”\n]*”|‘[^’\n]*’|«[^»\n]*»"), "<value>"),  # noqa: RUF001
    (re.compile(r"\{[^{}]*\}"), "<data>"),
    (re.compile(r"\{[^{}]*\}"), "<data>"),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}(?:[:/]\d{1,5})?\b"), "<address>"),
    (
        re.compile(
            r"\b\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?: ?(?:Z|UTC|[+-]\d{2}:?\d{2}))?)?\b"
        ),
        "<time>",
    ),
    (re.compile(r"\b\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?\b"), "<time>"),
    (re.compile(r"(?<![\w:])\[?(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{0,4}\]?(?::\d{1,5})?(?![\w:])"), "<address>"),
    (re.compile(r"\b0x[0-9a-fA-F]+\b"), "<address>"),
    (re.compile(r"(?<![\w.-])[a-zA-Z][\w-]{0,62}(?:\.[\w-]{1,63}){0,8}:\d{2,5}\b"), "<address>"),
    (
        re.compile(
            r"(?<![\w.-])(?:[\w-]{1,63}\.){1,8}(?:com|org|net|io|dev|eu|de|uk|cloud|internal|local|lan|svc|example|test|invalid)\b"
        ),
        "<address>",
    ),
    (re.compile(r"\b[A-Za-z]:\\[^\s'\"<>:|]+"), "<path>"),
    (re.compile(r"(?<![\w<>/.])\.{0,2}(?:/[\w.@%+=,~:-]+)+/?"), "<path>"),
)
#: numbers that say what kind of error it is
_TELLING: Final = re.compile(
    r"(?i)(\b(?:https?(?:/\d(?:\.\d)?)?|status(?:[ _]code)?|answered(?: with)?|errno|sqlstate|exit (?:code|status)"
    r"|signal|error code)\b['\"]?\s{0,2}[:=]?\s{0,2})(\d{1,4}|[0-9A-Z]{5})\b"
)
_NUMBER: Final = re.compile(
    r"(?<![\w.-])[-+]?\d[\d,._]*(?:e[-+]?\d+)?\s?"
    r"(?:%|\b(?:ns|us|µs|ms|s|min|h|d|[kKMGT]i?B|bytes?)\b)?"
)
_WITH_DIGITS: Final = re.compile(r"(?<![<\w])(?=[\w-]{0,199}\d)[A-Za-z0-9_][\w-]{0,199}")
_HEX: Final = re.compile(r"\b(?=[0-9a-fA-F]*\d)[0-9a-fA-F]{8,}\b")
_SECRET: Final = re.compile(r"\b[A-Za-z0-9+/_=-]{40,}")
_ROW: Final = re.compile(r"(<\w+>)(?:(?:, | and | or |; |[,;|:/ -])\1)+")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_AWAY: Final = str.maketrans("0123456789", "\ue010\ue011\ue012\ue013\ue014\ue015\ue016\ue017\ue018\ue019")
_BACK: Final = str.maketrans("\ue010\ue011\ue012\ue013\ue014\ue015\ue016\ue017\ue018\ue019", "0123456789")


def masked(message: str) -> str:
    """The message in one line, with a word in place of each value. At most KEPT characters."""
    text = printable(message[:LOOKED_AT]).translate(_BACK)
    text = _TELLING.sub(_kept, text)
    for pattern, word in _RULES:
        text = pattern.sub(word, text)
    text = _SECRET.sub("<id>", text)
    text = _HEX.sub("<id>", text)
    text = _NUMBER.sub(_number, text)
    text = _WITH_DIGITS.sub("<id>", text)
    text = " ".join(text.split())
    text = _ROW.sub(r"\1", text).translate(_BACK)
    return text if len(text) <= KEPT else text[: KEPT - 1] + "…"


def printable(text: str) -> str:
    """Without what a terminal would obey."""
    return _CONTROL.sub(" ", text)


def _kept(found: re.Match[str]) -> str:
    return found[0].translate(_AWAY)


_number: Callable[[re.Match[str]], str] = lambda found: "<n>" + (" " if found[0].endswith(" ") else "")  # noqa: E731
