"""Operations on many runs at once, and what became of them."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiExample
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from erip.access.scopes import Scope
from erip.access.spaces import LISTS, of_caller
from erip.foundation.http.reading import principal_of, read_body, read_query
from workflows import operations
from workflows.operations import OPERATIONS
from workflows.store import RunFilter

from .. import responses
from ..schema import BATCH_PARAMETER, operation, response_header
from ..serializers import BatchList, BatchRunFilter, BeginBatch, BeginCancel, BeginPause, BeginResume, BeginRetry

_LOCATION = response_header("Location", "Where the batch is.", 202)


def _described(name: str) -> str:
    outcomes = "\n".join(f"- `{each}`: {meaning}" for each, meaning in OPERATIONS[name].outcomes.items())
    return (
        "`filter` takes what the list of runs is filtered by, and `ids`; at least one of these. With `dry_run` the "
        "answer is 200, and only counts. Otherwise 202: the runs that the filter matches at this moment are a durable "
        "batch, which is worked off in the background, each run once. With `expected_count`, 409 unless the filter "
        f"matches as many runs; `count` says how many. At most {operations.MOST_RUNS:,} runs.\n\nOutcomes:\n{outcomes}"
    )


def _begin(name: str, request: Request, reads: type[BeginBatch]) -> Response:
    body = read_body(request, reads)
    chosen, wanted = OPERATIONS[name], RunFilter(**body["filter"], spaces=of_caller(request))
    if body["dry_run"]:
        found = operations.preview(chosen, wanted)
        return Response(
            {
                "operation": name,
                "dry_run": True,
                "count": found.count,
                "by_workflow": found.by_workflow,
                "by_status": found.by_status,
            }
        )
    batch = operations.begin(
        chosen,
        wanted,
        principal=principal_of(request),
        reason=body["reason"],
        expected=body.get("expected_count"),
    )
    return Response(operations.batch_document(batch), status=202, headers={"Location": f"/api/v1/batches/{batch}"})


class RunsCancel(APIView):
    @operation(
        scope=Scope.OPERATOR,
        permissions=["workflows.cancel_run"],
        of=LISTS,
        tag="runs",
        id="cancelRuns",
        summary="Cancel all runs that a filter matches",
        description="Runs that have ended are left out. " + _described("cancel"),
        parameters=[_LOCATION],
        request=BeginCancel,
        examples=[
            OpenApiExample(
                "Look first",
                value={"filter": {"workflow": "trust-score", "lane": "bulk"}, "dry_run": True},
                request_only=True,
            )
        ],
        answers={200: responses.BatchPreview, 202: responses.Batch},
        problems=[409],
    )
    def post(self, request: Request) -> Response:
        return _begin("cancel", request, BeginCancel)


class RunsPause(APIView):
    @operation(
        scope=Scope.OPERATOR,
        permissions=["workflows.pause_run"],
        of=LISTS,
        tag="runs",
        id="pauseRuns",
        summary="Pause all runs that a filter matches",
        description=(
            "Runs that have ended or are paused are left out. The batch waits while a worker of an earlier release is "
            "alive. " + _described("pause")
        ),
        parameters=[_LOCATION],
        request=BeginPause,
        answers={200: responses.BatchPreview, 202: responses.Batch},
        problems=[409],
    )
    def post(self, request: Request) -> Response:
        stands = read_body(request, BeginPause)["clock"] == "stop"
        return _begin("pause" if stands else "pause-go", request, BeginPause)


class RunsResume(APIView):
    @operation(
        scope=Scope.OPERATOR,
        permissions=["workflows.pause_run"],
        of=LISTS,
        tag="runs",
        id="resumeRuns",
        summary="Resume all paused runs that a filter matches",
        description=_described("resume"),
        parameters=[_LOCATION],
        request=BeginResume,
        answers={200: responses.BatchPreview, 202: responses.Batch},
        problems=[409],
    )
    def post(self, request: Request) -> Response:
        return _begin("resume", request, BeginResume)


class RunsRetry(APIView):
    @operation(
        scope=Scope.OPERATOR,
        permissions=["workflows.retry_run"],
        of=LISTS,
        tag="runs",
        id="retryRuns",
        summary="Run all runs again that a filter matches",
        description=(
            "Of the runs that have ended: those that are FAILED or TIMED_OUT, or have the status that the filter "
            "names. Runs that have a retry are left out, so two people at once start each run once. A batch waits "
            "while a lane is full. " + _described("retry")
        ),
        parameters=[_LOCATION],
        request=BeginRetry,
        examples=[
            OpenApiExample(
                "As counted before",
                value={
                    "filter": {"workflow": "breach-response", "error_code": "connection_refused"},
                    "expected_count": 300,
                    "reason": "the registry is back",
                },
                request_only=True,
            )
        ],
        answers={200: responses.BatchPreview, 202: responses.Batch},
        problems=[409],
    )
    def post(self, request: Request) -> Response:
        return _begin("retry", request, BeginRetry)


class Batches(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["workflows.view_workflowrun"],
        of=LISTS,
        tag="runs",
        id="listBatches",
        summary="List batches",
        description="Newest first. They are kept for 30 days after their end.",
        parameters=[BatchList],
        answers={200: responses.BatchPage},
    )
    def get(self, request: Request) -> Response:
        return Response(_page(operations.list_batches(**read_query(request, BatchList), spaces=of_caller(request))))


class BatchOne(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["workflows.view_workflowrun"],
        of="batch:id",
        tag="runs",
        id="getBatch",
        summary="Read a batch's progress",
        parameters=[BATCH_PARAMETER],
        answers={200: responses.Batch},
    )
    def get(self, request: Request, id: UUID) -> Response:
        return Response(operations.batch_document(str(id)))


class BatchRuns(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["workflows.view_workflowrun"],
        of="batch:id",
        tag="runs",
        id="listBatchRuns",
        summary="What became of each run of a batch",
        description="By their ids, and so the oldest run first. Follow `next_cursor` until it is null.",
        parameters=[BATCH_PARAMETER, BatchRunFilter],
        answers={200: responses.BatchRunPage},
    )
    def get(self, request: Request, id: UUID) -> Response:
        return Response(_page(operations.list_batch_runs(str(id), **read_query(request, BatchRunFilter))))


def _page(page: Any) -> dict[str, Any]:
    return {"items": page.items, "next_cursor": page.next_cursor}
