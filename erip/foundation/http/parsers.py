"""Read request bodies: JSON, and definitions (YAML or JSON) which the engine parses itself."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any, ClassVar, Literal

import orjson
from django.conf import settings
from rest_framework.parsers import BaseParser

from erip.foundation.faults import Fault, join
from erip.foundation.http.headers import need_no_coding, need_utf8
from erip.foundation.http.limits import body_limit
from erip.foundation.http.problems import BadRequest, PayloadTooLarge, Unprocessable

_MANY_DIGITS = re.compile(rb"[0-9]{19,}")
#: turns every digit into 0 and all else into a space
_DIGITS = bytes(ord("0") if c in b"0123456789" else ord(" ") for c in range(256))
_INTEGERS = range(-(2**63), 2**64)


@dataclass(frozen=True, slots=True)
class DefinitionSource:
    """A definition as it was sent.

    media: the language that `source` is written in
    """

    source: bytes
    media: Literal["yaml", "json"]


class JsonParser(BaseParser):
    """JSON that every layer below can hold: finite numbers of 64 bits, no NUL characters, limited depth."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        body = read_plain(stream, media_type, parser_context)
        try:
            data = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise BadRequest([Fault("", f"not JSON: {error}")], "The body is not JSON.") from error
        if faults := faults_in(body, data):
            raise Unprocessable(faults)
        return data


class DefinitionParser(BaseParser):
    """The base of the parsers of definitions: the bytes, and the language they are in."""

    media: ClassVar[Literal["yaml", "json"]]

    def parse(  # type: ignore[override]
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> DefinitionSource:
        return DefinitionSource(read_plain(stream, media_type, parser_context), self.media)


class YamlDefinitionParser(DefinitionParser):
    media_type = "application/yaml"  # RFC 9512
    media = "yaml"


class JsonDefinitionParser(DefinitionParser):
    media_type = "application/json"
    media = "json"


class XYamlDefinitionParser(YamlDefinitionParser):
    media_type = "application/x-yaml"


class TextYamlDefinitionParser(YamlDefinitionParser):
    media_type = "text/yaml"


def read_plain(stream: IO[Any], media_type: str | None, parser_context: Mapping[str, Any] | None) -> bytes:
    """The whole body, which must be UTF-8 and not compressed. Raises UnsupportedMedia, BadRequest, PayloadTooLarge."""
    request = (parser_context or {}).get("request")
    need_utf8(media_type or "")
    if request is not None:
        need_no_coding(request)
    return read_limited(stream, parser_context)


def read_limited(stream: IO[Any], parser_context: Mapping[str, Any] | None) -> bytes:
    """The whole body; raises PayloadTooLarge. See door.Door, which refuses earlier where ASGI is
    spoken.
    """
    request = (parser_context or {}).get("request")
    limit = body_limit(request.path if request is not None else "")
    body: bytes = stream.read(limit + 1)
    if len(body) > limit:
        raise PayloadTooLarge(limit)
    return body


def faults_in(body: bytes, data: Any) -> list[Fault]:
    """What in `data`, which orjson read from `body`, the layers below cannot hold."""
    # A path for each value is only made where something can be wrong.
    deepest: int = settings.ERIP_API_MAX_DEPTH
    shallow = body.count(b"[") + body.count(b"{") <= deepest
    if not _suspicious(body) and (shallow or not _deeper_than(data, deepest)):
        return []
    faults = storable_faults(data)
    if not faults and _MANY_DIGITS.search(body):
        faults = _large_integers(body)
    return faults


def _suspicious(body: bytes) -> bool:
    """Whether a text can hold U+0000, or a whole number have more than 64 bits. What is more than a double can hold,
    orjson refuses."""
    return b"\\u0000" in body or b"0" * 19 in body.translate(_DIGITS)


def _deeper_than(data: Any, levels: int) -> bool:
    level = [data] if isinstance(data, dict | list) else []
    for _ in range(levels):
        if not level:
            return False
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
    return bool(level)


def storable_faults(data: Any) -> list[Fault]:
    """What in a document jsonb cannot hold (U+0000), or is nested too deep to be walked safely."""
    faults: list[Fault] = []
    deepest = settings.ERIP_API_MAX_DEPTH
    stack: list[tuple[Any, str, int]] = [(data, "", 0)]
    while stack:
        value, path, depth = stack.pop()
        if isinstance(value, str):
            if "\x00" in value:
                faults.append(Fault(path, "contains the character U+0000, which cannot be stored"))
        elif isinstance(value, float):
            if not math.isfinite(value):
                faults.append(Fault(path, "is not a finite number"))
        elif isinstance(value, dict | list):
            if depth >= deepest:
                faults.append(Fault(path[:200], f"is nested deeper than {deepest} levels"))
                continue
            if isinstance(value, list):
                stack.extend((item, join(path, index), depth + 1) for index, item in enumerate(value))
                continue
            for key, item in value.items():
                if "\x00" in key:
                    faults.append(Fault(path, "has a key with the character U+0000, which cannot be stored"))
                stack.append((item, join(path, key), depth + 1))
    return sorted(faults)


def _large_integers(body: bytes) -> list[Fault]:
    """Whole numbers beyond 64 bits, which orjson would quietly round to the next double."""
    faults: list[Fault] = []

    def read(digits: str) -> int:
        # Not int(digits): Python refuses to read very long numbers.
        if len(digits) > 20 or int(digits) not in _INTEGERS:
            shown = digits if len(digits) <= 30 else f"{digits[:27]}..."
            faults.append(Fault("", f"the number {shown} has more than 64 bits; send it as a string"))
        return 0

    json.loads(body, parse_int=read)
    return faults
