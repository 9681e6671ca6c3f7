"""Chunks: runs that were accepted together, and are taken and recorded together (Note [Chunks] in `store/chunks`)."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from workflows.core.states import Lane


class Chunk(models.Model):
    """Runs of one version that wait for a worker, or that a worker has; gone when the last of them is recorded."""

    version = models.ForeignKey(
        "WorkflowVersion", models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False
    )
    lane = models.CharField(max_length=8, choices=[(str(lane), str(lane)) for lane in Lane])
    runs = ArrayField(models.UUIDField())
    #: how many runs were accepted with it
    size = models.PositiveIntegerField()
    ready_at = models.DateTimeField(db_default=Now())
    #: when the reconciler last published it again
    hinted_at = models.DateTimeField(null=True)
    #: who has it; each chunk is taken once
    worker = models.ForeignKey("workflows.Worker", models.DO_NOTHING, null=True, db_constraint=False, db_index=False)

    class Meta:
        indexes = [
            # chunks that may be taken, lane by lane, oldest first
            models.Index(fields=["lane", "ready_at"], name="chunk_ready", condition=Q(worker__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"chunk {self.pk}"


class SlowVersion(models.Model):
    """A version one of whose steps was seen to take long: its runs are not accepted in chunks for a while."""

    version = models.OneToOneField(
        "WorkflowVersion", models.DO_NOTHING, primary_key=True, related_name="+", db_constraint=False
    )
    until = models.DateTimeField()

    def __str__(self) -> str:
        return f"version {self.pk}"
