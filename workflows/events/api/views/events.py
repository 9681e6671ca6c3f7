"""Events: accept them, read the log, replay it, and see how far the consumers are."""

from collections.abc import Mapping
from typing import IO, Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from erip.access.scopes import Scope
from erip.access.spaces import LISTS, of_caller
from erip.audit.operation import describe
from erip.foundation.http.parsers import read_limited
from erip.foundation.http.reading import principal_of, read_body, read_query
from workflows.api.schema import operation
from workflows.api.views.privacy import OpenedEvent, Why
from workflows.core.cloudevents import BATCH, STRUCTURED
from workflows.events import queries, replaying
from workflows.events.opening import open_event

from .. import serializers
from ..accepting import NO_KEY, accept, caller_of

_EXAMPLE = {
    "specversion": "1.0",
    "id": "T-2026-0417",
    "source": "/feeds/nexus",
    "type": "nexus.threat.detected",
    "subject": "asset-17",
    "time": "2026-11-25T08:00:00Z",
    "data": {"severity": "critical", "cve": "CVE-2021-44228"},
}


class RawParser(BaseParser):
    """The bytes of the body, whatever its media type: `accepting` tells the modes apart."""

    media_type = "*/*"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        return read_limited(stream, parser_context)


class Events(APIView):
    def get_parsers(self) -> list[BaseParser]:
        return [RawParser()]

    @operation(
        scope=Scope.OPERATOR,
        permissions=["events.add_event"],
        tag="events",
        id="acceptEvents",
        summary="Accept events",
        description=(
            "CloudEvents 1.0: one in structured mode, a batch of them, or one in binary mode (its attributes in `ce-` "
            "headers, its data the body). 202: all of them are durable. Events whose source and id were accepted "
            "before take no effect again. `Content-Encoding`: gzip or zstd."
        ),
        parameters=[
            OpenApiParameter(
                "Content-Encoding",
                OpenApiTypes.STR,
                OpenApiParameter.HEADER,
                # Any letter case is allowed, and empty means identity (RFC 9110, 8.4): an enum cannot say that.
                description="`gzip`, `zstd` or `identity`.",
            ),
            *(
                OpenApiParameter(f"ce-{name}", OpenApiTypes.STR, OpenApiParameter.HEADER, description="In binary mode.")
                for name in ("specversion", "id", "source", "type", "subject")
            ),
        ],
        request={
            STRUCTURED: serializers.CloudEvent,
            BATCH: serializers.CloudEvent(many=True),
            "application/octet-stream": OpenApiTypes.BINARY,
        },
        examples=[OpenApiExample("A threat", value=_EXAMPLE, request_only=True, media_type=STRUCTURED)],
        answers={202: serializers.Accepted},
        problems=[429],
        no_key=NO_KEY,
    )
    def post(self, request: Request) -> Response:
        body = request.data if isinstance(request.data, bytes) else b""
        return Response(accept(request.headers, body, caller_of(request)), status=202)

    @operation(
        scope=Scope.VIEWER,
        permissions=["events.view_logentry"],
        of=LISTS,
        tag="events",
        id="listEvents",
        summary="Read the log of events",
        description="Newest first. Follow `next_cursor` until it is null; new events do not shift the pages.",
        parameters=[serializers.EventFilter],
        answers={200: serializers.EventPage},
    )
    def get(self, request: Request) -> Response:
        query = read_query(request, serializers.EventFilter)
        page = queries.list_events(
            serializers.filter_of(query),
            id=query.get("id"),
            oldest_first=query.get("order") == "oldest",
            cursor=query.get("cursor"),
            limit=query["limit"],
            spaces=of_caller(request),
        )
        return Response({"items": page.items, "next_cursor": page.next_cursor})


_POSITION = OpenApiParameter(
    "position",
    {"type": "string", "pattern": "^[0-9]{1,5}-[0-9]{1,18}$"},
    OpenApiParameter.PATH,
    description="Its place in the log, as lists tell it: `7-1234`.",
)


class EventOne(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["events.view_logentry"],
        of="event:position",
        tag="events",
        id="getEvent",
        summary="Read one event of the log",
        description="By its place. By its source and id: `GET /events?source=…&id=…`.",
        parameters=[_POSITION],
        answers={200: serializers.EventDetail},
    )
    def get(self, request: Request, position: str) -> Response:
        partition, _, place = position.partition("-")
        return Response(queries.event_at(int(partition), int(place), spaces=of_caller(request)))


class EventOpen(APIView):
    @operation(
        scope=Scope.ADMIN,
        permissions=["privacy.open_data"],
        of="event:position",
        tag="privacy",
        id="openEvent",
        summary="Read an event with its sensitive data",
        description="Everywhere else sensitive data is shown sealed. The audit log says who opened it and why.",
        parameters=[_POSITION],
        request=Why,
        answers={200: OpenedEvent},
        no_key="is not read here: the answer is not kept.",
    )
    def post(self, request: Request, position: str) -> Response:
        read_body(request, Why)
        partition, _, place = position.partition("-")
        found = open_event(int(partition), int(place))
        describe(object=f"event:{position}")
        return Response(found)


class EventsStatus(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["events.view_partition"],
        tag="events",
        id="eventsStatus",
        summary="How far the consumers are",
        description="Lag, owner and rate of each partition; who consumes, and how fast.",
        answers={200: serializers.EventsStatus},
    )
    def get(self, request: Request) -> Response:
        return Response(queries.status())


class EventsReplay(APIView):
    @operation(
        scope=Scope.OPERATOR,
        permissions=["events.view_logentry", "events.add_event"],
        tag="events",
        id="replayEvents",
        summary="Have events of the log take effect again",
        description=(
            "For one target: all triggers, one trigger, or one subscription. Nothing is logged again. "
            "Unless `dry_run` is false, nothing is done but to say what would be. Up to 100,000 events."
        ),
        request=serializers.StartReplay,
        examples=[
            OpenApiExample(
                "Yesterday's threats",
                value={"target": "triggers", "type": "nexus.threat.detected", "after": "2026-11-24T00:00:00Z"},
                request_only=True,
            )
        ],
        answers={200: serializers.Replayed, 202: serializers.Replayed},
    )
    def post(self, request: Request) -> Response:
        body = read_body(request, serializers.StartReplay)
        wanted, target, dry_run = serializers.filter_of(body), body["target"], body["dry_run"]
        if dry_run:
            done = replaying.preview(wanted, target)
        else:
            done = replaying.replay(wanted, target, by=principal_of(request))
        answer = {"target": target, "dry_run": dry_run, "events": done.events, "effects": done.effects}
        return Response(answer, status=200 if dry_run else 202)
