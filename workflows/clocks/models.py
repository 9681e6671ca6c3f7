"""The tables of legal clocks.

| table | one row is |
| --- | --- |
| `clocks_legalcase` | an incident that duties were found for, with the facts that were known of it |
| `clocks_legalclock` | one duty of one incident, with its deadline |
| `clocks_reassessment` | a case that was assessed again, and what that changed |

All refer to runs by their ids alone: they stay when a run is archived or removed.
"""

from uuid import UUID, uuid5

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from erip.foundation.db.json import JsonField

_CASES = UUID("4f0c35a4-5c7c-5e0a-9a57-8f6b0f1c2d11")


class State(models.TextChoices):
    #: → RUNNING when what it counts from happens; → STOPPED, FILED, DISMISSED by a person
    WAITING = "WAITING", "waits for what it counts from"
    #: → STOPPED, FILED, DISMISSED by a person
    RUNNING = "RUNNING", "runs"
    #: → RUNNING or WAITING when it is resumed; → FILED, DISMISSED by a person
    STOPPED = "STOPPED", "is stopped"
    #: final: the duty was met
    FILED = "FILED", "was filed"
    #: final: a person said that the duty does not apply
    DISMISSED = "DISMISSED", "was dismissed"


#: the states in which a clock wants something of somebody
OPEN = (State.WAITING, State.RUNNING, State.STOPPED)


class LegalCase(models.Model):
    """One incident, as one step of one run assessed it."""

    #: made of the run, the step and the item, so that whoever writes it twice writes it once
    id = models.UUIDField(primary_key=True)
    run_id = models.UUIDField(db_index=True)
    step = models.CharField(max_length=63)
    #: of a fan-out; -1: the step has none
    item = models.IntegerField(default=-1, db_default=-1)
    workflow = models.CharField(max_length=63)
    business_key = models.TextField(null=True)
    #: the input of `compass.assess_compliance`; null: a definition named its duties, and there is nothing to assess
    facts = JsonField(null=True)
    as_of = models.DateTimeField()
    #: the state of the duties that it was last assessed with: the token of their area (`library_referenceversion`)
    law = models.UUIDField(null=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-created_at", "id"]
        constraints = [models.UniqueConstraint(fields=["run_id", "step", "item"], name="legal_case_once")]
        indexes = [models.Index(fields=["created_at"], name="legal_case_created")]

    def __str__(self) -> str:
        return f"{self.step} of {self.run_id}"

    @staticmethod
    def id_of(run_id: str, step: str, item: int) -> UUID:
        return uuid5(_CASES, f"{run_id}|{step}|{item}")


class LegalClock(models.Model):
    """One duty of one incident."""

    case = models.ForeignKey(LegalCase, on_delete=models.PROTECT, related_name="clocks")
    run_id = models.UUIDField(db_index=True)
    #: whose runs its run is one of: the space of the workflow is that of the clock
    workflow = models.CharField(max_length=63)
    obligation = models.CharField(max_length=60)
    #: the duty as it was when it was last computed: regime, title, authority, citation, stops, verified, clocks …
    duty = JsonField()
    #: what the deadline hangs on: moments, amended (those that a person corrected), assumed (the names of those that
    #: are not known), places, facts, submitted (obligation → moment)
    facts = JsonField()
    #: the versions of the holidays and the time zones that the deadline was computed with
    versions = JsonField()
    state = models.CharField(max_length=10, choices=State)
    #: the trigger that it counts from, and when that was
    trigger = models.CharField(max_length=70, blank=True, default="", db_default="")
    since = models.DateTimeField(null=True)
    due_at = models.DateTimeField(null=True)
    arguable_until = models.DateTimeField(null=True)
    #: a forecast, or counted from an assumption: the truth may be earlier
    provisional = models.BooleanField(default=False, db_default=False)
    #: why it may not apply any more; "": nothing speaks against it. A person decides
    doubt = models.CharField(max_length=300, blank=True, default="", db_default="")
    #: since, until (null: it lasts), reason, by, article
    stops = JsonField(default=list)
    #: until, reason, by
    extended = JsonField(null=True)
    #: at, reference, document, by: of the first filing; updates: the same of each later one; updated_at: of the latest
    filed = JsonField(null=True)
    #: what was done to it: at, by, what, reason, and due_before where the deadline moved
    history = JsonField(default=list)
    #: the next rung of its ladder, and when it is due; only that one is stored
    next_rung = models.PositiveSmallIntegerField(default=0, db_default=0)
    next_rung_at = models.DateTimeField(null=True)
    #: counts the changes of its deadline: an alarm after one is another alarm
    turn = models.PositiveIntegerField(default=0, db_default=0)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = [F("due_at").asc(nulls_last=True), "id"]
        constraints = [
            models.UniqueConstraint(fields=["case", "obligation"], name="legal_clock_once"),
            models.CheckConstraint(
                name="legal_clock_filed", condition=Q(state="FILED", filed__isnull=False) | ~Q(state="FILED")
            ),
            models.CheckConstraint(
                name="legal_clock_climbs", condition=Q(next_rung_at__isnull=True) | Q(state="RUNNING")
            ),
        ]
        indexes = [
            models.Index(fields=["next_rung_at"], name="legal_clock_rung", condition=Q(next_rung_at__isnull=False)),
            models.Index(
                fields=["due_at", "id"],
                name="legal_clock_open",
                condition=Q(state__in=["WAITING", "RUNNING", "STOPPED"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.obligation} of {self.run_id}"


class Reassessment(models.Model):
    """A case that was assessed again, since a fact or the law changed. It is written only where a clock changed."""

    case = models.ForeignKey(LegalCase, on_delete=models.PROTECT, related_name="reassessments")
    run_id = models.UUIDField(db_index=True)
    workflow = models.CharField(max_length=63)
    at = models.DateTimeField(db_default=Now())
    #: `law` or `facts`
    cause = models.CharField(max_length=10)
    by = models.CharField(max_length=200)
    reason = models.CharField(max_length=500, blank=True, default="")
    #: obligation, what (started, moved, changed, doubted, applies), due_before, due_at
    changes = JsonField()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.cause}: {len(self.changes)} of {self.run_id}"
