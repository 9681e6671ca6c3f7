"""Votes, who stands in for whom, and what people are told.

people_vote         a vote for or against an approval: never changed
people_delegation   who may vote in place of whom, and until when
people_question     what somebody asked before voting: never changed
people_notice       a message to one person about an approval
people_chatrequest  requests of chats that were believed lately, by the SHA-256 of their signature

Note [Four eyes]
Whoever started a run, published the version of its definition or owns the key that started it does not approve it, and
each person counts once: `voting` checks that for every door, and the database checks it again. A vote is refused by a
trigger if its voter, or whoever the voter stands in for, is barred or has voted already, if the task has ended, or if
what was seen is not what is to be approved. A task becomes approved only with as many votes as it has seats, and the
step of a run succeeds as approved only if its task is (`workflows.models.approvals`, `workflows.models.runs`).
No session can tell these triggers to stand aside (Note [Firm triggers]), and the application's role cannot change a
vote or remove one. What the database cannot know is who sits in front of the screen: a session with the application's
password can say that somebody who may vote has voted. The audit log shows that no request did.
"""

import pgtrigger
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from erip.foundation.db.json import JsonField
from erip.foundation.db.triggers import Firm, Protect
from workflows.models import ApprovalTask

_VOTE = """
    IF NEW.voter NOT LIKE 'user:_%' OR NEW.on_behalf_of NOT LIKE 'user:_%' AND NEW.on_behalf_of <> '' THEN
        RAISE EXCEPTION 'only people vote';
    END IF;
    SELECT * INTO task FROM workflows_approvaltask t WHERE t.id = NEW.task_id FOR NO KEY UPDATE;
    IF task.id IS NULL OR task.closed_at IS NOT NULL OR task.content_hash <> NEW.content_hash THEN
        RAISE EXCEPTION 'there is no open approval with this content';
    END IF;
    IF ARRAY[NEW.voter, NEW.on_behalf_of]::text[] && task.barred::text[] THEN
        RAISE EXCEPTION 'who started a run, or wrote its definition, does not approve it';
    END IF;
    IF EXISTS (SELECT FROM people_vote v WHERE v.task_id = NEW.task_id
               AND array_remove(ARRAY[v.voter, v.on_behalf_of]::text[], '')
                   && array_remove(ARRAY[NEW.voter, NEW.on_behalf_of]::text[], '')) THEN
        RAISE EXCEPTION 'this person has voted already';
    END IF;
    IF NEW.on_behalf_of <> '' AND NOT EXISTS (
        SELECT FROM people_delegation d
        WHERE d.delegator = NEW.on_behalf_of AND d.delegate = NEW.voter AND d.revoked_at IS NULL
          AND d.starts_at <= clock_timestamp() AND d.ends_at > clock_timestamp()) THEN
        RAISE EXCEPTION 'nobody may vote in place of somebody who has not said so';
    END IF;
    IF NEW.roles = '{}' OR NOT NEW.roles::text[] <@ task.roles::text[]
       OR NOT EXISTS (SELECT FROM auth_user u WHERE u.username = substr(NEW.voter, 6) AND u.is_active)
       OR NOT NEW.roles::text[] <@ ARRAY(
          SELECT g.name::text FROM auth_user u JOIN auth_user_groups m ON m.user_id = u.id
          JOIN auth_group g ON g.id = m.group_id
          WHERE u.is_active AND u.username = substr(coalesce(nullif(NEW.on_behalf_of, ''), NEW.voter), 6)) THEN
        RAISE EXCEPTION 'a vote counts in groups that are asked and that its person is in';
    END IF;
    RETURN NEW;
"""


class Vote(models.Model):
    """What one person said to one approval. Immutable."""

    task = models.ForeignKey(ApprovalTask, models.PROTECT, related_name="votes")
    #: the principal who voted, and the one in whose place; '': in their own
    voter = models.CharField(max_length=200)
    on_behalf_of = models.CharField(max_length=200, default="", db_default="", blank=True)
    choice = models.CharField(max_length=7, choices=[("approve", "approve"), ("refuse", "refuse")])
    #: the groups in which it counts, as they were then
    roles = ArrayField(models.CharField(max_length=150))
    comment = models.TextField(blank=True)
    form = JsonField(null=True)
    #: of what the voter saw
    content_hash = models.CharField(max_length=64)
    #: the door that it came through: api, admin, console, link
    via = models.CharField(max_length=8)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["task", "voter"], name="vote_once"),
            models.UniqueConstraint(
                fields=["task", "on_behalf_of"], name="vote_once_for", condition=~Q(on_behalf_of="")
            ),
            models.CheckConstraint(condition=Q(choice__in=["approve", "refuse"]), name="vote_choice"),
        ]
        triggers = [
            Firm(
                name="vote_four_eyes",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert,
                declare=[("task", "workflows_approvaltask%ROWTYPE")],
                func=_VOTE,
            ),
            Protect(name="vote_immutable", operation=pgtrigger.Update | pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return f"{self.voter} {self.choice}s"


class Delegation(models.Model):
    """Somebody lets somebody else vote in their place, for a while."""

    delegator = models.CharField(max_length=200)
    delegate = models.CharField(max_length=200)
    starts_at = models.DateTimeField(db_default=Now())
    ends_at = models.DateTimeField()
    reason = models.CharField(max_length=1000, blank=True)
    made_by = models.CharField(max_length=200)
    made_at = models.DateTimeField(db_default=Now())
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_by = models.CharField(max_length=200, default="", db_default="", blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["delegate", "ends_at"], name="delegation_of")]
        constraints = [
            models.CheckConstraint(condition=~Q(delegator=F("delegate")), name="delegation_to_somebody_else"),
            models.CheckConstraint(condition=Q(ends_at__gt=F("starts_at")), name="delegation_ends_later"),
        ]

    def __str__(self) -> str:
        return f"{self.delegate} for {self.delegator}"


class Question(models.Model):
    """What somebody asked, or answered, before the approval was decided. Immutable."""

    task = models.ForeignKey(ApprovalTask, models.PROTECT, related_name="questions")
    by = models.CharField(max_length=200)
    text = models.TextField()
    at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["id"]
        triggers = [Protect(name="question_immutable", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return self.text[:80]


class Notice(models.Model):
    """A message to one person about an approval. It is written with what it reports, and sent by a leader."""

    task = models.ForeignKey(ApprovalTask, models.CASCADE, related_name="notices")
    person = models.CharField(max_length=200)
    #: opened, reminded, escalated, asked, decided
    kind = models.CharField(max_length=9)
    at = models.DateTimeField(db_default=Now())
    #: when it is sent next; null: it was sent, or given up
    due_at = models.DateTimeField(null=True, db_default=Now())
    attempts = models.PositiveIntegerField(default=0, db_default=0)
    sent_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=300, default="", db_default="", blank=True)

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["due_at"], name="notice_due", condition=Q(due_at__isnull=False))]

    def __str__(self) -> str:
        return f"{self.kind}: {self.person}"


class ChatRequest(models.Model):
    """A request of a chat that was believed: it is not believed again. See Note [Requests of a chat]."""

    digest = models.BinaryField(primary_key=True)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return bytes(self.digest).hex()
