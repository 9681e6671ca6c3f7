"""Events as they are logged, as server-sent events."""

from typing import Any

from django.http import HttpResponse, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.views import APIView

from erip.access.flags import asking as flags
from erip.access.permissions import requires
from erip.access.spaces import LISTS, of_caller
from erip.foundation.faults import Fault
from erip.foundation.http.problems import BadRequest
from erip.foundation.http.reading import principal_of
from workflows.api.schema import operation
from workflows.core import patterns
from workflows.engine.spaces import sources_in
from workflows.events.streaming import listening
from workflows.events.streaming.hub import LISTEN
from workflows.events.streaming.mailbox import Filter

_MAX = {"type": 255, "source": 1024, "subject": 1024, "last_event_id": 16_384}
_MAX_TYPES = 50
_TYPE = "text/event-stream; charset=utf-8"
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def _parameter(name: str, text: str, **more: Any) -> OpenApiParameter:
    return OpenApiParameter(name, OpenApiTypes.STR, OpenApiParameter.QUERY, description=text, **more)


class EventsStream(APIView):
    @operation(
        scope=LISTEN.scope,
        permissions=LISTEN.permissions,
        of=LISTS,
        # The process reads the log once for all its listeners: Note [Streams].
        walled=False,
        tag="events",
        id="streamEvents",
        summary="Listen to events",
        description=(
            "Server-sent events (`text/event-stream`), each with a CloudEvent in structured JSON as its `data`, as "
            "they are logged; those of a subject in their order. Anyone who connects again with the last one's "
            "`id` goes "
            "on after it. An event named `end` says why the stream ends: `too_slow`, `shutting_down`, `access_ended`. "
            "Who may listen in some spaces only hears what the workflows there announce."
        ),
        parameters=[
            _parameter("type", "A type, or the beginning of one and `*`; may be given several times.", many=True),
            _parameter("source", "A source, or the beginning of one and `*`."),
            _parameter("subject", "A subject, or the beginning of one and `*`."),
            _parameter("last_event_id", "In place of the header, which a browser does not send at first."),
            OpenApiParameter(
                "Last-Event-ID",
                OpenApiTypes.STR,
                OpenApiParameter.HEADER,
                description="The id of the last event that was received.",
            ),
        ],
        answers={200: OpenApiTypes.STR},
        media_type="text/event-stream",
        problems=[410, 429],
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        principal = principal_of(request)
        flags.need("event-streams", principal)
        wanted, cursor = _read(request), _begin(request)
        listening.hub().enter(principal)
        return StreamingHttpResponse(
            listening.Stream(wanted, principal, cursor), content_type=_TYPE, headers=dict(_HEADERS)
        )

    @requires(LISTEN.scope, *LISTEN.permissions)
    def head(self, request: Request) -> HttpResponse:
        """What a listener would be answered, without a stream: it would never end, and nobody would read it."""
        flags.need("event-streams", principal_of(request))
        _read(request)
        _begin(request)
        return HttpResponse(content_type=_TYPE, headers=dict(_HEADERS))

    head.about = LISTS  # type: ignore[attr-defined]


def _begin(request: Request) -> dict[int, int] | None:
    sent = request.headers.get("Last-Event-ID") or request.query_params.get("last_event_id")
    return listening.begin_at(sent or None)


def _read(request: Request) -> Filter:
    query = request.query_params
    faults = [Fault(name, f"is not known; known are: {', '.join(_MAX)}") for name in query if name not in _MAX]
    for name, most in _MAX.items():
        values = query.getlist(name)
        if name == "type":
            if len(values) > _MAX_TYPES:
                faults.append(Fault(name, f"is there {len(values)} times; {_MAX_TYPES} are read"))
        elif len(values) > 1:
            faults.append(Fault(name, "is there more than once"))
        for value in values:
            if len(value) > most:
                faults.append(Fault(name, f"has more than {most} characters"))
            elif name != "last_event_id" and (fault := patterns.fault(value)):
                faults.append(Fault(name, fault))
    if faults:
        raise BadRequest(faults, "The query is not what this address takes.")
    sources = sources_in(of_caller(request))
    return Filter(tuple(query.getlist("type")), query.get("source"), query.get("subject"), sources)
