"""Sensitive data: open that of a run, export and erase that of a person, and say what is handled."""

from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from erip.access.scopes import Scope
from erip.audit.operation import describe
from erip.foundation.http.fields import AnyJson, Flag, Moment, StrictSerializer, Text
from erip.foundation.http.reading import principal_of, read_body
from workflows.engine.register import register
from workflows.errors import UnknownRun
from workflows.privacy import holds, persons, retention

from ..responses import Answer
from ..schema import RUN_PARAMETER, operation

#: an answer that is kept under a key would hold what was opened
_NO_KEY = "is not read here: the answer is not kept."

#: items of each class that one call looks at, and that one call removes
MOST_LOOKED_AT, MOST_REMOVED = 10_000, 2_000


class Why(StrictSerializer):
    """Why it is opened."""

    reason = Text(min_length=1, max_length=1000, help_text="Why; the audit log keeps it.")


class Person(Why):
    """Who, and why."""

    subject = Text(min_length=1, max_length=1000, help_text="What the runs' input has where it says `subject: true`.")


class Erase(Person):
    dry_run = Flag(required=False, default=True, help_text="Say only what would be erased.")


class OpenedStep(Answer):
    step = serializers.CharField()
    item = serializers.IntegerField(help_text="-1: the step itself.")
    state = serializers.CharField()
    input = AnyJson()
    output = AnyJson()
    error = AnyJson()


class OpenedRun(Answer):
    id = serializers.UUIDField()
    workflow = serializers.CharField()
    business_key = serializers.CharField(allow_null=True)
    state = serializers.CharField()
    input = AnyJson(help_text="Opened; null in place of what was erased.")
    output = AnyJson()
    error = AnyJson()
    started_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    steps = OpenedStep(many=True)


class OpenedEvent(Answer):
    position = serializers.CharField(help_text="Its place in the log.")
    logged_at = serializers.DateTimeField()
    event = AnyJson(help_text="The CloudEvent, opened; null in place of what was erased.")


class PersonExported(Answer):
    person = serializers.CharField(help_text="A fingerprint of who it is.")
    runs = OpenedRun(many=True, help_text="The runs about the person, the newest first.")
    events = OpenedEvent(many=True, help_text="The events about the person, the newest first.")
    complete = serializers.BooleanField(help_text="False: there are more runs or events.")


class Certificate(Answer):
    number = serializers.IntegerField()
    person = serializers.CharField()
    keys = serializers.ListField(child=serializers.IntegerField())
    runs = serializers.IntegerField()
    events = serializers.IntegerField(required=False, help_text="None of one that an earlier release made.")
    at = serializers.DateTimeField()
    by = serializers.CharField()
    reason = serializers.CharField()
    key_encryption_keys = serializers.ListField(
        child=serializers.CharField(),
        allow_null=True,
        help_text=(
            "Names of those that were here: while one of them is kept, who has it can read copies of the database from "
            "before. Null: they could not be read."
        ),
    )
    says = serializers.CharField()


class PersonErased(Answer):
    person = serializers.CharField(help_text="A fingerprint of who it is.")
    runs = serializers.IntegerField(help_text="Runs whose data is erased, or would be.")
    events = serializers.IntegerField(help_text="Events of the log whose data is erased, or would be.")
    going_on = serializers.IntegerField(help_text="Those that have not ended: steps that need the data fail.")
    certificate = Certificate(allow_null=True, help_text="Null of a dry run.")


class RegisterAnswer(Answer):
    items = serializers.ListField(
        child=AnyJson(),
        help_text="By workflow: `workflow`, `version`, `space`, `fields`. Of types of events `event_type`.",
    )


class RunOpen(APIView):
    @operation(
        scope=Scope.ADMIN,
        permissions=["privacy.open_data"],
        of="run:id",
        tag="privacy",
        id="openRun",
        summary="Read a run with its sensitive data",
        description="Everywhere else sensitive data is shown sealed. The audit log says who opened it and why.",
        parameters=[RUN_PARAMETER],
        request=Why,
        answers={200: OpenedRun},
        no_key=_NO_KEY,
    )
    def post(self, request: Request, id: UUID) -> Response:
        read_body(request, Why)
        found = persons.open_run(UUID(str(id)))
        if found is None:
            raise UnknownRun
        describe(object=f"run:{id}")
        return Response(found)


class PrivacyExports(APIView):
    @operation(
        scope=Scope.ADMIN,
        permissions=["privacy.open_data"],
        tag="privacy",
        id="exportPerson",
        summary="Read everything that runs and events say about a person",
        description="For the person's request to see it: at most 1,000 runs and 1,000 events, the newest.",
        request=Person,
        answers={200: PersonExported},
        problems=[404],
        no_key=_NO_KEY,
    )
    def post(self, request: Request) -> Response:
        return Response(persons.export(read_body(request, Person)["subject"]))


class PrivacyErasures(APIView):
    @operation(
        scope=Scope.ADMIN,
        permissions=["privacy.erase_person"],
        tag="privacy",
        id="erasePerson",
        summary="Erase a person's data, by destroying the key that seals it",
        description="`dry_run`, which is the default, only says what would be erased.",
        request=Erase,
        answers={200: PersonErased},
        problems=[404, 409],
        no_key="is not read here: what is erased stays erased.",
    )
    def post(self, request: Request) -> Response:
        body = read_body(request, Erase)
        done = persons.erase(body["subject"], by=principal_of(request), reason=body["reason"], dry_run=body["dry_run"])
        return Response(
            {
                "person": done.person,
                "runs": done.runs,
                "events": done.events,
                "going_on": done.going_on,
                "certificate": done.certificate,
            }
        )


class PrivacyRegister(APIView):
    @operation(
        scope=Scope.AUTHOR,
        permissions=["privacy.view_register"],
        tag="privacy",
        id="getPrivacyRegister",
        summary="List the sensitive data that workflows and events hold",
        description="Generated from the schemas of the latest versions: workflows by name, then types of events.",
        answers={200: RegisterAnswer},
    )
    def get(self, request: Request) -> Response:
        return Response({"items": register()})


class HoldWanted(Why):
    """What is kept, and why. At most one of subject, workflow and run; none of them: everything."""

    subject = Text(required=False, min_length=1, max_length=1000, help_text="The person, as runs name them.")
    workflow = Text(required=False, min_length=1, max_length=63)
    run = serializers.UUIDField(required=False)
    classes = serializers.ListField(
        child=Text(max_length=20), required=False, max_length=len(holds.HOLDABLE),
        help_text=f"Only of these classes of data: {', '.join(holds.HOLDABLE)}. Default: all.",
    )  # fmt: skip
    since = Moment(required=False, help_text="Only data from this moment on.")
    until = Moment(required=False, help_text="Only data from before this moment.")
    ends_at = Moment(required=False, help_text="When the hold ends by itself.")


class LegalHold(Answer):
    number = serializers.IntegerField()
    person = serializers.CharField(allow_null=True, help_text="A fingerprint of who it is.")
    workflow = serializers.CharField(allow_null=True)
    run = serializers.UUIDField(allow_null=True)
    classes = serializers.ListField(child=serializers.CharField(), help_text="Empty: all.")
    data_since = serializers.DateTimeField(allow_null=True)
    data_until = serializers.DateTimeField(allow_null=True)
    reason = serializers.CharField()
    by = serializers.CharField()
    since = serializers.DateTimeField(help_text="When it was put.")
    ends_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    ended_by = serializers.CharField(allow_null=True)


class LegalHolds(Answer):
    items = LegalHold(many=True)


class Going(Answer):
    """Items of one class and workflow that go by one rule."""

    kind = serializers.CharField(help_text="The class: `runs`, `sensitive`, `reports` or `audit`.")
    workflow = serializers.CharField(allow_null=True)
    items = serializers.IntegerField()
    oldest = serializers.DateTimeField(allow_null=True)
    newest = serializers.DateTimeField(allow_null=True)
    kept_days = serializers.FloatField(allow_null=True)
    why = serializers.CharField()


class Kept(Answer):
    """Items that are past their time, or may be, and stay."""

    kind = serializers.CharField()
    why = serializers.CharField()
    items = serializers.IntegerField()


class RetentionReport(Answer):
    items = Going(many=True, help_text="What goes, or went.")
    kept = Kept(many=True)
    certificates = serializers.ListField(child=serializers.IntegerField(), help_text="Of what went.")
    complete = serializers.BooleanField(help_text="False: not all was looked at. Ask again.")


class PrivacyHolds(APIView):
    @operation(
        scope=Scope.AUTHOR,
        permissions=["privacy.view_register"],
        tag="privacy",
        id="listHolds",
        summary="List the legal holds in force",
        description="The newest first. Holds of the audit log are listed by `manage.py audit holds`.",
        answers={200: LegalHolds},
    )
    def get(self, request: Request) -> Response:
        return Response({"items": holds.listed()})

    @operation(
        scope=Scope.ADMIN,
        permissions=["privacy.change_hold"],
        tag="privacy",
        id="putHold",
        summary="Keep data for the law",
        description="Nothing that a legal hold names is removed or made unreadable while it is in force.",
        request=HoldWanted,
        answers={201: LegalHold},
        problems=[409],
    )
    def post(self, request: Request) -> Response:
        body = read_body(request, HoldWanted)
        wanted = holds.Wanted(
            reason=body["reason"], person=body.get("subject"), workflow=body.get("workflow", ""), run=body.get("run"),
            classes=tuple(body.get("classes", ())), since=body.get("since"), until=body.get("until"),
            ends_at=body.get("ends_at"),
        )  # fmt: skip
        number = holds.put(wanted, by=principal_of(request)).pk
        return Response(next(one for one in holds.listed(all=True) if one["number"] == number), status=201)


class PrivacyHoldRelease(APIView):
    @operation(
        scope=Scope.ADMIN,
        permissions=["privacy.change_hold"],
        tag="privacy",
        id="releaseHold",
        summary="Lift a legal hold",
        description="From now on, what it named goes when its time is over.",
        request=Why,
        answers={200: LegalHold},
        problems=[404, 409],
    )
    def post(self, request: Request, number: int) -> Response:
        read_body(request, Why)
        holds.release(number, by=principal_of(request))
        return Response(next(one for one in holds.listed(all=True) if one["number"] == number))


class PrivacyRetention(APIView):
    @operation(
        scope=Scope.AUTHOR,
        permissions=["privacy.view_register"],
        tag="privacy",
        id="previewRetention",
        summary="Say what is past its time, and what a legal hold keeps",
        description="Nothing is removed. It looks at about 10,000 items of each class.",
        answers={200: RetentionReport},
    )
    def get(self, request: Request) -> Response:
        return Response(retention.preview(most=MOST_LOOKED_AT).shown())

    @operation(
        scope=Scope.ADMIN,
        permissions=["privacy.erase_person"],
        tag="privacy",
        id="applyRetention",
        summary="Remove what is past its time now",
        description="The leader does so every ten minutes by itself. At most about 2,000 items of each class go in one"
        " call; `complete` says whether there are more. There is a certificate for each portion.",
        request=Why,
        answers={200: RetentionReport},
    )
    def post(self, request: Request) -> Response:
        reason = read_body(request, Why)["reason"]
        return Response(retention.remove(by=principal_of(request), reason=reason, most=MOST_REMOVED).shown())
