"""Write responses: JSON, by orjson."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.utils.mediatypes import media_type_matches

_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC


class JsonRenderer(BaseRenderer):
    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        return b"" if data is None else dumps(data)


class OneRenderer(BaseContentNegotiation):
    """Answers in JSON whatever `Accept` says, as RFC 9110 allows: better than a 406 that hides the answer."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser | None:
        for parser in parsers:
            if media_type_matches(parser.media_type, request.content_type):
                return parser
        return None

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        renderer = next(iter(renderers))
        return renderer, str(renderer.media_type)


def dumps(data: Any) -> bytes:
    """JSON of dicts, dataclasses, datetimes and UUIDs."""
    try:
        return orjson.dumps(data, option=_OPTIONS)
    except orjson.JSONEncodeError:
        # jsonb returns 1e30 as a whole number, which is more than the 64 bits that orjson writes.
        return json.dumps(data, default=_plain, ensure_ascii=False, allow_nan=False).encode()


def _plain(value: Any) -> Any:
    return orjson.loads(orjson.dumps(value, option=_OPTIONS))
