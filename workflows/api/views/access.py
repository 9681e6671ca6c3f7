"""Why a caller may do something, or may not."""

from drf_spectacular.utils import OpenApiExample
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from erip.access import explaining, spaces
from erip.access.actions import needs_of
from erip.access.scopes import Scope
from erip.foundation.http.fields import StrictSerializer, Text
from erip.foundation.http.reading import read_query

from ..responses import Answer
from ..schema import operation


class ExplainAccess(StrictSerializer):
    principal = Text(max_length=220, help_text="`user:NAME` or `key:NAME`; without it: you.", required=False)
    object = Text(
        max_length=300, required=False, help_text="Such as `workflow:NAME`, `run:ID`, `approval:ID` or `space:NAME`."
    )
    action = Text(max_length=500, help_text="A permission, or a method and an address: `POST /api/v1/runs/bulk`.")


class Because(Answer):
    kind = serializers.ChoiceField(
        ["superuser", "scope", "grant", "permission", "emergency"],
        help_text="`scope`: of the key. `permission`: one of Django's own, of the admin. `emergency`: for minutes.",
    )
    role = serializers.CharField(help_text="Of a scope or a grant.")
    through = serializers.CharField(help_text="The group that has it; empty: the caller itself.")
    space = serializers.CharField(help_text="Of a grant; empty: on everything.")
    permission = serializers.CharField(help_text="The one that was given; it may include the one that is needed.")


class PermissionExplained(Answer):
    permission = serializers.CharField()
    meaning = serializers.CharField(help_text="Completes “May …”.")
    allowed = serializers.BooleanField()
    because = Because(many=True)
    roles = serializers.ListField(child=serializers.CharField(), help_text="The built-in roles that have it.")


class AccessExplained(Answer):
    principal = serializers.CharField()
    action = serializers.CharField()
    object = serializers.CharField(help_text="What was asked about; empty: everything.")
    allowed = serializers.BooleanField()
    closed = serializers.CharField(help_text="Why the caller gets in nowhere at the moment; empty: it does.")
    spaces = serializers.ListField(
        child=serializers.CharField(), allow_null=True, help_text="Where it is allowed; null: everywhere."
    )
    permissions = PermissionExplained(many=True, help_text="What the action needs: all of these.")
    sentence = serializers.CharField(help_text="The same in words.")


class Explain(APIView):
    @operation(
        scope=Scope.ADMIN,
        permissions=["access.view_grant"],
        tag="access",
        id="explainAccess",
        summary="Why a caller may do something, or may not",
        description="Which grants and roles allow it, or which permissions are missing and which roles have them.",
        parameters=[ExplainAccess],
        answers={200: AccessExplained},
        problems=[404],
        examples=[
            OpenApiExample(
                "a key that may",
                response_only=True,
                status_codes=["200"],
                value={
                    "principal": "key:ci",
                    "action": "workflows.start_run",
                    "object": "",
                    "allowed": True,
                    "closed": "",
                    "spaces": None,
                    "permissions": [
                        {
                            "permission": "workflows.start_run",
                            "meaning": "start runs, one or many",
                            "allowed": True,
                            "because": [
                                {"kind": "scope", "role": "operator", "through": "", "space": "", "permission": ""}
                            ],
                            "roles": ["operator", "author", "platform-admin"],
                        }
                    ],
                    "sentence": "key:ci may: the scope of the key is the role operator.",
                },
            )
        ],
    )
    def get(self, request: Request) -> Response:
        query = read_query(request, ExplainAccess)
        name = query.get("principal") or str(request.user)
        about = query.get("object", "")
        space = spaces.space_named(about) if about else None
        found = explaining.explain(name, needs_of(query["action"]), space=space)
        return Response({"action": query["action"], "object": about, **found, "sentence": explaining.sentence(found)})
