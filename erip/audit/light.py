"""The door of the light path."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rest_framework.exceptions import APIException

from erip.audit import refusals
from erip.audit.exempt import BY_THEMSELVES
from erip.audit.middleware import action_of_view, object_of, principal_of, request_id
from erip.audit.operation import Operation, doing
from erip.foundation.errors import EripError
from erip.foundation.http.light.messages import LightRequest, NotLight, Route
from erip.foundation.http.problems import API


@contextmanager
def audited(route: Route, request: LightRequest, parameters: Mapping[str, str]) -> Iterator[None]:
    """Surrounds what the light path does for a request, reading ones included: they may be refused."""
    action = action_of_view(route.view, route.method)
    operation = Operation(
        door="api",
        action=action,
        principal=lambda: principal_of(request),
        object=object_of(request.path[len(API) :], parameters.values()),
        address=request.client,
        request=request_id(),
        writes_itself=action in BY_THEMSELVES,
    )
    try:
        if route.method == "GET":
            yield
            return
        with doing(operation):
            yield
            if not operation.written and not operation.writes_itself:
                operation.write_alone()
    except NotLight:
        raise
    except (APIException, EripError) as error:
        status = error.status_code if isinstance(error, APIException) else error.status
        if status in (401, 403) and not operation.written:
            refusals.note(operation, status, who=getattr(error, "who", ""))
        raise
