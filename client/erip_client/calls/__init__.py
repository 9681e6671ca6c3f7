"""Every operation of the API as a function that makes a `Call`. Nothing here sends anything."""

from . import events, outgoing, runs, workflows
from .base import Call

#: where the operations are defined
MODULES = (runs, workflows, events, outgoing)

__all__ = ["MODULES", "Call", "events", "outgoing", "runs", "workflows"]
