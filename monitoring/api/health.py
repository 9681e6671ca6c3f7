"""GET /api/v1/health: every component, what it needs, and one sentence."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from erip.access.authentication import StaffSessionAuthentication
from erip.access.scopes import Scope
from erip.foundation.http.fields import StrictSerializer
from erip.foundation.http.reading import read_query
from monitoring import health
from monitoring.api.remembering import RememberingKeys
from monitoring.core import components
from monitoring.core.components import NEEDS, State
from workflows.api.schema import operation


class ComponentHealth(serializers.Serializer[Any]):
    component = serializers.CharField()
    state = serializers.ChoiceField(choices=[str(state) for state in State])
    since = serializers.DateTimeField(allow_null=True, help_text="Since when it has been so; null: nobody knows.")
    age_seconds = serializers.FloatField(
        allow_null=True, help_text="Seconds since it was seen so; null: it was never seen."
    )
    sentence = serializers.CharField()
    restarted_at = serializers.DateTimeField(
        allow_null=True, help_text="When it was last seen to be another one: started anew, or failed over."
    )
    needs = serializers.ListField(child=serializers.CharField())
    needed_by = serializers.ListField(child=serializers.CharField(), help_text="Everything that depends on it.")


class PlatformHealth(serializers.Serializer[Any]):
    state = serializers.ChoiceField(
        choices=[str(state) for state in State], help_text="That of the worst component; `unknown` is never `ok`."
    )
    sentence = serializers.CharField(help_text="The cause, and what it affects.")
    cause = serializers.CharField(allow_null=True, help_text="The component that explains most of the trouble.")
    components = ComponentHealth(many=True)


class HealthView(APIView):
    authentication_classes = (RememberingKeys, StaffSessionAuthentication)

    @operation(
        scope=Scope.VIEWER,
        permissions=["monitoring.view_componentstate"],
        tag="monitoring",
        id="readHealth",
        summary="Read the health of every component",
        description=(
            "Answers while PostgreSQL or Redis is away, within three seconds. What was seen longer ago than its "
            "probe's interval is `unknown`. The answer is 200 whatever it says; load balancers "
            "ask the probes under `/health/`."
        ),
        answers={200: PlatformHealth},
    )
    def get(self, request: Request) -> Response:
        read_query(request, StrictSerializer)
        return Response(document())


def document() -> dict[str, Any]:
    """What the address answers."""
    found = health.look()
    verdicts = {name: status.verdict for name, status in found.items()}
    cause = components.cause(verdicts)
    return {
        "state": str(components.whole(verdicts.values())),
        "sentence": components.sentence(verdicts),
        "cause": cause.component if cause is not None else None,
        "components": [
            {
                "component": name,
                "state": str(status.verdict.state),
                "since": status.since,
                "age_seconds": None if status.verdict.age is None else round(status.verdict.age, 1),
                "sentence": status.verdict.sentence,
                "restarted_at": status.restarted,
                "needs": [need for need in NEEDS.get(name, ()) if need in verdicts],
                "needed_by": components.dependents(name, verdicts),
            }
            for name, status in found.items()
        ],
    }
