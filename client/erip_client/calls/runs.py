"""Runs: start, list, read, cancel, run again, signal, resolve."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from erip_client.models import (
    BulkStarted,
    Explanation,
    Listing,
    Page,
    Run,
    RunEvent,
    RunListed,
    RunRetried,
    RunStarted,
    Signalled,
    StartedByEvent,
    StepItem,
    UnknownStep,
    Worker,
)
from erip_client.models.base import Json

from .base import ABSENT, Call, given, moment, to_json


def start_run(
    workflow: str,
    input: Mapping[str, Json] | None = None,
    *,
    business_key: str | None = None,
    lane: str | None = None,
    version: int | None = None,
    wait: int = 0,
    idempotency_key: str | None = None,
) -> Call[Run | RunStarted]:
    """Start a run. wait: up to 60 seconds for its end; then the answer is the finished Run if it ended in time."""
    body = {"input": input or {}, **given(business_key=business_key, lane=lane, version=version)}
    return Call(
        operation="startRun",
        method="POST",
        template="/api/v1/workflows/{name}/runs",
        path={"name": workflow},
        content=to_json(body),
        headers={"Prefer": f"wait={wait}"} if wait else {},
        answers={200: Run, 202: RunStarted},
        keyed=True,
        key=idempotency_key,
        wait=wait,
    )


def start_runs(
    workflow: str,
    inputs: Sequence[Mapping[str, Json]],
    *,
    lane: str | None = None,
    version: int | None = None,
    idempotency_key: str | None = None,
) -> Call[BulkStarted]:
    """Start up to 10,000 runs of one workflow: all of them or none."""
    body = {"workflow": workflow, "inputs": list(inputs), **given(lane=lane, version=version)}
    return Call(
        operation="startRuns",
        method="POST",
        template="/api/v1/runs/bulk",
        content=to_json(body),
        answers={202: BulkStarted},
        keyed=True,
        key=idempotency_key,
    )


def list_runs(
    *,
    workflow: str | None = None,
    status: str | None = None,
    lane: str | None = None,
    business_key: str | None = None,
    business_key_prefix: str | None = None,
    business_key_contains: str | None = None,
    error_code: str | None = None,
    failed_step: str | None = None,
    created_after: datetime | str | None = None,
    created_before: datetime | str | None = None,
    ended_after: datetime | str | None = None,
    ended_before: datetime | str | None = None,
    retried: bool | None = None,
    cursor: str | None = None,
    limit: int | None = None,
) -> Call[Page[RunListed]]:
    """A page of runs, newest first. limit: up to 200. retried: whether they have a retry."""
    return Call(
        operation="listRuns",
        method="GET",
        template="/api/v1/runs",
        query=given(
            workflow=workflow,
            status=status,
            lane=lane,
            business_key=business_key,
            business_key_prefix=business_key_prefix,
            business_key_contains=business_key_contains,
            error_code=error_code,
            failed_step=failed_step,
            created_after=moment(created_after),
            created_before=moment(created_before),
            ended_after=moment(ended_after),
            ended_before=moment(ended_before),
            retried=retried,
            cursor=cursor,
            limit=limit,
        ),
        answers={200: Page[RunListed]},
    )


def get_run(run_id: str) -> Call[Run]:
    """A run with its steps."""
    return Call(operation="getRun", method="GET", template="/api/v1/runs/{id}", path={"id": run_id}, answers={200: Run})


def explain_run(run_id: str) -> Call[Explanation]:
    """What each step of a run waits for, in words."""
    return Call(
        operation="explainRun",
        method="GET",
        template="/api/v1/runs/{id}/explain",
        path={"id": run_id},
        answers={200: Explanation},
    )


def list_run_events(run_id: str) -> Call[Listing[RunEvent]]:
    """What happened to a run, oldest first."""
    return Call(
        operation="listRunEvents",
        method="GET",
        template="/api/v1/runs/{id}/events",
        path={"id": run_id},
        answers={200: Listing[RunEvent]},
    )


def get_run_event(run_id: str) -> Call[StartedByEvent]:
    """Which event started a run."""
    return Call(
        operation="getRunEvent",
        method="GET",
        template="/api/v1/runs/{id}/event",
        path={"id": run_id},
        answers={200: StartedByEvent},
    )


def cancel_run(run_id: str, *, reason: str = "", idempotency_key: str | None = None) -> Call[Run]:
    """Cancel a run. A step that runs right now is not interrupted; its result no longer counts."""
    return Call(
        operation="cancelRun",
        method="POST",
        template="/api/v1/runs/{id}/cancel",
        path={"id": run_id},
        content=to_json({"reason": reason}),
        answers={200: Run},
        keyed=True,
        key=idempotency_key,
    )


def pause_run(run_id: str, *, reason: str = "", clock: str = "stop", idempotency_key: str | None = None) -> Call[Run]:
    """Let a run begin nothing until it is resumed. clock: `stop` keeps what is left of each time, `go` does not."""
    return Call(
        operation="pauseRun",
        method="POST",
        template="/api/v1/runs/{id}/pause",
        path={"id": run_id},
        content=to_json({"reason": reason, "clock": clock}),
        answers={200: Run},
        keyed=True,
        key=idempotency_key,
    )


def resume_run(run_id: str, *, idempotency_key: str | None = None) -> Call[Run]:
    """Let a paused run go on."""
    return Call(
        operation="resumeRun",
        method="POST",
        template="/api/v1/runs/{id}/resume",
        path={"id": run_id},
        answers={200: Run},
        keyed=True,
        key=idempotency_key,
    )


def retry_run(
    run_id: str, *, input: Mapping[str, Json] | None = None, idempotency_key: str | None = None
) -> Call[RunRetried]:
    """Start a new run of the same version, with this input or the same. A run is retried once."""
    return Call(
        operation="retryRun",
        method="POST",
        template="/api/v1/runs/{id}/retry",
        path={"id": run_id},
        content=to_json(given(input=input)),
        answers={202: RunRetried},
        keyed=True,
        key=idempotency_key,
    )


def signal_run(
    run_id: str, name: str, payload: Json = ABSENT, *, wait: int = 0, idempotency_key: str | None = None
) -> Call[Signalled]:
    """Send a signal to a run: to the step that waits for it, or to the first one that will.

    wait: up to 60 seconds for what the run does of it.
    """
    return Call(
        operation="signalRun",
        method="POST",
        template="/api/v1/runs/{id}/signals/{name}",
        path={"id": run_id, "name": name},
        content=to_json({} if payload is ABSENT else {"payload": payload}),
        headers={"Prefer": f"wait={wait}"} if wait else {},
        answers={200: Signalled},
        keyed=True,
        key=idempotency_key,
        wait=wait,
    )


def signal_workflow(
    workflow: str,
    signal: str,
    business_key: str,
    payload: Json = ABSENT,
    *,
    wait: int = 0,
    idempotency_key: str | None = None,
) -> Call[Signalled]:
    """Send a signal to the run of a workflow that has this business key."""
    body = {"business_key": business_key}
    return Call(
        operation="signalWorkflow",
        method="POST",
        template="/api/v1/workflows/{name}/signals/{signal}",
        path={"name": workflow, "signal": signal},
        content=to_json(body if payload is ABSENT else {**body, "payload": payload}),
        headers={"Prefer": f"wait={wait}"} if wait else {},
        answers={200: Signalled},
        keyed=True,
        key=idempotency_key,
        wait=wait,
    )


def list_step_items(
    run_id: str, step: str, *, status: str | None = None, cursor: int | str | None = None, limit: int | None = None
) -> Call[Page[StepItem]]:
    """A page of the items of a step with `foreach`, in the order of the list. limit: up to 200."""
    return Call(
        operation="listStepItems",
        method="GET",
        template="/api/v1/runs/{id}/steps/{step}/items",
        path={"id": run_id, "step": step},
        query=given(status=status, cursor=cursor, limit=limit),
        answers={200: Page[StepItem]},
    )


def resolve_step(
    run_id: str,
    step: str,
    outcome: str,
    *,
    output: Json = ABSENT,
    item: int | None = None,
    note: str = "",
    idempotency_key: str | None = None,
) -> Call[None]:
    """Say what became of a step that is UNKNOWN: `succeeded` (with its output), `failed`, or `retry` (run it again)."""
    body = {"outcome": outcome, "note": note, **given(item=item)}
    return Call(
        operation="resolveStep",
        method="POST",
        template="/api/v1/runs/{id}/steps/{step}/resolve",
        path={"id": run_id, "step": step},
        content=to_json(body if output is ABSENT else {**body, "output": output}),
        answers={204: None},
        keyed=True,
        key=idempotency_key,
    )


def list_unknown_steps(
    *,
    workflow: str | None = None,
    business_key: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
) -> Call[Page[UnknownStep]]:
    """A page of the steps that wait for a person to say how they ended, those of the oldest run first."""
    return Call(
        operation="listUnknownSteps",
        method="GET",
        template="/api/v1/steps/unknown",
        query=given(workflow=workflow, business_key=business_key, cursor=cursor, limit=limit),
        answers={200: Page[UnknownStep]},
    )


def list_workers() -> Call[Listing[Worker]]:
    """The workers that have not stopped, by name, with what each runs now."""
    return Call(operation="listWorkers", method="GET", template="/api/v1/workers", answers={200: Listing[Worker]})
