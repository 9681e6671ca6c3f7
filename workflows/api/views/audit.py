"""GET /api/v1/audit: who did what."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from erip.access.scopes import Scope
from erip.audit import entries, reading
from erip.audit.middleware import operation_of
from erip.foundation.http.fields import Choice, Moment, Number, StrictSerializer, Text
from erip.foundation.http.reading import read_query

from ..schema import operation


class AuditFilter(StrictSerializer):
    """What is searched for in the audit log."""

    principal = Text(required=False, max_length=200, help_text="`key:…`, `user:…` or `os:…`.")
    object = Text(required=False, max_length=1000, help_text="For example `runs/<id>` or `workflows/look-up`.")
    action = Text(required=False, max_length=200, help_text="For example `cancelRun`.")
    kind = Choice(required=False, choices=["operation", "effect", "finding"])
    since = Moment(required=False, help_text="RFC 3339, for example 2026-11-23T08:00:00Z.")
    until = Moment(required=False)
    cursor = Number(required=False, min_value=1, max_value=2**63 - 1, help_text="`next_cursor`.")
    limit = Number(required=False, min_value=1, max_value=200, default=50)


class AuditEntry(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    at = serializers.DateTimeField()
    role = serializers.CharField(help_text="The role of PostgreSQL that wrote it.")
    entry = serializers.DictField(help_text="As it was written; docs/reference/audit.md names its members.")


class AuditPage(serializers.Serializer[Any]):
    items = AuditEntry(many=True)
    next_cursor = serializers.IntegerField(allow_null=True)


class Audit(APIView):
    @operation(
        scope=Scope.ADMIN,
        permissions=["audit.view_entry"],
        tag="audit",
        id="searchAudit",
        summary="Search the audit log",
        description=(
            "Newest first. Follow `next_cursor` until it is null. That somebody searched is recorded, too. What is"
            " answered is not proven: `erip_verify.py` checks an export."
        ),
        parameters=[AuditFilter],
        answers={200: AuditPage},
    )
    def get(self, request: Request) -> Response:
        query = read_query(request, AuditFilter)
        cursor, limit = query.pop("cursor", None), query.pop("limit")
        found = reading.search(reading.Filter(**query, before=cursor), limit=limit + 1)
        asked = {name: str(value) for name, value in query.items()}
        entries.write(operation_of(request._request).body(searched=asked, cursor=cursor))
        items = [{"id": each.id, "at": each.at, "role": each.role, "entry": each.told()} for each in found[:limit]]
        return Response({"items": items, "next_cursor": items[-1]["id"] if len(found) > limit else None})
