"""Read a request into plain values; all its faults are raised together as one problem."""

from collections.abc import Mapping
from typing import Any

from rest_framework.exceptions import ValidationError

from erip.foundation.faults import Fault
from erip.foundation.http.fields import StrictSerializer
from erip.foundation.http.incoming import Incoming
from erip.foundation.http.last_read import remember
from erip.foundation.http.problems import BadRequest, Unprocessable, faults_of

#: characters of a name that is named in an answer
_SHOWN = 200


def read_body(request: Incoming, serializer: type[StrictSerializer], *, optional: bool = False) -> dict[str, Any]:
    """The validated body. `optional`: no body is the same as {}."""
    data = request.data
    # Without a body it is an empty mapping, of which type depends on the media type. `false`, `[]` and "" are bodies.
    if optional and isinstance(data, Mapping) and not data:
        data = {}
    checked = serializer(data=data)
    try:
        checked.is_valid(raise_exception=True)
    except ValidationError as error:
        raise Unprocessable(sorted(faults_of(error.detail))) from error
    validated = dict(checked.validated_data)
    remember(validated)
    return validated


def read_query(request: Incoming, serializer: type[StrictSerializer]) -> dict[str, Any]:
    """The validated query string. No parameter may occur twice, because readers would pick different ones."""
    query = request.query_params
    faults = [Fault(name[:_SHOWN], "is there more than once") for name in query if len(query.getlist(name)) > 1]
    checked = serializer(data=query.dict())
    try:
        checked.is_valid(raise_exception=True)
    except ValidationError as error:
        faults += faults_of(error.detail)
    if faults:
        raise BadRequest(sorted(faults), "The query is not what this address takes.")
    return dict(checked.validated_data)


def refuse_query(request: Incoming) -> None:
    """For an address that takes no parameters. Next to nothing if there are none."""
    if request.query_params:
        read_query(request, StrictSerializer)


def principal_of(request: Incoming) -> str:
    """The caller's name, as it is recorded with what it does."""
    return str(request.user)
