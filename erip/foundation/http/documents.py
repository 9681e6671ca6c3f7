"""The OpenAPI document and the page that shows it. Both are the same for everybody and need no key."""

from functools import cache

import orjson
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.views import SpectacularSwaggerSplitView


@require_safe
def openapi(request: HttpRequest) -> HttpResponse:
    """GET /api/schema"""
    return HttpResponse(_document(), content_type="application/json")


class Docs(SpectacularSwaggerSplitView):
    """GET /api/docs"""

    url_name = "schema"


@cache
def _document() -> bytes:
    # Built once: it depends on the code alone, and building it takes a good part of a second.
    generator = SchemaGenerator()  # type: ignore[no-untyped-call]
    # Its remarks on the names of enumerations are for us, and not for whoever asks for the document.
    with GENERATOR_STATS.silence():
        return orjson.dumps(generator.get_schema(request=None, public=True))  # type: ignore[no-untyped-call]
