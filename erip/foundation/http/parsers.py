"""Read request bodies: JSON, and definitions (YAML or JSON) which the engine parses itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any, ClassVar, Literal

from rest_framework.parsers import BaseParser

from erip.foundation import json_values
from erip.foundation.faults import Fault
from erip.foundation.http.headers import need_no_coding, need_utf8
from erip.foundation.http.limits import body_limit
from erip.foundation.http.problems import BadRequest, PayloadTooLarge, Unprocessable


@dataclass(frozen=True, slots=True)
class DefinitionSource:
    """A definition as it was sent.

    media: the language that `source` is written in
    """

    source: bytes
    media: Literal["yaml", "json"]


class JsonParser(BaseParser):
    """JSON values as Note [Values] in `erip.foundation.json_values` has them."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        body = read_plain(stream, media_type, parser_context)
        try:
            return json_values.read(body)
        except json_values.NotJson as error:
            raise BadRequest([Fault("", str(error))], "The body is not JSON.") from error
        except json_values.NotAValue as error:
            raise Unprocessable(error.faults) from error


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
