"""Sensitive data: open that of a run, export and erase that of a person, and say what is handled."""

from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from erip.access.scopes import Scope
from erip.audit.operation import describe
from erip.foundation.http.fields import AnyJson, Flag, StrictSerializer, Text
from erip.foundation.http.reading import principal_of, read_body
from workflows.engine.register import register
from workflows.errors import UnknownRun
from workflows.privacy import persons

from ..responses import Answer
from ..schema import RUN_PARAMETER, operation

#: an answer that is kept under a key would hold what was opened
_NO_KEY = "is not read here: the answer is not kept."


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


class PersonExported(Answer):
    person = serializers.CharField(help_text="A fingerprint of who it is.")
    runs = OpenedRun(many=True, help_text="The runs about the person, the newest first.")
    complete = serializers.BooleanField(help_text="False: there are more runs.")


class Certificate(Answer):
    number = serializers.IntegerField()
    person = serializers.CharField()
    keys = serializers.ListField(child=serializers.IntegerField())
    runs = serializers.IntegerField()
    at = serializers.DateTimeField()
    by = serializers.CharField()
    reason = serializers.CharField()
    says = serializers.CharField()


class PersonErased(Answer):
    person = serializers.CharField(help_text="A fingerprint of who it is.")
    runs = serializers.IntegerField(help_text="Runs whose data is erased, or would be.")
    going_on = serializers.IntegerField(help_text="Those that have not ended: steps that need the data fail.")
    certificate = Certificate(allow_null=True, help_text="Null of a dry run.")


class RegisterAnswer(Answer):
    items = serializers.ListField(child=AnyJson(), help_text="By workflow: `workflow`, `version`, `space`, `fields`.")


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
        summary="Read everything that runs say about a person",
        description="For the person's request to see it: at most 1,000 runs, the newest.",
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
            {"person": done.person, "runs": done.runs, "going_on": done.going_on, "certificate": done.certificate}
        )


class PrivacyRegister(APIView):
    @operation(
        scope=Scope.AUTHOR,
        permissions=["privacy.view_register"],
        tag="privacy",
        id="getPrivacyRegister",
        summary="List the sensitive data that workflows handle",
        description="Generated from the schemas of the latest versions, by workflow.",
        answers={200: RegisterAnswer},
    )
    def get(self, request: Request) -> Response:
        return Response({"items": register()})
