"""Start one run, as `POST /workflows/{name}/runs` asks for it."""

import time
from dataclasses import dataclass
from typing import Any

from erip.foundation.http.headers import idempotency_key, preferred_wait, request_hash
from erip.foundation.http.incoming import Incoming
from erip.foundation.http.reading import principal_of, read_body
from workflows import engine
from workflows.core.states import Lane

from .serializers import INT32, KEY_MAX, StartRun
from .wait import Wait

_KEYS = {"input", "business_key", "lane", "version"}
_LANES = {str(lane) for lane in Lane}


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
    body = plainly_right(request.data) or read_body(request, StartRun)
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


def plainly_right(data: Any) -> dict[str, Any] | None:
    """`data` as StartRun would validate it; None if StartRun itself must look closer, and name what is wrong."""
    if type(data) is not dict or not data.keys() <= _KEYS or type(data.get("input")) is not dict:
        return None
    key, lane, version = data.get("business_key"), data.get("lane"), data.get("version")
    if key is not None and not (type(key) is str and 0 < len(key) <= KEY_MAX and key.isprintable()):
        return None
    if lane is not None and not (type(lane) is str and lane in _LANES):
        return None
    if version is not None and not (type(version) is int and 1 <= version <= INT32):
        return None
    return data


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
