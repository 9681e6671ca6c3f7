"""What the API of decision tables reads and answers with."""

from typing import Any

from rest_framework import serializers

from erip.foundation.http.fields import AnyJson, JsonObject, Number, StrictSerializer, Text, Whole
from workflows.decisions.asking import MAX_CASES
from workflows.decisions.stored import NAME

from .responses import FaultAnswer
from .what_if_shapes import Asked, Compared

Answer = serializers.Serializer[Any]
#: what a page's cursor begins with: a name alone would be mistaken for a filter
BEHIND = "after:"
INT32 = 2**31 - 1


class TableFilter(StrictSerializer):
    """Which page of the list."""

    cursor = serializers.RegexField(
        f"^{BEHIND}{NAME}$", required=False, max_length=70, help_text="`next_cursor` of the page before."
    )
    limit = Number(required=False, min_value=1, max_value=200, default=50)


class FromFile(StrictSerializer):
    """What of a file is meant."""

    decision = Text(
        required=False,
        min_length=1,
        max_length=200,
        help_text="The decision to take of a DMN file, or the sheet of a workbook, that has several.",
    )


class Evaluate(StrictSerializer):
    """One case or several."""

    facts = JsonObject(required=False, help_text="One case: the facts by name.")
    cases = serializers.ListField(
        child=JsonObject(), required=False, min_length=1, max_length=MAX_CASES, help_text="Several cases."
    )
    version = Whole(required=False, min_value=1, max_value=INT32, help_text="Default: the version in force.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("facts" in attrs) == ("cases" in attrs):
            raise serializers.ValidationError("needs either `facts` or `cases`")
        return attrs


class WhatIf(Asked):
    """Another table, or another version, in place of the one in force."""

    table = JsonObject(required=False, help_text="A decision table, as JSON.")
    version = Whole(required=False, min_value=1, max_value=INT32, help_text="A version of the stored table.")
    limit = Whole(required=False, min_value=1, max_value=10_000, default=1_000, help_text="Runs that are looked at.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("table" in attrs) == ("version" in attrs):
            raise serializers.ValidationError("needs either `table` or `version`")
        return attrs


class TablePublished(Answer):
    name = serializers.CharField()
    version = serializers.IntegerField()
    hash = serializers.CharField(help_text="SHA-256 of the table's canonical JSON.")


class CaseAnswer(Answer):
    tests = serializers.DictField(child=serializers.CharField(), help_text="What each input is in it, in FEEL.")
    example = serializers.DictField(child=serializers.CharField(), help_text="Facts that lie in it, in FEEL.")


class ClashAnswer(CaseAnswer):
    first = serializers.CharField(help_text="A rule's id.")
    second = serializers.CharField(help_text="Another one's.")


class TableReport(Answer):
    gaps = CaseAnswer(many=True, help_text="Cases that no rule decides.")
    clashes = ClashAnswer(many=True, help_text="Rules that both match a case, though the hit policy forbids it.")
    unreached = serializers.ListField(child=serializers.CharField(), help_text="Rules that never decide.")
    unsure = serializers.ListField(
        child=serializers.CharField(), help_text="Rules that refer to other facts: what is said may not hold for them."
    )
    complete = serializers.BooleanField(help_text="False: there may be more; not every case was looked at.")
    sound = serializers.BooleanField(help_text="Nothing of this is wrong.")


class TableValidated(Answer):
    valid = serializers.BooleanField()
    rules = serializers.IntegerField()
    table = JsonObject(help_text="As it would be stored.")
    report = TableReport()


class TableListed(Answer):
    name = serializers.CharField()
    version = serializers.IntegerField(help_text="The one in force.")
    hash = serializers.CharField()
    description = serializers.CharField()
    hit_policy = serializers.CharField()
    rules = serializers.IntegerField()
    author = serializers.CharField()
    published_at = serializers.DateTimeField()


class TablePage(Answer):
    items = TableListed(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class TableVersionListed(Answer):
    version = serializers.IntegerField()
    hash = serializers.CharField()
    author = serializers.CharField()
    created_at = serializers.DateTimeField()


class DecisionTableAnswer(TableListed):
    table = JsonObject()
    versions = TableVersionListed(many=True, help_text="The latest 100, newest first.")


class TableVersionAnswer(TableVersionListed):
    name = serializers.CharField()
    table = JsonObject()


class WhyTest(Answer):
    input = serializers.CharField()
    value = AnyJson(help_text="The fact, as it was sent.")
    test = serializers.CharField(help_text="The cell that it fulfils.")


class WhyRule(Answer):
    rule = serializers.CharField()
    note = serializers.CharField()
    when = WhyTest(many=True)


class Decided(Answer):
    output = AnyJson(help_text="A value; an object if there are several outputs; a list for a policy that gives all.")
    decided = serializers.BooleanField(help_text="Whether a rule or a default says so. False: null is not an answer.")
    rules = serializers.ListField(child=serializers.CharField(), help_text="The rules that matched.")
    why = WhyRule(many=True, help_text="Of the first 20 of them: each condition, and the fact that fulfils it.")
    fault = serializers.CharField(allow_null=True, help_text="Why there is no output though rules matched.")
    faults = FaultAnswer(many=True, help_text="What is wrong with the facts of this case.")


class Evaluated(Answer):
    name = serializers.CharField()
    version = serializers.IntegerField()
    results = Decided(many=True)


class SaidAnswer(Answer):
    version = serializers.IntegerField(allow_null=True, help_text="Null: the other table, or not known.")
    result = AnyJson()
    rules = serializers.ListField(child=serializers.CharField())
    fault = serializers.CharField(allow_null=True, help_text="Why the table said nothing.")


class DifferenceAnswer(Answer):
    run_id = serializers.UUIDField()
    workflow = serializers.CharField()
    business_key = serializers.CharField(allow_null=True)
    status = serializers.CharField(help_text="The run's.")
    step = serializers.CharField()
    decided = serializers.BooleanField(help_text="False: the run has not come to this decision yet.")
    before = SaidAnswer(allow_null=True, help_text="What was decided, or what the version in force says.")
    after = SaidAnswer(allow_null=True, help_text="Null: the facts are not known yet.")


class WhatIfAnswer(Compared):
    items = DifferenceAnswer(many=True, help_text="The different and the unknown ones.")
