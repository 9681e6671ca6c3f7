"""Legal clocks: list, explain, stop, resume, amend, file, dismiss, new facts."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import F, Q, QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from erip.access.scopes import Scope
from erip.access.spaces import LISTS, of_caller
from erip.foundation.http.reading import principal_of, read_body, read_query
from erip.foundation.moments import later
from workflows.api.schema import RUN_PARAMETER, operation
from workflows.clocks import assessing, changing, shapes
from workflows.clocks.models import OPEN, LegalClock, Reassessment
from workflows.clocks.showing import shown
from workflows.models import WorkflowDefinition

CLOCK = OpenApiParameter("clock", OpenApiTypes.INT64, OpenApiParameter.PATH, description="The clock's id.")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class OpenClocks(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["clocks.view_legalclock"],
        tag="clocks",
        id="listClocks",
        summary="List the legal clocks that are open, by due",
        description="Of all runs; those without a deadline come last. Follow `next_cursor` until it is null.",
        parameters=[shapes.ClockFilter],
        answers={200: shapes.LegalClockPage},
        of=LISTS,
    )
    def get(self, request: Request) -> Response:
        query = read_query(request, shapes.ClockFilter)
        states = [query["state"]] if "state" in query else OPEN
        found = LegalClock.objects.filter(state__in=states, **_of_spaces(request))
        if "workflow" in query:
            found = found.filter(workflow=query["workflow"])
        if "cursor" in query:
            found = found.filter(_behind(query["cursor"]))
        return _page(found, query["limit"])


def _page(found: QuerySet[LegalClock], limit: int, *, explain: bool = False) -> Response:
    rows = list(found.order_by(F("due_at").asc(nulls_last=True), "id")[: limit + 1])
    more = len(rows) > limit
    now = changing.database_clock()
    items = [shown(row, now, explain=explain) for row in rows[:limit]]
    return Response({"items": items, "next_cursor": _cursor(rows[limit - 1]) if more else None})


def _of_spaces(request: Request) -> dict[str, Any]:
    spaces = of_caller(request)
    if spaces is None:
        return {}
    return {"workflow__in": WorkflowDefinition.objects.filter(space__in=spaces).values("name")}


def _cursor(row: LegalClock) -> str:
    due = "none" if row.due_at is None else (row.due_at - _EPOCH) // timedelta(microseconds=1)
    return f"after:{due}-{row.pk}"


def _behind(cursor: str) -> Q:
    micros, _, after = cursor.removeprefix("after:").rpartition("-")
    if micros == "none":
        return Q(due_at__isnull=True, id__gt=int(after))
    due = later(_EPOCH, timedelta(microseconds=int(micros)))
    return Q(due_at__gt=due) | Q(due_at=due, id__gt=int(after)) | Q(due_at__isnull=True)


class RunClocks(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["clocks.view_legalclock"],
        tag="clocks",
        id="listRunClocks",
        summary="List the legal clocks of a run",
        description=(
            "Those that its steps started, by due. They stay when the run is archived. With `explain=1` each says how "
            "its two readings came about, so that they can be recomputed by hand. A run without clocks, or one that "
            "there is not, has none. Follow `next_cursor` until it is null."
        ),
        parameters=[RUN_PARAMETER, shapes.Explain],
        answers={200: shapes.LegalClockPage},
        of="run:id",
    )
    def get(self, request: Request, id: UUID) -> Response:
        query = read_query(request, shapes.Explain)
        found = LegalClock.objects.filter(run_id=id)
        if "cursor" in query:
            found = found.filter(_behind(query["cursor"]))
        return _page(found, query["limit"], explain=query["explain"] in ("1", "true"))


class Reassessments(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["clocks.view_legalclock"],
        tag="clocks",
        id="listReassessments",
        summary="List the cases whose clocks a new fact or a change of the law changed",
        description="Newest first. Follow `next_cursor` until it is null.",
        parameters=[shapes.ReassessmentFilter],
        answers={200: shapes.ReassessedPage},
        of=LISTS,
    )
    def get(self, request: Request) -> Response:
        query = read_query(request, shapes.ReassessmentFilter)
        found = Reassessment.objects.filter(**_of_spaces(request)).order_by("-id")
        if "cause" in query:
            found = found.filter(cause=query["cause"])
        if "cursor" in query:
            found = found.filter(pk__lt=query["cursor"])
        rows = list(found[: query["limit"] + 1])
        more = len(rows) > query["limit"]
        rows = rows[: query["limit"]]
        return Response(
            {"items": [_reassessed(one) for one in rows], "next_cursor": str(rows[-1].pk) if more else None}
        )


def _reassessed(one: Reassessment) -> dict[str, Any]:
    names = ("id", "run_id", "workflow", "at", "cause", "by", "reason", "changes")
    return {name: getattr(one, name) for name in names}


class ClockFacts(APIView):
    @operation(
        scope=Scope.OPERATOR,
        permissions=["clocks.change_legalclock"],
        tag="clocks",
        id="learnFacts",
        summary="Tell what was learnt about an incident",
        description=(
            "Its duties are assessed again with what was known and these facts. What now applies starts its clock, "
            "deadlines move, and a clock whose duty does not apply any more says so, until a person dismisses it. "
            "Answers what changed."
        ),
        parameters=[RUN_PARAMETER],
        request=shapes.NewFacts,
        answers={200: shapes.ReassessedList},
        problems=[409],
        of="run:id",
    )
    def post(self, request: Request, id: UUID) -> Response:
        body = read_body(request, shapes.NewFacts)
        found = assessing.learn(id, body["facts"], by=principal_of(request), reason=body["reason"])
        return Response({"items": [_reassessed(one) for one in found]})


def _changes(id_: str, summary: str, description: str, request: Any) -> Any:
    return operation(
        scope=Scope.OPERATOR,
        permissions=["clocks.change_legalclock"],
        tag="clocks",
        id=id_,
        summary=summary,
        description=description,
        parameters=[RUN_PARAMETER, CLOCK],
        request=request,
        answers={200: shapes.LegalClock},
        problems=[409],
        of="run:id",
    )


def _answer(row: LegalClock) -> Response:
    return Response(shown(row, changing.database_clock()))


class ClockStop(APIView):
    @_changes(
        "stopClock",
        "Stop a legal clock",
        "Its period does not run until it is resumed. Name the article that allows it, where the duty names none.",
        shapes.StopClock,
    )
    def post(self, request: Request, id: UUID, clock: int) -> Response:
        body = read_body(request, shapes.StopClock)
        return _answer(changing.stop(id, clock, by=principal_of(request), **body))


class ClockResume(APIView):
    @_changes("resumeClock", "Resume a stopped legal clock", "The time that it stood is added.", shapes.ResumeClock)
    def post(self, request: Request, id: UUID, clock: int) -> Response:
        body = read_body(request, shapes.ResumeClock, optional=True)
        return _answer(changing.resume(id, clock, by=principal_of(request), **body))


class ClockAmend(APIView):
    @_changes(
        "amendClock",
        "Amend a legal clock",
        "Correct the moments that it counts from, or note that the authority granted more time.",
        shapes.AmendClock,
    )
    def post(self, request: Request, id: UUID, clock: int) -> Response:
        body = read_body(request, shapes.AmendClock)
        return _answer(changing.amend(id, clock, by=principal_of(request), **body))


class ClockFile(APIView):
    @_changes(
        "fileClock",
        "File: the duty was met",
        "It stops the clock, with the proof. What counts from it in the same run starts now.",
        shapes.FileClock,
    )
    def post(self, request: Request, id: UUID, clock: int) -> Response:
        body = read_body(request, shapes.FileClock)
        return _answer(changing.file(id, clock, by=principal_of(request), **body))


class ClockDismiss(APIView):
    @_changes(
        "dismissClock",
        "Dismiss a legal clock: the duty does not apply",
        "It wakes nobody any more, and is kept with the reason and who gave it.",
        shapes.DismissClock,
    )
    def post(self, request: Request, id: UUID, clock: int) -> Response:
        body = read_body(request, shapes.DismissClock)
        return _answer(changing.dismiss(id, clock, by=principal_of(request), **body))
