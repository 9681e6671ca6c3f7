"""Events that were accepted and have not taken effect yet, their consumers, and the identities of earlier events."""

from django.db import models
from django.db.models.functions import Now


class Partition(models.Model):
    """Events of one key are in one partition, and in order there. The lock of its row makes two owners impossible;
    `owner` is affinity (Note [Owners] in `workflows.events.store.owners`)."""

    number = models.PositiveIntegerField(primary_key=True)
    owner_id = models.BigIntegerField(null=True, help_text="The worker that consumes it.")
    epoch = models.BigIntegerField(db_default=0, help_text="Raised by each change of the owner.")
    position = models.BigIntegerField(db_default=0, help_text="The position that its next logged event gets.")
    rate = models.FloatField(null=True, help_text="Events a second, lately, as of the last one.")
    consumed_at = models.DateTimeField(null=True, help_text="When its last events took effect.")
    deaths = models.PositiveIntegerField(db_default=0, help_text="Owners that died since a round last went well.")
    suspect_block = models.BigIntegerField(null=True, help_text="Of the event that its owner tried alone last.")
    suspect_offset = models.PositiveIntegerField(null=True)
    suspect_tries = models.PositiveIntegerField(
        db_default=0, help_text="Owners that tried that event again, with nothing else in their process."
    )

    class Meta:
        ordering = ["number"]

    def __str__(self) -> str:
        return f"partition {self.number}"


class Block(models.Model):
    """Events of one partition that were accepted together: see Note [Journal] in `workflows.events`."""

    seq = models.BigAutoField(primary_key=True)
    partition = models.PositiveIntegerField()
    events = models.PositiveIntegerField()
    done = models.PositiveIntegerField(db_default=0, help_text="How many of its events have taken effect.")
    body = models.BinaryField(help_text="See `workflows.core.blocks`.")
    accepted_at = models.DateTimeField(db_default=Now())
    replay = models.TextField(null=True, help_text="Events of the log that this target is to see again.")

    class Meta:
        ordering = ["partition", "seq"]

    def __str__(self) -> str:
        return f"block {self.seq}"


class Identity(models.Model):
    """The (source, id) of an event that was accepted lately, as a hash."""

    digest = models.UUIDField(primary_key=True)
    logged_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "identities"

    def __str__(self) -> str:
        return str(self.digest)


class Consumer(models.Model):
    """A worker that consumes events, and its lease."""

    worker_id = models.BigIntegerField(primary_key=True)
    joined_at = models.DateTimeField(db_default=Now())
    #: by the database's clock, which is the authority for leases
    heartbeat_at = models.DateTimeField(db_default=Now())
    rate = models.FloatField(null=True, help_text="Events a second that it can serve, measured while it is busy.")

    class Meta:
        ordering = ["worker_id"]

    def __str__(self) -> str:
        return f"consumer {self.worker_id}"
