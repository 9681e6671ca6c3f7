"""Signals to runs: by the run's id, or by its workflow and business key."""

import time
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiExample
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from erip.access.scopes import Scope
from erip.foundation.http.headers import preferred_wait
from erip.foundation.http.reading import principal_of, read_body
from erip.foundation.http.renderers import dumps
from workflows import engine, queries

from .. import responses
from ..schema import (
    NAME_PARAMETER,
    RUN_PARAMETER,
    SIGNAL_NAME_PARAMETER,
    SIGNAL_PARAMETER,
    SIGNAL_WAIT_PARAMETER,
    operation,
    response_header,
)
from ..serializers import SendSignal, SendSignalByKey
from ..wait import InThread, Wait, wait_for

_APPLIED = response_header("Preference-Applied", "`wait`, if the preference was.", 200)
_TAKEN = (
    "It is given to exactly one step that waits for a signal of this name. If none waits yet, it is kept for the first "
    "one that will. 409: the run has ended, or each step that could take the signal has ended or has one already"
)


@dataclass(frozen=True, slots=True)
class _AfterSignal(Wait):
    """Answers with what the run did of the signal: once it has ended, or when the time is over."""

    answer: dict[str, Any] | None = None

    async def outcome(self, in_thread: InThread) -> bytes | None:
        # Not super(): a dataclass with slots is a new class, which a call without arguments does not find.
        await Wait.outcome(self, in_thread)
        body: bytes = await in_thread(_with_run, self.answer, self.run_id)
        return body


def _with_run(answer: dict[str, Any], run_id: str) -> bytes:
    return dumps({**answer, "run": queries.run_detail(run_id)})


def _answer(request: Request, run_id: str, sent: engine.Signalled, seconds: float) -> Response:
    answer = {"id": run_id, "status": "kept" if sent.step is None else "given", "step": sent.step, "run": None}
    response = Response(answer)
    if seconds > 0:
        response.headers["Preference-Applied"] = "wait"
        wait_for(response, _AfterSignal(run_id, time.monotonic() + seconds, None, answer))
    return response


class RunSignal(APIView):
    @operation(
        scope=Scope.OPERATOR,
        permissions=["workflows.signal_run"],
        of="run:id",
        tag="runs",
        id="signalRun",
        summary="Send a signal to a run",
        description=f"{_TAKEN}.",
        parameters=[RUN_PARAMETER, SIGNAL_PARAMETER, SIGNAL_WAIT_PARAMETER, _APPLIED],
        request=SendSignal,
        examples=[OpenApiExample("Approved", value={"payload": {"by": "the board"}}, request_only=True)],
        answers={200: responses.Signalled},
        problems=[409],
    )
    def post(self, request: Request, id: UUID, name: str) -> Response:
        seconds = preferred_wait(request)
        body = read_body(request, SendSignal, optional=True)
        sent = engine.signal_run(
            str(id), name, body.get("payload"), principal=principal_of(request), announce_end=seconds > 0
        )
        return _answer(request, str(id), sent, seconds)


class WorkflowSignal(APIView):
    @operation(
        scope=Scope.OPERATOR,
        permissions=["workflows.signal_run"],
        of="workflow:name",
        tag="runs",
        id="signalWorkflow",
        summary="Send a signal to the run for a business key",
        description=(
            f"To the one run of the workflow that is under way for the business key. {_TAKEN}, or several such runs "
            "are under way. 404: none is."
        ),
        parameters=[NAME_PARAMETER, SIGNAL_NAME_PARAMETER, SIGNAL_WAIT_PARAMETER, _APPLIED],
        request=SendSignalByKey,
        examples=[
            OpenApiExample(
                "Evidence",
                value={"business_key": "B-2026-017", "payload": {"evidence": "https://files.example/17"}},
                request_only=True,
            )
        ],
        answers={200: responses.Signalled},
        problems=[409],
    )
    def post(self, request: Request, name: str, signal: str) -> Response:
        seconds = preferred_wait(request)
        body = read_body(request, SendSignalByKey)
        run_id, sent = engine.signal_by_key(
            name,
            body["business_key"],
            signal,
            body.get("payload"),
            principal=principal_of(request),
            announce_end=seconds > 0,
        )
        return _answer(request, run_id, sent, seconds)
