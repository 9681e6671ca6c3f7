"""Worker processes, and whether they are alive."""

from datetime import timedelta

from django.contrib import admin
from django.utils import timezone
from unfold.decorators import display

from workflows.conf import conf
from workflows.core.definition import DefinitionInvalid
from workflows.core.graph import Work
from workflows.graphs import graph_of
from workflows.models import Worker, WorkflowVersion
from workflows.store import lacking

from .base import ShowOnly


@admin.register(Worker)
class WorkerAdmin(ShowOnly):
    list_display = ["name", "status", "host", "pid", "lanes", "rate", "lacking", "started_at", "heartbeat_at"]
    fields = ["name", "status", "host", "pid", "lanes", "rate", "lacking", "started_at", "heartbeat_at", "stopped_at"]
    readonly_fields = ["status", "lacking"]
    search_fields = ["name", "host"]
    list_fullwidth = True

    @display(description="Status", label={"alive": "success", "lost": "danger"})
    def status(self, worker: Worker) -> str:
        if worker.stopped_at is not None:
            return "stopped"
        # A web server's clock may differ a little from the database's; that is good enough for people.
        silent = timezone.now() - worker.heartbeat_at
        return "alive" if silent < timedelta(seconds=conf().lease) else "lost"

    @display(description="Lacks", empty_value="")
    def lacking(self, worker: Worker) -> str:
        """The registered steps that it leaves to others."""
        needed = {work.uses for version, step in lacking.split(worker.lacks) if (work := _work(version, step))}
        return ", ".join(sorted(needed))


def _work(version_id: int, step: str) -> Work | None:
    try:
        return graph_of(version_id).steps[step].work
    except (KeyError, WorkflowVersion.DoesNotExist, DefinitionInvalid):
        return None
