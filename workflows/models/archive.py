"""Runs that ended long ago, kept apart from active ones: the same columns, in tables partitioned by month.

The month of a run is that of its id (UUIDv7), so that a look-up by id reads one partition. `workflows.store.archive`
moves rows here and makes the partitions; the tables themselves are made by hand in migration 0004.
"""

from typing import Any

from django.db import models

from workflows.models.events import EventColumns
from workflows.models.runs import RunColumns, StepColumns, WorkflowRun


class ArchivedRun(RunColumns):
    """A run that ended long ago."""

    version = models.ForeignKey(
        "WorkflowVersion", models.DO_NOTHING, related_name="archived_runs", db_index=False, db_constraint=False
    )

    class Meta:
        ordering = ["-id"]


class ArchivedStepRun(StepColumns):
    run = models.ForeignKey(ArchivedRun, models.DO_NOTHING, related_name="steps", db_index=False, db_constraint=False)


class ArchivedRunEvent(EventColumns):
    pk = models.CompositePrimaryKey("run_id", "id")
    run = models.ForeignKey(ArchivedRun, models.DO_NOTHING, related_name="events", db_index=False, db_constraint=False)
    id = models.BigIntegerField()

    class Meta:
        ordering = ["id"]


def find_run(run_id: Any) -> WorkflowRun | ArchivedRun | None:
    """The run, wherever it is kept. Its `steps` and `events` are read in the same way. run_id: a UUID."""
    # In this order: a run that is moved between the two looks is found by the second.
    for kept in (WorkflowRun, ArchivedRun):
        run = kept.objects.select_related("version").filter(pk=run_id).first()
        if run is not None:
            return run
    return None
