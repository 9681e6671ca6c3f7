"""Start one run, as `POST /workflows/{name}/runs` asks for it."""

import time
from dataclasses import dataclass
from typing import Any

from workflows import engine

from .headers import idempotency_key, preferred_wait, request_hash
from .incoming import Incoming
from .reading import principal_of, read_body
from .serializers import StartRun
from .wait import Wait


@dataclass(frozen=True, slots=True)
class Started:
    """An accepted run: what is answered with 202.

    wait: answer with the finished run instead, if it ends in time
    """

    document: dict[str, Any]
    headers: dict[str, str]
    wait: Wait | None


def start_run(request: Incoming, name: str) -> Started:
    """Raises APIException and WorkflowsError."""
    key, seconds = idempotency_key(request), preferred_wait(request)
    body = read_body(request, StartRun)
    before = time.monotonic()
    (run,) = engine.start_runs(
        name,
        [engine.StartRequest(body["input"], body.get("business_key"), body.get("lane"))],
        principal=principal_of(request),
        version=body.get("version"),
        idempotency_key=key,
        request_hash=request_hash(request) if key else None,
        notify=seconds > 0,
    )
    headers = {"Location": run_address(run.id)}
    if seconds <= 0:
        return Started(document_of(run), headers, None)
    headers["Preference-Applied"] = "wait"
    wait = Wait(run.id, time.monotonic() + seconds, None if run.existing else before)
    return Started(document_of(run), headers, wait)


def run_address(run_id: str) -> str:
    return f"/api/v1/runs/{run_id}"


def document_of(run: engine.StartedRun) -> dict[str, Any]:
    return {
        "id": run.id,
        "workflow": run.workflow,
        "version": run.version,
        "status": run.status,
        "lane": run.lane,
        "business_key": run.business_key,
        "created_at": run.created_at,
        "existing": run.existing,
    }
