"""What the API of approvals reads and answers with."""

from typing import Any

from rest_framework import serializers

from erip.foundation.http.fields import AnyJson, Choice, Moment, Number, StrictSerializer, Text
from people.voting import COMMENT_MAX

Answer = serializers.Serializer[Any]
_HASH = "[0-9a-f]{64}"


class ApprovalFilter(StrictSerializer):
    """Which approvals."""

    assignee = Choice(["me"], required=False, help_text="Only those that wait for your vote.")
    state = Choice(["open", "ended"], required=False, default="open")
    cursor = Number(required=False, min_value=1, max_value=2**63 - 1, help_text="`next_cursor` of the page before.")
    limit = Number(required=False, min_value=1, max_value=200, default=50)


class CastVote(StrictSerializer):
    """A vote."""

    choice = Choice(["approve", "refuse"])
    content_hash = serializers.RegexField(
        f"^{_HASH}$", trim_whitespace=False, help_text="Of what you saw: `content_hash` of the approval."
    )
    comment = Text(
        required=False, allow_blank=True, max_length=COMMENT_MAX, default="", help_text="A refusal needs one."
    )
    form = AnyJson(required=False, help_text="The form, filled in.")
    on_behalf_of = Text(
        required=False, max_length=200, help_text="The principal in whose place you vote, as `user:anna`."
    )


class Ask(StrictSerializer):
    """A question, or an answer to one."""

    text = Text(min_length=1, max_length=COMMENT_MAX)


class Nothing(StrictSerializer):
    """There is nothing to say."""


class Delegate(StrictSerializer):
    """Let somebody else vote in your place."""

    to = Text(min_length=1, max_length=150, help_text="A username.")
    ends_at = Moment(help_text="At most 366 days after the beginning.")
    starts_at = Moment(required=False, help_text="Default: now.")
    reason = Text(required=False, allow_blank=True, max_length=1000, default="")


class DelegationFilter(StrictSerializer):
    """Which page of the list."""

    cursor = Number(required=False, min_value=1, max_value=2**63 - 1, help_text="`next_cursor` of the page before.")
    limit = Number(required=False, min_value=1, max_value=200, default=50)


class ApprovalSummary(Answer):
    id = serializers.IntegerField()
    run = serializers.UUIDField()
    step = serializers.CharField()
    workflow = serializers.CharField()
    business_key = serializers.CharField(allow_null=True)
    title = serializers.CharField()
    roles = serializers.ListField(child=serializers.CharField(), help_text="Groups whose members may vote.")
    missing = serializers.DictField(
        child=serializers.IntegerField(), allow_null=True, help_text="Seats that are empty, by group; null: unknown."
    )
    opened_at = serializers.DateTimeField()
    due_at = serializers.DateTimeField(allow_null=True, help_text="When it expires, which never approves; null: never.")
    claimed_by = serializers.CharField()
    closed_at = serializers.DateTimeField(allow_null=True)
    outcome = serializers.ChoiceField(choices=["", "approved", "refused", "expired", "withdrawn"])


class ApprovalPage(Answer):
    items = ApprovalSummary(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class VoteCast(Answer):
    by = serializers.CharField()
    on_behalf_of = serializers.CharField(allow_null=True)
    choice = serializers.ChoiceField(choices=["approve", "refuse"])
    roles = serializers.ListField(child=serializers.CharField())
    comment = serializers.CharField()
    form = serializers.JSONField(allow_null=True)
    via = serializers.CharField()
    at = serializers.DateTimeField()


class QuestionAsked(Answer):
    by = serializers.CharField()
    text = serializers.CharField()
    at = serializers.DateTimeField()


class ApprovalDetail(ApprovalSummary):
    content = serializers.JSONField(help_text="What is to be approved.")
    content_hash = serializers.CharField(help_text="SHA-256 of it; a vote names it.")
    form = serializers.JSONField(allow_null=True, help_text="JSON Schema of the form; null: there is none.")
    barred = serializers.ListField(child=serializers.CharField(), help_text="Who may not vote, whatever their groups.")
    you_may_vote = serializers.BooleanField()
    you_may_vote_for = serializers.ListField(
        child=serializers.CharField(), help_text="In whose place you may vote, besides your own."
    )
    votes = VoteCast(many=True)
    questions = QuestionAsked(many=True)


class Voted(Answer):
    outcome = serializers.ChoiceField(
        choices=["", "approved", "refused"], help_text="Of the approval; empty: it goes on."
    )
    missing = serializers.DictField(child=serializers.IntegerField(), help_text="Seats that are empty, by group.")


class DelegationOne(Answer):
    id = serializers.IntegerField()
    delegator = serializers.CharField()
    delegate = serializers.CharField()
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()
    reason = serializers.CharField()
    made_by = serializers.CharField()
    revoked_at = serializers.DateTimeField(allow_null=True)


class DelegationPage(Answer):
    items = DelegationOne(many=True)
    next_cursor = serializers.CharField(allow_null=True)
