"""What people are asked to approve. See Note [Approvals] in `core/kinds/approval`."""

import pgtrigger
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from erip.foundation.db.json import JsonField
from erip.foundation.db.triggers import Firm, Protect

#: What a task is when it is opened: open, and asking at least for what its definition asks. Looked at when its
#: transaction ends, as the run's row may be written by the same statement. It is compared with the rows that say who
#: started the run, who made the key that did, and who published the version.
_OPENED = """
    IF NEW.closed_at IS NOT NULL OR NEW.outcome <> '' OR NOT EXISTS (
        SELECT FROM workflows_workflowrun r JOIN workflows_workflowversion w ON w.id = r.version_id
        WHERE r.id = NEW.run_id AND w.id = NEW.version_id AND r.started_by = ANY(NEW.barred)
          AND (w.author = '' OR w.author = ANY(NEW.barred))
          AND NOT EXISTS (
              SELECT FROM access_apikey k LEFT JOIN auth_user o ON o.id = k.owner_id
              WHERE left(r.started_by, 4) = 'key:' AND k.name = substr(r.started_by, 5)
                AND NOT array_remove(
                    ARRAY[nullif(k.created_by, ''), nullif(k.rotated_by, ''), 'user:' || o.username]::text[]
                    || k.behind::text[], NULL)
                    <@ NEW.barred::text[])
          AND NEW.seats >= (
              SELECT sum(coalesce((q ->> 'count')::int, 1))
              FROM jsonb_array_elements(w.document -> 'steps' -> NEW.step -> 'approval' -> 'quorum') q)
          AND NEW.roles <@ ARRAY(
              SELECT (q ->> 'role')::varchar
              FROM jsonb_array_elements(w.document -> 'steps' -> NEW.step -> 'approval' -> 'quorum') q
              UNION ALL
              SELECT v::varchar
              FROM jsonb_array_elements_text(w.document -> 'steps' -> NEW.step -> 'approval' -> 'veto') v))
    THEN
        RAISE EXCEPTION 'this is not what the definition asks people for';
    END IF;
    RETURN NULL;
"""

#: What the row of a task may become: the content stays, and what has ended has ended. `approved` needs votes of people
#: who may vote, for just this content: as many as there are seats, as many of each group as it has seats, and none
#: against by somebody who can refuse. Who fills which seat is decided by `core/quorum`.
_FOUR_EYES = """
    IF OLD.closed_at IS NOT NULL
       OR (NEW.run_id, NEW.step, NEW.version_id, NEW.content_hash, NEW.content::text, NEW.seats, NEW.roles, NEW.barred)
          IS DISTINCT FROM
          (OLD.run_id, OLD.step, OLD.version_id, OLD.content_hash, OLD.content::text, OLD.seats, OLD.roles, OLD.barred)
    THEN
        RAISE EXCEPTION 'what is to be approved cannot be changed';
    END IF;
    IF NEW.outcome <> 'approved' THEN
        RETURN NEW;
    END IF;
    SELECT w.document -> 'steps' -> NEW.step -> 'approval' INTO asked
    FROM workflows_workflowversion w WHERE w.id = NEW.version_id;
    IF asked IS NULL
       OR NEW.seats > (
          SELECT count(DISTINCT v.voter) FROM people_vote v
          WHERE v.task_id = NEW.id AND v.choice = 'approve' AND v.content_hash = NEW.content_hash
            AND NOT v.voter = ANY(NEW.barred) AND NOT v.on_behalf_of = ANY(NEW.barred)
            AND EXISTS (SELECT FROM jsonb_array_elements(asked -> 'quorum') q WHERE q ->> 'role' = ANY(v.roles)))
       OR EXISTS (
          SELECT FROM (SELECT q ->> 'role' AS role, sum(coalesce((q ->> 'count')::int, 1)) AS seats
                       FROM jsonb_array_elements(asked -> 'quorum') q GROUP BY 1) g
          WHERE g.seats > (SELECT count(*) FROM people_vote v
                           WHERE v.task_id = NEW.id AND v.choice = 'approve' AND g.role = ANY(v.roles)))
    THEN
        RAISE EXCEPTION 'there are not enough votes for it';
    END IF;
    IF EXISTS (SELECT FROM people_vote v WHERE v.task_id = NEW.id AND v.choice = 'refuse' AND (
                   NOT asked ? 'veto'
                   OR v.roles && ARRAY(SELECT jsonb_array_elements_text(asked -> 'veto')::varchar))) THEN
        RAISE EXCEPTION 'somebody who can has refused it';
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
            Firm(
                name="approval_opened",
                when=pgtrigger.After,
                operation=pgtrigger.Insert,
                timing=pgtrigger.Deferred,
                func=_OPENED,
            ),
            Firm(
                name="approval_four_eyes",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                declare=[("asked", "jsonb")],
                func=_FOUR_EYES,
            ),
            Protect(name="approval_kept", operation=pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return f"{self.title[:80]} ({self.outcome or 'open'})"
