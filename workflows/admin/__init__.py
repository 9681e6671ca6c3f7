"""The admin: definitions, runs and workers. What changes anything calls the engine, as the API does."""

from .archive import ArchivedRunAdmin
from .definitions import DefinitionAdmin, VersionAdmin
from .runs import RunAdmin
from .workers import WorkerAdmin

__all__ = ["ArchivedRunAdmin", "DefinitionAdmin", "RunAdmin", "VersionAdmin", "WorkerAdmin"]
