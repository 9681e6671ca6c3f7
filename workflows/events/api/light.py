"""The endpoint of the event bus on the light path: see `erip.foundation.http.light`."""

import re

from erip.foundation.http.headers import refuse_idempotency_key
from erip.foundation.http.light import LightRequest, LightResponse, Route

from .accepting import NO_KEY, accept, caller_of
from .views.events import Events


def _accept(request: LightRequest) -> LightResponse:
    refuse_idempotency_key(request, NO_KEY)
    return LightResponse.of(accept(request.headers, request.body, caller_of(request)), 202)


ROUTES: list[Route] = [Route(re.compile(r"/api/v1/events"), Events, "POST", _accept)]
