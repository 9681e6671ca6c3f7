"""Read header fields by their grammars.

Each reader names its source. Plain text in, plain values out: what an absent field means is the caller's decision. A
field that came in several lines is one text, its lines joined with commas (RFC 9110, section 5.3).
"""

import re
from dataclasses import dataclass, field

_TCHARS = r"!#$%&'*+\-.^_`|~0-9A-Za-z"
_TOKEN = re.compile(rf"[{_TCHARS}]+")
_SPACE = re.compile(r"[ \t]*")
#: a quoted string with its quotes: RFC 9110, section 5.6.4. Bytes beyond ASCII are obs-text.
_QUOTED = re.compile(r'"((?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*)"')
_ESCAPED = re.compile(r"\\(.)")
#: a string of RFC 8941, section 3.3.3: printable ASCII, of which only the quote and the backslash are escaped
_SF_STRING = re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')
#: the parameters of an item, RFC 8941, section 3.1.2
_SF_PARAMETERS = re.compile(
    r"(?:; *[a-z*][a-z0-9_\-.*]*(?:=(?:"
    r'"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"'
    r"|-?[0-9]{1,15}(?:\.[0-9]{1,3})?"
    rf"|[A-Za-z*][{_TCHARS}:/]*"
    r"|:[A-Za-z0-9+/=]*:|\?[01]))?)*"
)
#: a string without its quotes: printable ASCII without the characters that would end or quote it
_BARE = re.compile(r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]+")
_DELTA_SECONDS = re.compile(r"[0-9]+")


class Malformed(ValueError):
    """The field does not follow its grammar. The message completes "the field …"."""


@dataclass(frozen=True, slots=True)
class MediaType:
    """RFC 9110, section 8.3.1. All names are in lower case; values of parameters are as they came, without quotes."""

    type: str
    subtype: str
    parameters: dict[str, str] = field(default_factory=dict)

    @property
    def essence(self) -> str:
        """`type/subtype`"""
        return f"{self.type}/{self.subtype}"


@dataclass(frozen=True, slots=True)
class Preference:
    """One preference of RFC 7240. value: "" where there is none."""

    value: str
    parameters: dict[str, str] = field(default_factory=dict)


def media_type(text: str) -> MediaType:
    """A `Content-Type`. Raises Malformed, also for a duplicate parameter, which readers interpret differently."""
    at = _Reader(text.strip(" \t"))
    type_ = at.token()
    if not at.take("/"):
        raise Malformed("must be a media type, for example application/json")
    subtype = at.token()
    parameters: dict[str, str] = {}
    while not at.ended:
        at.space()
        if not at.take(";"):
            raise Malformed("must be a media type and its parameters, with a semicolon before each")
        at.space()
        if at.ended or at.next == ";":
            continue  # an empty parameter, which the grammar allows
        name = at.token().lower()
        if not at.take("="):
            raise Malformed(f'has the parameter "{name}" without a value')
        if name in parameters:
            raise Malformed(f'has the parameter "{name}" twice')
        parameters[name] = at.word()
    return MediaType(type_.lower(), subtype.lower(), parameters)


def charset(text: str) -> str | None:
    """The charset that a `Content-Type` names, in lower case; None where it names none. Raises Malformed."""
    named = media_type(text).parameters.get("charset")
    return None if named is None else named.strip().lower()


def preferences(text: str) -> dict[str, Preference]:
    """A `Prefer` (RFC 7240, section 2), by name in lower case. The first of two with one name holds.

    A member of the list that is malformed is ignored, and the others are not: a preference is a wish.
    """
    found: dict[str, Preference] = {}
    at = _Reader(text)
    while not at.ended:
        at.space()
        if at.take(","):
            continue
        try:
            name = at.token().lower()
            value = at.value_after_equals()
            parameters: dict[str, str] = {}
            at.space()
            while at.take(";"):
                at.space()
                if at.ended or at.next in ",;":
                    continue
                parameter = at.token().lower()
                parameters.setdefault(parameter, at.value_after_equals())
                at.space()
            if not at.ended and at.next != ",":
                raise Malformed("has something behind a preference")
        except Malformed:
            at.skip_member()
        else:
            found.setdefault(name, Preference(value, parameters))
    return found


def delta_seconds(text: str) -> int | None:
    """Whole seconds (RFC 9110, section 10.2.3); None if it is anything else.

    Of more than nine digits the first nine are read: Python refuses to read very long numbers.
    """
    return int(text.lstrip("0")[:9] or "0") if _DELTA_SECONDS.fullmatch(text) else None


def tokens(text: str) -> list[str]:
    """A list of tokens, such as `Content-Encoding` (RFC 9110, sections 5.6.1 and 8.4), in lower case and in order,
    without empty members. Raises Malformed."""
    found = []
    for member in text.split(","):
        if name := member.strip(" \t"):
            if not _TOKEN.fullmatch(name):
                raise Malformed("must be a list of names, with commas between them")
            found.append(name.lower())
    return found


def string_or_bare(text: str) -> str:
    """The value of a field that is a structured-field string (RFC 8941, section 3.3.3).

    Many clients send the same text without quotes, which is accepted too. Parameters are left out. Raises Malformed.
    """
    text = text.strip(" ")
    if text.startswith('"'):
        quoted = _SF_STRING.match(text)
        if quoted is None or not _SF_PARAMETERS.fullmatch(text, quoted.end()):
            raise Malformed("must be one string in double quotes (RFC 8941) of printable ASCII characters")
        return _ESCAPED.sub(r"\1", quoted[1])
    if not _BARE.fullmatch(text):
        raise Malformed(
            "must be one string in double quotes, or printable ASCII characters without space, comma, semicolon, "
            "quote and backslash"
        )
    return text


class _Reader:
    """A text and the position up to which it was read."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    @property
    def ended(self) -> bool:
        return self._at >= len(self._text)

    @property
    def next(self) -> str:
        return self._text[self._at]

    def take(self, character: str) -> bool:
        """Whether `character` comes next; if so, it is consumed."""
        if self.ended or self.next != character:
            return False
        self._at += 1
        return True

    def space(self) -> None:
        found = _SPACE.match(self._text, self._at)
        self._at = found.end() if found else self._at

    def token(self) -> str:
        found = _TOKEN.match(self._text, self._at)
        if found is None:
            raise Malformed("has something else where a name must be")
        self._at = found.end()
        return found[0]

    def word(self) -> str:
        """A token or a quoted string."""
        if self.ended or self.next != '"':
            return self.token()
        found = _QUOTED.match(self._text, self._at)
        if found is None:
            raise Malformed("has a quoted string that does not end")
        self._at = found.end()
        return _ESCAPED.sub(r"\1", found[1])

    def value_after_equals(self) -> str:
        """`= word` with white space where RFC 7240 allows it; "" where there is no equals sign."""
        before = self._at
        self.space()
        if not self.take("="):
            self._at = before
            return ""
        self.space()
        return self.word()

    def skip_member(self) -> None:
        """Move to the next comma outside quotes."""
        while not self.ended and self.next != ",":
            quoted = _QUOTED.match(self._text, self._at)
            if quoted is None and self.next == '"':
                self._at = len(self._text)  # it never ends
                return
            self._at = quoted.end() if quoted else self._at + 1
