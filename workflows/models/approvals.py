"""What people are asked to approve. See Note [Approvals] in `core/kinds/approval`."""

import pgtrigger
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from erip.foundation.db.json import JsonField

#: What the row of a task may become: the content stays, and what has ended has ended. `approved` needs as many votes as
#: there are seats, of people who may vote, for just this content. Who fills which seat is decided by `core/quorum`.
_FOUR_EYES = """
    IF OLD.closed_at IS NOT NULL
       OR (NEW.run_id, NEW.step, NEW.version_id, NEW.content_hash, NEW.content::text, NEW.seats, NEW.roles, NEW.barred)
          IS DISTINCT FROM
          (OLD.run_id, OLD.step, OLD.version_id, OLD.content_hash, OLD.content::text, OLD.seats, OLD.roles, OLD.barred)
    THEN
        RAISE EXCEPTION 'what is to be approved cannot be changed';
    END IF;
    IF NEW.outcome = 'approved' AND NEW.seats > (
        SELECT count(DISTINCT v.voter) FROM people_vote v
        WHERE v.task_id = NEW.id AND v.choice = 'approve' AND v.content_hash = NEW.content_hash
          AND NOT v.voter = ANY(NEW.barred) AND NOT v.on_behalf_of = ANY(NEW.barred)) THEN
        RAISE EXCEPTION 'there are not enough votes for it';
    END IF;
    RETURN NEW;
"""


class ApprovalTask(models.Model):
    """One approval that people are asked for: the step of a run, from the moment when it waits for them.

    It is kept when the run is archived: it says who approved what.
    """

    run_id = models.UUIDField()
    step = models.CharField(max_length=63)
    workflow = models.CharField(max_length=63)
    business_key = models.CharField(max_length=200, null=True)
    version_id = models.BigIntegerField()
    title = models.TextField()
    #: what is to be approved, and its SHA-256 (hex), which votes are bound to
    content = JsonField()
    content_hash = models.CharField(max_length=64)
    #: how many people must approve
    seats = models.PositiveIntegerField()
    #: the groups whose members may vote
    roles = ArrayField(models.CharField(max_length=80))
    #: principals who may not vote, whatever groups they are in: who started the run, who wrote the definition
    barred = ArrayField(models.CharField(max_length=200))
    opened_at = models.DateTimeField(db_default=Now())
    #: rungs of its ladder that were climbed, and when the next one is due
    rung = models.PositiveIntegerField(default=0, db_default=0)
    next_at = models.DateTimeField(null=True)
    #: who looks after it
    claimed_by = models.CharField(max_length=200, default="", db_default="")
    claimed_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)
    #: approved, refused, expired, withdrawn (the run ended before)
    outcome = models.CharField(max_length=9, default="", db_default="")

    class Meta:
        ordering = ["-id"]
        indexes = [
            # the inbox: oldest first
            models.Index(fields=["id"], name="approval_open", condition=Q(closed_at__isnull=True)),
            # reminders that are due
            models.Index(
                fields=["next_at"],
                name="approval_next",
                condition=Q(closed_at__isnull=True, next_at__isnull=False),
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["run_id", "step"], name="approval_once"),
            models.CheckConstraint(
                condition=Q(closed_at__isnull=True, outcome="")
                | Q(closed_at__isnull=False, outcome__in=["approved", "refused", "expired", "withdrawn"]),
                name="approval_closed_or_not",
            ),
            models.CheckConstraint(condition=Q(seats__gte=1), name="approval_has_seats"),
        ]
        triggers = [
            pgtrigger.Trigger(
                name="approval_four_eyes", when=pgtrigger.Before, operation=pgtrigger.Update, func=_FOUR_EYES
            ),
            pgtrigger.Protect(name="approval_kept", operation=pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return f"{self.title[:80]} ({self.outcome or 'open'})"
