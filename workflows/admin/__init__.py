"""The admin: definitions, decision tables, runs and workers. Every change goes through the engine, as in the API."""

from .archive import ArchivedRunAdmin
from .audit import EntryAdmin
from .batches import BatchAdmin
from .decisions import DecisionTableAdmin, DecisionVersionAdmin
from .definitions import DefinitionAdmin, VersionAdmin
from .holds import HoldAdmin
from .runs import RunAdmin
from .secrets import SecretAdmin
from .workers import WorkerAdmin

__all__ = [
    "ArchivedRunAdmin",
    "BatchAdmin",
    "DecisionTableAdmin",
    "DecisionVersionAdmin",
    "DefinitionAdmin",
    "EntryAdmin",
    "HoldAdmin",
    "RunAdmin",
    "SecretAdmin",
    "VersionAdmin",
    "WorkerAdmin",
]
