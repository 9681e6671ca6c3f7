"""The admin: definitions, runs and workers. Every change goes through the engine, as in the API."""

from .archive import ArchivedRunAdmin
from .batches import BatchAdmin
from .definitions import DefinitionAdmin, VersionAdmin
from .holds import HoldAdmin
from .runs import RunAdmin
from .workers import WorkerAdmin

__all__ = ["ArchivedRunAdmin", "BatchAdmin", "DefinitionAdmin", "HoldAdmin", "RunAdmin", "VersionAdmin", "WorkerAdmin"]
