"""Runs: start one or many, list, read, cancel, run again."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiExample
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from erip.access.scopes import Scope
from erip.access.spaces import LISTS, need, of_caller
from erip.foundation.http.headers import idempotency_key, request_hash
from erip.foundation.http.incoming import Incoming
from erip.foundation.http.reading import principal_of, read_body, read_query
from workflows import engine, queries, store
from workflows.explain import explain_run

from .. import responses
from ..schema import (
    NAME_PARAMETER,
    PREFER_PARAMETER,
    RUN_PARAMETER,
    operation,
    response_header,
)
from ..serializers import CancelRun, RetryRun, RunFilter, StartBulk, StartRun
from ..starting import document_of, run_address, start_run
from ..wait import wait_for

_LOCATION = response_header("Location", "Where the run is.", 200, 202)
_START_EXAMPLE = OpenApiExample(
    "A breach",
    value={"input": {"breach_id": "B-2026-017", "severity": "high"}, "business_key": "B-2026-017"},
    request_only=True,
)
_BULK_EXAMPLE = OpenApiExample(
    "Two vendors",
    value={"workflow": "trust-score", "inputs": [{"vendor": "acme"}, {"vendor": "globex"}], "lane": "bulk"},
    request_only=True,
)


class WorkflowRuns(APIView):
    @operation(
        scope=Scope.OPERATOR,
        permissions=["workflows.start_run"],
        of="workflow:name",
        tag="runs",
        id="startRun",
        summary="Start a run",
        description=(
            "202: the run is accepted and durable. With `Prefer: wait=N`, 200 and the finished run if it ends in time."
        ),
        parameters=[
            NAME_PARAMETER,
            PREFER_PARAMETER,
            _LOCATION,
            response_header("Preference-Applied", "`wait`, if the preference was.", 200, 202),
        ],
        request=StartRun,
        examples=[_START_EXAMPLE],
        answers={200: responses.Run, 202: responses.RunStarted},
        problems=[429],
        own_key=True,
    )
    def post(self, request: Request, name: str) -> Response:
        # Most requests with an API key take erip.foundation.http.light, which calls the same function.
        started = start_run(request, name)
        response = Response(started.document, status=202, headers=started.headers)
        if started.wait is not None:
            wait_for(response, started.wait)
        return response


class RunsBulk(APIView):
    @operation(
        scope=Scope.OPERATOR,
        permissions=["workflows.start_run"],
        of=LISTS,
        tag="runs",
        id="startRuns",
        summary="Start many runs",
        description=(
            "Up to 10,000 of one workflow, in a body of up to 16 MiB. "
            "Every input is checked before any run is started; they are then accepted 1,000 at a time, or with an "
            "`Idempotency-Key` all at once."
        ),
        request=StartBulk,
        examples=[_BULK_EXAMPLE],
        answers={202: responses.BulkStarted},
        problems=[404, 429],
        own_key=True,
    )
    def post(self, request: Request) -> Response:
        key = idempotency_key(request)
        body = read_body(request, StartBulk)
        need("workflow", body["workflow"], of_caller(request))
        runs = engine.start_runs(
            body["workflow"],
            [engine.StartRequest(item, None, body.get("lane")) for item in body["inputs"]],
            principal=principal_of(request),
            version=body.get("version"),
            idempotency_key=key,
            request_hash=request_hash(request) if key else None,
            many=True,
        )
        return Response({"count": len(runs), "ids": [run.id for run in runs]}, status=202)


def page_of_runs(request: Incoming) -> dict[str, Any]:
    """What the list of runs answers, on the light path too. Raises BadRequest."""
    query = read_query(request, RunFilter)
    cursor, limit = query.pop("cursor", None), query.pop("limit")
    page = queries.list_runs(store.RunFilter(**query, spaces=of_caller(request)), cursor=cursor, limit=limit)
    return {"items": page.items, "next_cursor": page.next_cursor}


class RunList(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["workflows.view_workflowrun"],
        of=LISTS,
        tag="runs",
        id="listRuns",
        summary="List runs",
        description="Newest first. Follow `next_cursor` until it is null; new runs do not shift the pages.",
        parameters=[RunFilter],
        answers={200: responses.RunPage},
    )
    def get(self, request: Request) -> Response:
        return Response(page_of_runs(request))


class RunOne(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["workflows.view_workflowrun"],
        of="run:id",
        tag="runs",
        id="getRun",
        summary="Read a run with its steps",
        parameters=[RUN_PARAMETER],
        answers={200: responses.Run},
    )
    def get(self, request: Request, id: UUID) -> Response:
        return Response(queries.run_detail(str(id)))


class RunEvents(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["workflows.view_workflowrun"],
        of="run:id",
        tag="runs",
        id="listRunEvents",
        summary="What happened to a run",
        description="Oldest first.",
        parameters=[RUN_PARAMETER],
        answers={200: responses.EventList},
    )
    def get(self, request: Request, id: UUID) -> Response:
        return Response({"items": queries.run_events(str(id))})


class RunExplain(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["workflows.view_workflowrun"],
        of="run:id",
        # How long a lane waits is about all that wait in it, and is remembered for all callers.
        walled=False,
        tag="runs",
        id="explainRun",
        summary="What a run waits for",
        description=(
            "One sentence for every step that has not ended: for what it waits, since when, behind how many, in which "
            "lane, which limit holds, and when it is expected to go on."
        ),
        parameters=[RUN_PARAMETER],
        answers={200: responses.Explanation},
    )
    def get(self, request: Request, id: UUID) -> Response:
        return Response(explain_run(str(id)))


def cancelled_run(request: Incoming, id: str) -> dict[str, Any]:
    """Cancels a run and returns its new state; on the light path too. Raises Unprocessable and WorkflowsError."""
    body = read_body(request, CancelRun, optional=True)
    engine.cancel_run(id, principal=principal_of(request), reason=body["reason"])
    return queries.run_detail(id)


class RunCancel(APIView):
    @operation(
        scope=Scope.OPERATOR,
        permissions=["workflows.cancel_run"],
        of="run:id",
        tag="runs",
        id="cancelRun",
        summary="Cancel a run",
        description="A step that runs right now is not interrupted; its result no longer counts.",
        parameters=[RUN_PARAMETER],
        request=CancelRun,
        answers={200: responses.Run},
        problems=[409],
    )
    def post(self, request: Request, id: UUID) -> Response:
        return Response(cancelled_run(request, str(id)))


class RunRetry(APIView):
    @operation(
        scope=Scope.OPERATOR,
        permissions=["workflows.retry_run"],
        of="run:id",
        tag="runs",
        id="retryRun",
        summary="Run an ended run again",
        description=(
            "Starts a new run of the same version with the same business key, in the same lane, and with the same "
            "input, unless the body gives another one. A run is retried once: 409 if it has a retry already, which "
            "`retried_as` names, or if it has not ended."
        ),
        parameters=[RUN_PARAMETER, _LOCATION],
        request=RetryRun,
        examples=[OpenApiExample("A corrected input", value={"input": {"breach_id": "B-17"}}, request_only=True)],
        answers={202: responses.RunRetried},
        problems=[409, 429],
    )
    def post(self, request: Request, id: UUID) -> Response:
        body = read_body(request, RetryRun, optional=True)
        run = engine.retry_run(str(id), principal=principal_of(request), input=body.get("input"))
        document = {**document_of(run), "retry_of": str(id)}
        return Response(document, status=202, headers={"Location": run_address(run.id)})
