"""Every operation of the API as a function that makes a `Call`. Nothing here sends anything."""

from . import (
    access,
    alerts,
    approvals,
    batches,
    clocks,
    decisions,
    errors,
    events,
    flags,
    outgoing,
    pauses,
    privacy,
    pulse,
    runs,
    schedules,
    secrets,
    workflows,
)
from .base import Call

#: where the operations are defined
MODULES = (
    runs, batches, workflows, pauses, events, outgoing, pulse, alerts, errors, schedules, decisions, access, approvals,
    clocks,
    secrets, privacy, flags,
)  # fmt: skip

__all__ = [
    "MODULES",
    "Call",
    "access",
    "alerts",
    "approvals",
    "batches",
    "clocks",
    "decisions",
    "errors",
    "events",
    "flags",
    "outgoing",
    "pauses",
    "privacy",
    "pulse",
    "runs",
    "schedules",
    "secrets",
    "workflows",
]
