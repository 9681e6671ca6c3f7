"""Groups of errors under /api/v1/errors."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from erip.access.scopes import Scope
from erip.foundation.faults import Fault
from erip.foundation.http.fields import Choice, Moment, Number, StrictSerializer, Text, Whole
from erip.foundation.http.problems import BadRequest, Unprocessable
from erip.foundation.http.reading import principal_of, read_body, read_query
from erip.foundation.moments import later
from monitoring import store
from monitoring.api.fields import Span
from monitoring.conf import conf
from monitoring.core.fingerprints import Source
from monitoring.core.groups import Definition, GroupState
from monitoring.errors import ErrorGroupDecided, NoSuchErrorGroup
from monitoring.store import error_reading, work
from monitoring.store.error_reading import HOUR, MINUTE, GroupFilter
from workflows.api.schema import operation

_ID = OpenApiParameter("id", {"type": "integer", "minimum": 1, "maximum": 10**18 - 1}, OpenApiParameter.PATH)
#: up to this range, counts are by the minute
_BY_MINUTE = 6 * 3_600
#: as they are asked for, and what they may be
_STATES = [str(state) for state in GroupState]
_SOURCES = [str(source) for source in Source]


class ErrorFilter(StrictSerializer):
    state = Choice([*_STATES, "regression"], required=False, help_text="`regression`: open because it was seen again.")
    source = Choice(_SOURCES, required=False)  # type: ignore[assignment]
    text = Text(max_length=200, required=False, help_text="Part of the title, of what failed, or of `name@version`.")
    new_since = Moment(required=False, help_text="Seen for the first time since then.")
    cursor = Text(max_length=60, required=False, help_text="`next_cursor`.")
    limit = Number(required=False, min_value=1, max_value=200, default=50)


class ErrorQuery(StrictSerializer):
    range = Span(
        least=60, most=400 * 86_400, required=False, help_text="Of `counts`: how far back, 400d at most; else 24h."
    )


class GroupSummary(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    source = serializers.ChoiceField(choices=_SOURCES)  # type: ignore[assignment]
    what = serializers.CharField(help_text="The step's `uses`, the effect on events, or the receiver.")
    code = serializers.CharField()
    type = serializers.CharField(help_text="The class of the exception.")
    title = serializers.CharField(help_text="With a word in place of each value.")
    place = serializers.CharField(help_text="The function of the application, as `module.function`.")
    state = serializers.ChoiceField(choices=_STATES)
    regression = serializers.BooleanField(help_text="Whether it is open because it was seen again.")
    regressions = serializers.IntegerField(help_text="How often that was.")
    count = serializers.IntegerField()
    first_seen = serializers.DateTimeField()
    last_seen = serializers.DateTimeField()
    first_release = serializers.CharField()
    last_release = serializers.CharField()
    first_definition = serializers.CharField(help_text="As `name@version`; empty: of no workflow.")
    last_definition = serializers.CharField(help_text="As `name@version`; empty: of no workflow.")
    changed_at = serializers.DateTimeField(allow_null=True, help_text="When somebody decided about it last.")
    changed_by = serializers.CharField()
    reason = serializers.CharField()
    resolved_at = serializers.DateTimeField(allow_null=True)
    resolved_release = serializers.CharField(allow_null=True, help_text="The release that the fix is in.")
    resolved_workflow = serializers.CharField(allow_null=True)
    resolved_version = serializers.IntegerField(allow_null=True, help_text="The version that the fix is in.")
    regressed_at = serializers.DateTimeField(allow_null=True)


class ListedGroup(GroupSummary):
    hours = serializers.ListField(
        child=serializers.IntegerField(), help_text="Errors in each of the last 24 hours, the oldest first."
    )


class GroupPage(serializers.Serializer[Any]):
    items = ListedGroup(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class GroupLink(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=["run", "request", "dead_letter", "delivery", "alert"])
    id = serializers.CharField()
    at = serializers.DateTimeField()
    detail = serializers.CharField(help_text="The step, the route, or the type of the event.")


class GroupPart(serializers.Serializer[Any]):
    name = serializers.CharField()
    value = serializers.CharField()


class GroupCount(serializers.Serializer[Any]):
    at = serializers.DateTimeField(help_text="The beginning of the minute or hour.")
    count = serializers.IntegerField()


class GroupCounts(serializers.Serializer[Any]):
    step = serializers.IntegerField(help_text="Seconds that each count covers: 60, or 3600 for more than 6 hours.")
    since = serializers.DateTimeField()
    until = serializers.DateTimeField()
    items = GroupCount(many=True, help_text="The oldest first; what is not there is 0.")


class ErrorGroupShown(GroupSummary):
    fingerprint = serializers.CharField()
    why = GroupPart(many=True, help_text="What makes it one kind: errors with the same parts are in this group.")
    traceback = serializers.CharField(help_text="With masked messages; empty: there is none.")
    links = GroupLink(many=True, help_text="The newest 20.")
    counts = GroupCounts()


class Resolve(StrictSerializer):
    reason = Text(max_length=1_000)
    release = Text(max_length=100, required=False, help_text="The release that the fix is in; else the one that runs.")
    workflow = Text(max_length=63, required=False)
    version = Whole(
        min_value=1, max_value=2**31 - 1, required=False, help_text="The version of `workflow` that the fix is in."
    )


class Decide(StrictSerializer):
    reason = Text(max_length=1_000)


class ErrorGroups(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["monitoring.view_errorgroup"],
        tag="monitoring",
        id="listErrors",
        summary="List groups of errors",
        description="Errors of one kind are one group. Seen last first; follow `next_cursor` until it is null.",
        parameters=[ErrorFilter],
        answers={200: GroupPage},
    )
    def get(self, request: Request) -> Response:
        query = read_query(request, ErrorFilter)
        limit, cursor = query.pop("limit"), query.pop("cursor", None)
        if query.get("state") == "regression":
            query |= {"state": "open", "regression": True}
        which = GroupFilter(**query)
        return Response(page(which, before=_place(cursor), limit=limit))


class ErrorGroupOne(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["monitoring.view_errorgroup"],
        tag="monitoring",
        id="getError",
        summary="Show a group of errors",
        parameters=[_ID, ErrorQuery],
        answers={200: ErrorGroupShown},
    )
    def get(self, request: Request, id: int) -> Response:
        query = read_query(request, ErrorQuery)
        return Response(document(id, query.get("range", 86_400)))


class ErrorResolution(APIView):
    @operation(
        scope=Scope.OPERATOR,
        permissions=["monitoring.change_errorgroup"],
        tag="monitoring",
        id="resolveError",
        summary="Say that a kind of errors is fixed",
        description="If it is seen again, in a release and a version of the workflow that the fix is in, it is open"
        " again, as a regression.",
        parameters=[_ID],
        request=Resolve,
        answers={200: ErrorGroupShown},
        problems=[409],
    )
    def post(self, request: Request, id: int) -> Response:
        body = read_body(request, Resolve)
        if ("workflow" in body) != ("version" in body):
            missing = "version" if "workflow" in body else "workflow"
            raise Unprocessable([Fault(missing, "is needed: `workflow` and `version` together name a definition")])
        definition = Definition(body["workflow"], body["version"]) if "workflow" in body else None
        return _decided(
            id,
            lambda: store.resolve_group(
                id,
                by=principal_of(request),
                reason=body["reason"],
                under=conf().release,
                release=body.get("release"),
                definition=definition,
            ),
        )


class ErrorIgnoring(APIView):
    @operation(
        scope=Scope.OPERATOR,
        permissions=["monitoring.change_errorgroup"],
        tag="monitoring",
        id="ignoreError",
        summary="Ignore a kind of errors",
        description="It goes on being counted, and is never a regression.",
        parameters=[_ID],
        request=Decide,
        answers={200: ErrorGroupShown},
        problems=[409],
    )
    def post(self, request: Request, id: int) -> Response:
        body = read_body(request, Decide)
        return _decided(id, lambda: store.ignore_group(id, by=principal_of(request), reason=body["reason"]))


class ErrorReopening(APIView):
    @operation(
        scope=Scope.OPERATOR,
        permissions=["monitoring.change_errorgroup"],
        tag="monitoring",
        id="reopenError",
        summary="Open a kind of errors again",
        parameters=[_ID],
        request=Decide,
        answers={200: ErrorGroupShown},
        problems=[409],
    )
    def post(self, request: Request, id: int) -> Response:
        body = read_body(request, Decide)
        return _decided(id, lambda: store.reopen_group(id, by=principal_of(request), reason=body["reason"]))


def _decided(id: int, decide: Callable[[], bool]) -> Response:
    done = decide()
    shown = document(id, 86_400)
    if not done:
        raise ErrorGroupDecided(f"The group is {shown['state']} already.")
    return Response(shown)


def page(which: GroupFilter, *, before: tuple[datetime, int] | None = None, limit: int = 50) -> dict[str, Any]:
    """Groups, as the API lists them."""
    rows = error_reading.error_groups(which, before=before, limit=limit + 1)
    shown = rows[:limit]
    hours = error_reading.error_hours([row["id"] for row in shown], now=work.clock()) if shown else {}
    items = ListedGroup([{**row, "hours": hours[row["id"]]} for row in shown], many=True).data
    return {"items": items, "next_cursor": _cursor(shown[-1]) if len(rows) > len(shown) else None}


def document(id: int, span: int) -> dict[str, Any]:
    """A group, as the API shows it. span: seconds that its counts go back. Raises NoSuchErrorGroup."""
    row = error_reading.error_group(id)
    if row is None:
        raise NoSuchErrorGroup
    by = MINUTE if span <= _BY_MINUTE else HOUR
    now = work.clock()
    first = datetime.fromtimestamp(later(now, -timedelta(seconds=span)).timestamp() // by * by, UTC)
    counts = error_reading.error_counts([id], since=first, until=now, by=by)[id]
    row["why"] = [{"name": name, "value": value} for name, value in row["why"]]
    row["counts"] = {
        "step": by,
        "since": first,
        "until": now,
        "items": [{"at": at, "count": count} for at, count in counts],
    }
    return dict(ErrorGroupShown(row).data)


def _cursor(row: dict[str, Any]) -> str:
    return f"{row['last_seen'].isoformat()}|{row['id']}"


def _place(cursor: str | None) -> tuple[datetime, int] | None:
    """Raises BadRequest."""
    if cursor is None:
        return None
    at, _, number = cursor.partition("|")
    try:
        if not number.isascii() or not number.isdecimal() or len(number) > 18:
            raise ValueError
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is None or not 1970 <= moment.year <= 9000:
            raise ValueError
        return moment, int(number)
    except ValueError as error:
        raise BadRequest([Fault("cursor", "is not a `next_cursor` of this list")]) from error
