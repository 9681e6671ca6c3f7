"""GET /api/v1/health: every component, what it needs, and one sentence."""

from datetime import UTC, datetime
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from erip.access.authentication import StaffSessionAuthentication
from erip.access.scopes import Scope
from monitoring import health
from monitoring.api.remembering import RememberingKeys
from monitoring.core import components
from monitoring.core.causes import Cause
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


class EvidenceShown(serializers.Serializer[Any]):
    sentence = serializers.CharField()
    at = serializers.DateTimeField(allow_null=True, help_text="When it was seen; null: it is no event.")


class CauseShown(serializers.Serializer[Any]):
    component = serializers.CharField()
    members = serializers.ListField(
        child=serializers.CharField(), help_text="Its servers or processes of which something was seen."
    )
    began_after = serializers.DateTimeField(help_text="When it was last seen as before.")
    began_by = serializers.DateTimeField(help_text="When it was first seen changed: it began between the two.")
    ongoing = serializers.BooleanField(help_text="Whether it is not well now; false: it was, within two minutes.")
    explains = serializers.ListField(child=serializers.CharField(), help_text="What complains and depends on it.")
    weight = serializers.FloatField(help_text="Orders the causes, 1 for all together. It is no probability.")
    sentence = serializers.CharField()
    evidence = EvidenceShown(many=True)


class PlatformHealth(serializers.Serializer[Any]):
    state = serializers.ChoiceField(
        choices=[str(state) for state in State], help_text="That of the worst component; `unknown` is never `ok`."
    )
    sentence = serializers.CharField(help_text="The cause, and what it affects.")
    cause = serializers.CharField(allow_null=True, help_text="The component that explains most of the trouble.")
    causes = CauseShown(
        many=True, help_text="Likely causes of what is not well, or was not within two minutes; the likeliest first."
    )
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
        return Response(document())


def cause_document(cause: Cause) -> dict[str, Any]:
    """A cause, as it is answered."""
    return {
        "component": cause.component,
        "members": list(cause.members),
        "began_after": _moment(cause.after),
        "began_by": _moment(cause.by),
        "ongoing": cause.ongoing,
        "explains": list(cause.explains),
        "weight": round(cause.weight, 3),
        "sentence": cause.sentence,
        "evidence": [
            {"sentence": one.sentence, "at": None if one.at is None else _moment(one.at)} for one in cause.evidence
        ],
    }


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def document() -> dict[str, Any]:
    """What the address answers."""
    known = health.look()
    found = known.components
    verdicts = {name: status.verdict for name, status in found.items()}
    ill = {name for name, one in verdicts.items() if one.state is not State.OK}
    first = next((one.component for one in known.causes if one.component in ill), None)
    if first is None and (root := components.cause(verdicts)) is not None:
        first = root.component
    return {
        "state": str(components.whole(verdicts.values())),
        "sentence": components.sentence(verdicts, first),
        "cause": first,
        "causes": [cause_document(one) for one in known.causes],
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
