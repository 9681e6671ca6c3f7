"""What another definition would have made of a workflow's runs."""

from collections.abc import Collection
from functools import partial
from typing import Any

import orjson
from drf_spectacular.utils import OpenApiExample
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from erip.access.flags import asking as flags
from erip.access.scopes import Scope
from erip.access.spaces import of_caller
from erip.foundation.http.fields import JsonObject, Text, Whole
from erip.foundation.http.reading import principal_of, read_body
from workflows import engine
from workflows.core.graph import Graph
from workflows.errors import NameMismatch, UnknownVersion, UnknownWorkflow
from workflows.graphs import graph_of
from workflows.models import WorkflowVersion
from workflows.replay.what_if_definition import what_if_definition

from ..schema import NAME_PARAMETER, operation
from ..what_if_shapes import PAGED, Asked, Compared, answered

Answer = serializers.Serializer[Any]
_EXAMPLE = {"version": 2, "against": "waiting"}


class WhatIfDefinition(Asked):
    """Another definition, or version, in place of each run's own: one of `definition`, `source` and `version`."""

    definition = JsonObject(required=False, help_text="A definition, as an object.")
    source = Text(  # type: ignore[assignment]
        required=False, min_length=1, max_length=262_144, help_text="A definition, as a text in YAML."
    )
    version = Whole(required=False, min_value=1, max_value=999_999_999, help_text="A stored version.")
    limit = Whole(required=False, min_value=1, max_value=1_000, default=200, help_text="Runs that are looked at.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if sum(name in attrs for name in ("definition", "source", "version")) != 1:
            raise serializers.ValidationError("needs one of `definition`, `source` and `version`")
        return attrs


class RunDifference(Answer):
    path = serializers.CharField(help_text="In the run, such as `steps.notify.state` or `output`.")
    stored = serializers.CharField()
    then = serializers.CharField()


class RunOtherwise(Answer):
    run_id = serializers.UUIDField()
    business_key = serializers.CharField(allow_null=True)
    status = serializers.CharField(help_text="The run's.")
    open = serializers.BooleanField(help_text="It has not ended.")
    differences = RunDifference(many=True)
    unknown = serializers.ListField(
        child=serializers.CharField(), help_text="What is not known, and why: the first is what the rest depends on."
    )
    ends = serializers.CharField(allow_null=True, help_text="The status that it would have. Null: not known.")
    more = serializers.IntegerField(help_text="Differences and unknowns that are not named here.")


class WhatIfDefinitionAnswer(Compared):
    items = RunOtherwise(many=True, help_text="The different and the unknown ones.")


class WorkflowWhatIf(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["workflows.view_workflowversion", "workflows.view_workflowrun"],
        of="workflow:name",
        tag="workflows",
        id="whatIfWorkflow",
        summary="See which runs another definition would have made others",
        description=(
            "Each run is decided again by the other definition, with what its steps gave, and compared. What does not "
            "follow from what is stored is named as unknown, and so is a run that is too large, or takes too long. "
            + PAGED
        ),
        parameters=[NAME_PARAMETER],
        request=WhatIfDefinition,
        examples=[OpenApiExample("open runs", value=_EXAMPLE, request_only=True)],
        answers={200: WhatIfDefinitionAnswer},
        no_key="is not read here: nothing is stored.",
    )
    def post(self, request: Request, name: str) -> Response:
        flags.need("what-if", principal_of(request))
        body = read_body(request, WhatIfDefinition)
        other = _other(name, body, of_caller(request))
        return answered(partial(what_if_definition, name, other), body)


def _other(name: str, body: dict[str, Any], spaces: Collection[str] | None) -> Graph:
    """Raises UnknownWorkflow, UnknownVersion, DefinitionInvalid, NameMismatch."""
    versions = WorkflowVersion.objects.filter(definition__name=name)
    if "version" in body:
        number = versions.filter(number=body["version"]).values_list("pk", flat=True).first()
        if number is None:
            raise UnknownVersion if versions.exists() else UnknownWorkflow
        return graph_of(number)
    if not versions.exists():
        raise UnknownWorkflow
    if "source" in body:
        graph = engine.validate(body["source"].encode(), "yaml", spaces=spaces)
    else:
        graph = engine.validate(orjson.dumps(body["definition"]), "json", spaces=spaces)
    if graph.name != name:
        raise NameMismatch
    return graph
