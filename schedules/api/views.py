"""Schedules: store, look ahead, pause, start now, fill in what was missed."""

from typing import Any
from zoneinfo import ZoneInfo

from drf_spectacular.utils import OpenApiExample, OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from erip.access.scopes import Scope
from erip.access.spaces import LISTS, need, of_caller
from erip.foundation.http.reading import principal_of, read_body, read_query
from schedules import asking, stored
from schedules.api import shapes
from schedules.core.occurrences import Occurrence
from schedules.core.spec import Spec
from schedules.errors import ScheduleInvalid
from schedules.models import ScheduledStart, ScheduleVersion
from workflows.api.schema import operation, response_header

NAME = OpenApiParameter(
    "name",
    {"type": "string", "pattern": f"^{shapes.SCHEDULE}$"},
    OpenApiParameter.PATH,
    description="The schedule's name.",
)
_EXAMPLE = OpenApiExample(
    "Every business day at seven in Berlin",
    value={
        "schedule": {
            "workflow": "compliance-assessment",
            "cron": "0 7 * * *",
            "timezone": "Europe/Berlin",
            "calendar": "DE-BE",
            "on_holiday": "skip",
            "catch_up": "latest",
            "overlap": "skip",
        }
    },
    request_only=True,
)


def _version(version: ScheduleVersion) -> dict[str, Any]:
    return {
        "version": version.number,
        "schedule": version.document,
        "description": version.description,
        "deleted": version.deleted,
        "author": version.author,
        "created_at": version.created_at,
    }


def _summary(version: ScheduleVersion) -> dict[str, Any]:
    schedule = version.schedule
    names = ("next_at", "next_start_at", "paused_at", "paused_by", "paused_reason")
    problem = None
    try:
        stored.check(version.document)
    except ScheduleInvalid as error:
        problem = "; ".join(str(fault) for fault in error.faults)
    return {
        "name": schedule.name,
        **_version(version),
        **{name: getattr(schedule, name) for name in names},
        "problem": problem,
    }


def _coming(name: str, spec: Spec, one: Occurrence) -> dict[str, Any]:
    return {
        "at": one.at,
        "local": one.at.astimezone(ZoneInfo(spec.timezone)).isoformat(),
        "starts_at": one.starts(name, spec.jitter),
        "planned": one.planned,
    }


def _start(row: ScheduledStart) -> dict[str, Any]:
    names = ("id", "at", "until", "cause", "outcome", "reason", "run_id", "by", "decided_at")
    return {name: getattr(row, name) for name in names}


class Schedules(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["schedules.view_schedule"],
        of=LISTS,
        tag="schedules",
        id="listSchedules",
        summary="List schedules",
        description="By name. Follow `next_cursor` until it is null.",
        parameters=[shapes.ScheduleFilter],
        answers={200: shapes.SchedulePage},
    )
    def get(self, request: Request) -> Response:
        query = read_query(request, shapes.ScheduleFilter)
        after = query["cursor"].removeprefix(shapes.BEHIND) if "cursor" in query else None
        found, following = stored.page(after=after, limit=query["limit"], spaces=of_caller(request))
        cursor = None if following is None else f"{shapes.BEHIND}{following}"
        return Response({"items": [_summary(version) for version in found], "next_cursor": cursor})


class ScheduleOne(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["schedules.view_schedule"],
        of="schedule:name",
        tag="schedules",
        id="getSchedule",
        summary="Read a schedule, and what it said before",
        parameters=[NAME],
        answers={200: shapes.ScheduleDetail},
    )
    def get(self, request: Request, name: str) -> Response:
        versions = stored.history(name, of_caller(request))
        return Response({**_summary(versions[0]), "versions": [_version(version) for version in versions]})

    @operation(
        scope=Scope.AUTHOR,
        permissions=["schedules.add_scheduleversion"],
        of="schedule:name",
        tag="schedules",
        id="putSchedule",
        summary="Store a schedule",
        description=(
            "A change becomes the next version; the same again changes nothing. If its moments change, they count from "
            "now on."
        ),
        parameters=[NAME, response_header("Location", "Where the schedule is.", 200, 201)],
        request=shapes.PutSchedule,
        examples=[_EXAMPLE],
        answers={200: shapes.ScheduleStored, 201: shapes.ScheduleStored},
    )
    def put(self, request: Request, name: str) -> Response:
        body = read_body(request, shapes.PutSchedule)
        workflow = body["schedule"].get("workflow") if isinstance(body["schedule"], dict) else None
        if isinstance(workflow, str):
            need("workflow", workflow, of_caller(request))
        done = stored.put(
            name, document=body["schedule"], description=body["description"], author=principal_of(request)
        )
        return Response(
            {"name": done.name, "version": done.number, "changed": done.changed},
            status=201 if done.created else 200,
            headers={"Location": f"/api/v1/schedules/{done.name}"},
        )

    @operation(
        scope=Scope.AUTHOR,
        permissions=["schedules.add_scheduleversion"],
        tag="schedules",
        id="deleteSchedule",
        summary="Delete a schedule",
        description="It starts nothing any more. Its versions are kept, and so is what it started.",
        parameters=[NAME],
        answers={204: None},
    )
    def delete(self, request: Request, name: str) -> Response:
        stored.delete(name, author=principal_of(request))
        return Response(status=204)


class SchedulesPreview(APIView):
    @operation(
        scope=Scope.AUTHOR,
        permissions=["schedules.add_scheduleversion"],
        tag="schedules",
        id="previewUnstoredSchedule",
        summary="Check a schedule without storing it, and see its next moments",
        request=shapes.PreviewSchedule,
        examples=[_EXAMPLE],
        answers={200: shapes.Comings},
        no_key="is not read here: nothing is stored.",
    )
    def post(self, request: Request) -> Response:
        body = read_body(request, shapes.PreviewSchedule)
        spec = stored.check(body["schedule"])
        return Response({"items": [_coming("", spec, one) for one in stored.preview(spec, count=body["count"])]})


class SchedulePreview(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["schedules.view_schedule"],
        of="schedule:name",
        tag="schedules",
        id="previewSchedule",
        summary="See the next moments of a schedule",
        description="As if it were not paused.",
        parameters=[NAME, shapes.PreviewFilter],
        answers={200: shapes.Comings},
    )
    def get(self, request: Request, name: str) -> Response:
        query = read_query(request, shapes.PreviewFilter)
        spec = stored.spec_of(stored.latest(name))
        found = stored.preview(spec, after=query.get("after"), count=query["count"])
        return Response({"items": [_coming(name, spec, one) for one in found]})


class ScheduleStarts(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["schedules.view_scheduledstart"],
        of="schedule:name",
        tag="schedules",
        id="listScheduledStarts",
        summary="What became of a schedule's moments",
        description="Newest decision first. Follow `next_cursor` until it is null.",
        parameters=[NAME, shapes.StartFilter],
        answers={200: shapes.StartPage},
    )
    def get(self, request: Request, name: str) -> Response:
        query = read_query(request, shapes.StartFilter)
        found = stored.latest(name).schedule.starts.order_by("-id")
        if "outcome" in query:
            found = found.filter(outcome=query["outcome"])
        if "cursor" in query:
            found = found.filter(id__lt=query["cursor"])
        rows = list(found[: query["limit"] + 1])
        more = len(rows) > query["limit"]
        rows = rows[: query["limit"]]
        return Response({"items": [_start(row) for row in rows], "next_cursor": str(rows[-1].pk) if more else None})


class SchedulePause(APIView):
    @operation(
        scope=Scope.OPERATOR,
        permissions=["schedules.change_schedule"],
        of="schedule:name",
        tag="schedules",
        id="pauseSchedule",
        summary="Pause a schedule",
        description="It plans nothing until it is resumed. Runs that it started go on.",
        parameters=[NAME],
        request=shapes.Pause,
        answers={200: shapes.ScheduleSummary},
        problems=[409],
    )
    def post(self, request: Request, name: str) -> Response:
        body = read_body(request, shapes.Pause, optional=True)
        stored.pause(name, by=principal_of(request), reason=body["reason"])
        return Response(_summary(stored.latest(name)))


class ScheduleResume(APIView):
    @operation(
        scope=Scope.OPERATOR,
        permissions=["schedules.change_schedule"],
        of="schedule:name",
        tag="schedules",
        id="resumeSchedule",
        summary="Resume a paused schedule",
        description="What was missed meanwhile is treated as its `catch_up` says.",
        parameters=[NAME],
        request=shapes.Nothing,
        answers={200: shapes.ScheduleSummary},
        problems=[409],
    )
    def post(self, request: Request, name: str) -> Response:
        read_body(request, shapes.Nothing, optional=True)
        stored.resume(name)
        return Response(_summary(stored.latest(name)))


class ScheduleTrigger(APIView):
    @operation(
        scope=Scope.OPERATOR,
        permissions=["schedules.change_schedule"],
        of="schedule:name",
        tag="schedules",
        id="triggerSchedule",
        summary="Start a run of a schedule now",
        description="Also of a paused schedule, and whatever `overlap` says. Its own moments stay as they are.",
        parameters=[NAME],
        request=shapes.Nothing,
        answers={202: shapes.Start},
    )
    def post(self, request: Request, name: str) -> Response:
        read_body(request, shapes.Nothing, optional=True)
        return Response(_start(asking.trigger(name, by=principal_of(request))), status=202)


class ScheduleBackfill(APIView):
    @operation(
        scope=Scope.OPERATOR,
        permissions=["schedules.change_schedule"],
        of="schedule:name",
        tag="schedules",
        id="backfillSchedule",
        summary="Start the runs of a time that has passed",
        description=(
            "All moments from `from` to before `to` that started no run, whatever `overlap` says; at most 1,000. "
            "`dry_run`, which is the default, only says which they are."
        ),
        parameters=[NAME],
        request=shapes.Backfill,
        answers={200: shapes.Backfilled, 202: shapes.Backfilled},
    )
    def post(self, request: Request, name: str) -> Response:
        body = read_body(request, shapes.Backfill)
        dry_run = body["dry_run"]
        found = asking.backfill(name, begin=body["begin"], end=body["to"], by=principal_of(request), dry_run=dry_run)
        items = [{"at": each.one.at, "starts": each.known is None, "known": each.known} for each in found]
        starts = sum(each.known is None for each in found)
        return Response({"dry_run": dry_run, "starts": starts, "items": items}, status=200 if dry_run else 202)
