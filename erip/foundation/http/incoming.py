"""What the API reads of a request, whichever way it came in: by a view, or by the light path."""

from collections.abc import Mapping
from typing import Any, Protocol

from django.http import QueryDict


class Incoming(Protocol):
    """REST framework's Request is one, `light.LightRequest` another."""

    @property
    def method(self) -> str | None: ...

    @property
    def path(self) -> str: ...

    @property
    def headers(self) -> Mapping[str, str]:
        """By name, whatever its case."""

    @property
    def query_params(self) -> QueryDict:
        """The query string."""

    @property
    def data(self) -> Any:
        """The body, read by the view's parsers. Raises rest_framework's APIException."""

    @property
    def user(self) -> Any:
        """The Principal who calls."""
