"""Worker processes, and whether they are alive."""

from datetime import timedelta

from django.contrib import admin
from django.utils import timezone
from unfold.decorators import display

from workflows.conf import conf
from workflows.models import Worker

from .base import ShowOnly


@admin.register(Worker)
class WorkerAdmin(ShowOnly):
    list_display = ["name", "status", "host", "pid", "lanes", "rate", "started_at", "heartbeat_at"]
    fields = ["name", "status", "host", "pid", "lanes", "rate", "started_at", "heartbeat_at", "stopped_at"]
    readonly_fields = ["status"]
    search_fields = ["name", "host"]
    list_fullwidth = True

    @display(description="Status", label={"alive": "success", "lost": "danger"})
    def status(self, worker: Worker) -> str:
        if worker.stopped_at is not None:
            return "stopped"
        # A web server's clock may differ a little from the database's; that is good enough for people.
        silent = timezone.now() - worker.heartbeat_at
        return "alive" if silent < timedelta(seconds=conf().lease) else "lost"
