"""Pausing a run, and resuming it."""

from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from erip.access.scopes import Scope
from erip.foundation.http.reading import principal_of, read_body
from workflows import engine, queries

from .. import responses
from ..schema import RUN_PARAMETER, operation
from ..serializers import PauseRun, ResumeRun


class RunPause(APIView):
    @operation(
        scope=Scope.OPERATOR,
        permissions=["workflows.pause_run"],
        of="run:id",
        tag="runs",
        id="pauseRun",
        summary="Pause a run",
        description=(
            "It begins nothing until it is resumed. A step that runs right now goes on, and its outcome is recorded. "
            "Signals are kept. 409: it has ended, is paused, or a living worker of an earlier release cannot handle "
            "paused runs."
        ),
        parameters=[RUN_PARAMETER],
        request=PauseRun,
        answers={200: responses.Run},
        problems=[409],
    )
    def post(self, request: Request, id: UUID) -> Response:
        body = read_body(request, PauseRun, optional=True)
        engine.pause_run(str(id), principal=principal_of(request), reason=body["reason"], clock=body["clock"])
        return Response(queries.run_detail(str(id)))


class RunResume(APIView):
    @operation(
        scope=Scope.OPERATOR,
        permissions=["workflows.pause_run"],
        of="run:id",
        tag="runs",
        id="resumeRun",
        summary="Resume a paused run",
        description="It goes on as if nothing had happened but time. 409: it is not paused, or has ended.",
        parameters=[RUN_PARAMETER],
        request=ResumeRun,
        answers={200: responses.Run},
        problems=[409],
    )
    def post(self, request: Request, id: UUID) -> Response:
        read_body(request, ResumeRun, optional=True)
        engine.resume_run(str(id), principal=principal_of(request))
        return Response(queries.run_detail(str(id)))
