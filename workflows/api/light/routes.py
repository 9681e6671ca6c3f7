"""The endpoints of the light path. How to add one stands in the package's docstring."""

import re

from ..serializers import NAME
from ..starting import start_run
from ..views import runs
from .messages import LightRequest, LightResponse, Route


def _start_run(request: LightRequest, name: str) -> LightResponse:
    started = start_run(request, name)
    return LightResponse.of(started.document, 202, headers=started.headers, wait=started.wait)


ROUTES: list[Route] = [
    Route(re.compile(rf"/api/v1/workflows/(?P<name>{NAME})/runs"), runs.WorkflowRuns, "POST", _start_run),
]
