"""Every operation of the API as a function that makes a `Call`. Nothing here sends anything."""

from . import batches, events, outgoing, pulse, runs, workflows
from .base import Call

#: where the operations are defined
MODULES = (runs, batches, workflows, events, outgoing, pulse)

__all__ = ["MODULES", "Call", "batches", "events", "outgoing", "pulse", "runs", "workflows"]
