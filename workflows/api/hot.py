"""The endpoints of the light path. The package's docstring says how to add one."""

import re

from erip.foundation.http.headers import IDEMPOTENCY_KEY
from erip.foundation.http.light.messages import LightRequest, LightResponse, NotLight, Route
from erip.foundation.http.reading import refuse_query
from workflows import queries
from workflows.api.serializers import NAME
from workflows.api.starting import start_run
from workflows.api.views import runs

#: as Django's converter `uuid` takes it
_ID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


def _start_run(request: LightRequest, name: str) -> LightResponse:
    started = start_run(request, name)
    return LightResponse.of(started.document, 202, headers=started.headers, wait=started.wait)


def _list_runs(request: LightRequest) -> LightResponse:
    return LightResponse.of(runs.page_of_runs(request))


def _read_run(request: LightRequest, id: str) -> LightResponse:
    refuse_query(request)
    return LightResponse.of(queries.run_detail(id))


def _cancel_run(request: LightRequest, id: str) -> LightResponse:
    if IDEMPOTENCY_KEY in request.headers:
        raise NotLight
    return LightResponse.of(runs.cancelled_run(request, id))


ROUTES: list[Route] = [
    Route(re.compile(rf"/api/v1/workflows/(?P<name>{NAME})/runs"), runs.WorkflowRuns, "POST", _start_run),
    Route(re.compile("/api/v1/runs"), runs.RunList, "GET", _list_runs),
    Route(re.compile(rf"/api/v1/runs/(?P<id>{_ID})"), runs.RunOne, "GET", _read_run),
    Route(re.compile(rf"/api/v1/runs/(?P<id>{_ID})/cancel"), runs.RunCancel, "POST", _cancel_run),
]
