"""Processes that lead, or would if the one that leads ended."""

from uuid import uuid4

from django.db import models
from django.db.models.functions import Now


class Leader(models.Model):
    """One living `run_leader`. Its row goes when it ends; one that was killed is no longer counted after one lease."""

    id = models.UUIDField(primary_key=True, default=uuid4)
    host = models.CharField(max_length=200)
    pid = models.PositiveIntegerField()
    level = models.PositiveSmallIntegerField(help_text="The format level of definitions that it reads.")
    session = models.PositiveIntegerField(help_text="The process id of the PostgreSQL session that holds the lock.")
    #: by the database's clock
    heartbeat_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}"
