"""Pauses of whole workflows and lanes."""

from erip_client.models import Listing, PauseInForce

from .base import Call, to_json


def list_pauses() -> Call[Listing[PauseInForce]]:
    """The workflows and lanes that are paused, or whose runs are just going on."""
    return Call(operation="listPauses", method="GET", template="/api/v1/pauses", answers={200: Listing[PauseInForce]})


def pause_workflow(
    name: str, *, reason: str = "", clock: str = "stop", idempotency_key: str | None = None
) -> Call[Listing[PauseInForce]]:
    """Park all runs of a workflow, and those that start, until it is resumed. Returns all that is paused."""
    return Call(
        operation="pauseWorkflow",
        method="POST",
        template="/api/v1/workflows/{name}/pause",
        path={"name": name},
        content=to_json({"reason": reason, "clock": clock}),
        answers={200: Listing[PauseInForce]},
        keyed=True,
        key=idempotency_key,
    )


def resume_workflow(name: str, *, idempotency_key: str | None = None) -> Call[Listing[PauseInForce]]:
    """Let the runs go on that the pause of the workflow parked."""
    return Call(
        operation="resumeWorkflow",
        method="POST",
        template="/api/v1/workflows/{name}/resume",
        path={"name": name},
        answers={200: Listing[PauseInForce]},
        keyed=True,
        key=idempotency_key,
    )


def pause_lane(
    lane: str, *, reason: str = "", clock: str = "stop", idempotency_key: str | None = None
) -> Call[Listing[PauseInForce]]:
    """Park all runs that were or are started in a lane, until it is resumed."""
    return Call(
        operation="pauseLane",
        method="POST",
        template="/api/v1/lanes/{lane}/pause",
        path={"lane": lane},
        content=to_json({"reason": reason, "clock": clock}),
        answers={200: Listing[PauseInForce]},
        keyed=True,
        key=idempotency_key,
    )


def resume_lane(lane: str, *, idempotency_key: str | None = None) -> Call[Listing[PauseInForce]]:
    """Let the runs go on that the pause of the lane parked."""
    return Call(
        operation="resumeLane",
        method="POST",
        template="/api/v1/lanes/{lane}/resume",
        path={"lane": lane},
        answers={200: Listing[PauseInForce]},
        keyed=True,
        key=idempotency_key,
    )
