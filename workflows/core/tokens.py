"""The tokens of a CEL expression.

The guard in `expressions` judges tokens, never substrings, and CEL gets the tokens written out anew: CEL runs exactly
what was judged, even if this lexer and CEL's would read a source differently.

Left out on purpose: bytes literals and triple-quoted strings (nothing in JSON needs them), and backquoted names.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal["name", "string", "number", "op"]


class TokenError(ValueError):
    """The text is not made of CEL tokens."""


@dataclass(frozen=True, slots=True)
class Token:
    kind: Kind
    #: the text that CEL gets
    text: str
    #: the value of a string literal; for other tokens the text
    value: str
    #: where it starts in what was read
    at: int
    end: int


_TOKEN = re.compile(
    r"""
      (?P<space>   [ \t\r\n\f]+ | //[^\n]* )
    | (?P<refused> [rR]?[bB][rR]?['"] | [rR]?(?:\'\'\'|\"\"\") | ` )
    | (?P<raw>     [rR](?: '[^'\r\n]*' | "[^"\r\n]*" ) )
    | (?P<string>  '(?:\\.|[^'\\\r\n])*' | "(?:\\.|[^"\\\r\n])*" )
    | (?P<number>  0[xX][0-9a-fA-F]+[uU]? | (?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?[uU]? )
    | (?P<name>    [A-Za-z_][A-Za-z0-9_]* )
    | (?P<op>      == | != | <= | >= | && | \|\| | [-+*/%!<>?:,.()\[\]{}] )
    """,
    re.VERBOSE,
)

_ESCAPE = re.compile(
    r"\\(?:([abfnrtv\\'\"`?])|[xX]([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})|(.?))", re.DOTALL
)
_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def scan(text: str, start: int = 0) -> Iterator[Token]:
    """The tokens of `text` from `start`, lazily; raises TokenError at the first text that is not a token."""
    at = start
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise TokenError(f"unexpected {text[at : at + 10]!r}")
        group, piece = str(match.lastgroup), match.group()
        if group == "refused":
            raise TokenError(f"{piece} is not supported here: write strings as '...' or \"...\"")
        if group in ("string", "raw"):
            value = _unescape(piece[1:-1]) if group == "string" else piece[2:-1]
            yield Token("string", quote(value), value, at, match.end())
        elif group == "name":
            yield Token("name", piece, piece, at, match.end())
        elif group == "number":
            yield Token("number", piece, piece, at, match.end())
        elif group == "op":
            yield Token("op", piece, piece, at, match.end())
        at = match.end()


def quote(value: str) -> str:
    """`value` as a CEL string literal with nothing in it that a lexer could read in two ways."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _unescape(body: str) -> str:
    return _ESCAPE.sub(_escaped, body) if "\\" in body else body


def _escaped(match: re.Match[str]) -> str:
    simple, byte, short, long, octal, other = match.groups()
    if simple:
        return _SIMPLE.get(simple, simple)
    if other is not None:
        raise TokenError(f"\\{other} is not an escape; write \\\\ for a backslash or a raw string r'...'")
    code = int(octal, 8) if octal else int(byte or short or long, 16)
    if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF or code == 0:
        raise TokenError(f"{match.group()} is not a character")
    return chr(code)
