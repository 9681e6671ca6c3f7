"""Pausing a whole workflow or lane, and resuming it."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from erip.access.scopes import Scope
from erip.access.spaces import LISTS, of_caller
from erip.foundation.http.reading import principal_of, read_body
from workflows import engine, store

from ..schema import NAME_PARAMETER, operation
from ..serializers import PauseAll, ResumeAll

_LANE = OpenApiParameter(
    "lane", {"type": "string", "pattern": "^[a-z]{1,63}$"}, OpenApiParameter.PATH, description="The lane's name."
)
#: in one answer
_MOST = 1_000


class PauseInForce(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(["workflow", "lane"])
    name = serializers.CharField()
    since = serializers.DateTimeField()
    clock = serializers.ChoiceField(["stop", "go"])
    by = serializers.CharField()
    reason = serializers.CharField()
    resumed_at = serializers.DateTimeField(allow_null=True, help_text="Its runs are going on since then.")
    resumed_by = serializers.CharField(allow_null=True)
    parked = serializers.IntegerField(help_text="Runs that it holds. Those under way are parked one after the other.")


class PauseList(serializers.Serializer[Any]):
    items = PauseInForce(many=True, help_text="Newest first.")


def _answer(request: Request) -> Response:
    return Response({"items": store.list_holds(limit=_MOST, spaces=of_caller(request))})


class Pauses(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["workflows.view_workflowrun"],
        of=LISTS,
        tag="workflows",
        id="listPauses",
        summary="List the workflows and lanes that are paused",
        description="Those that were resumed are listed for at least a minute, and until their runs go on.",
        answers={200: PauseList},
    )
    def get(self, request: Request) -> Response:
        return _answer(request)


class WorkflowPause(APIView):
    @operation(
        scope=Scope.OPERATOR,
        permissions=["workflows.pause_workflow"],
        of="workflow:name",
        tag="workflows",
        id="pauseWorkflow",
        summary="Pause a workflow",
        description=(
            "Its runs under way are parked within seconds, and new ones are accepted and parked, until it is resumed "
            "(docs/how-to/pause-runs.md). Answers with all that is paused. 409: it is paused already, or a living "
            "worker of an earlier release cannot handle paused runs."
        ),
        parameters=[NAME_PARAMETER],
        request=PauseAll,
        answers={200: PauseList},
        problems=[409],
    )
    def post(self, request: Request, name: str) -> Response:
        return _pause(request, "workflow", name)


class WorkflowResume(APIView):
    @operation(
        scope=Scope.OPERATOR,
        permissions=["workflows.pause_workflow"],
        of="workflow:name",
        tag="workflows",
        id="resumeWorkflow",
        summary="Resume a paused workflow",
        description="The runs that its pause parked go on; those that were paused by themselves do not.",
        parameters=[NAME_PARAMETER],
        request=ResumeAll,
        answers={200: PauseList},
        problems=[409],
    )
    def post(self, request: Request, name: str) -> Response:
        return _resume(request, "workflow", name)


class LanePause(APIView):
    @operation(
        scope=Scope.OPERATOR,
        permissions=["workflows.pause_workflow"],
        tag="workflows",
        id="pauseLane",
        summary="Pause a lane",
        description="As a workflow: it concerns the runs that were started in the lane, whatever their workflow is.",
        parameters=[_LANE],
        request=PauseAll,
        answers={200: PauseList},
        problems=[409],
    )
    def post(self, request: Request, lane: str) -> Response:
        return _pause(request, "lane", lane)


class LaneResume(APIView):
    @operation(
        scope=Scope.OPERATOR,
        permissions=["workflows.pause_workflow"],
        tag="workflows",
        id="resumeLane",
        summary="Resume a paused lane",
        parameters=[_LANE],
        request=ResumeAll,
        answers={200: PauseList},
        problems=[409],
    )
    def post(self, request: Request, lane: str) -> Response:
        return _resume(request, "lane", lane)


def _pause(request: Request, kind: str, name: str) -> Response:
    body = read_body(request, PauseAll, optional=True)
    engine.pause_all(kind, name, principal=principal_of(request), reason=body["reason"], clock=body["clock"])
    return _answer(request)


def _resume(request: Request, kind: str, name: str) -> Response:
    read_body(request, ResumeAll, optional=True)
    engine.resume_all(kind, name, principal=principal_of(request))
    return _answer(request)
