"""GET /api/v1/controls: what frameworks ask for, what the platform does about it, and whether that holds now."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from erip.access.scopes import Scope
from erip.foundation.errors import EripError
from monitoring.controls.catalog import frameworks, mechanisms
from monitoring.controls.results import Status
from monitoring.controls.standing import Standing, Stands, all_of
from monitoring.store.controls import Noted, latest_results
from workflows.api.schema import operation


class UnknownFramework(EripError):
    """There is no framework of this name. `GET /api/v1/controls` lists them."""

    code = "unknown_framework"
    status = 404


class ControlCheck(serializers.Serializer[Any]):
    check = serializers.CharField()
    status = serializers.ChoiceField(
        choices=[str(one) for one in Status],
        help_text="`absent`: not set up in this installation. `unknown` is no `holds`.",
    )
    sentence = serializers.CharField()
    facts = serializers.DictField(help_text="What was seen.")
    at = serializers.DateTimeField(help_text="When it was last looked at.")
    since = serializers.DateTimeField(allow_null=True, help_text="Since when it has this status; null: unknown.")


class FrameworkShort(serializers.Serializer[Any]):
    name = serializers.CharField()
    title = serializers.CharField()
    link = serializers.CharField(help_text="Where the framework itself is published.")
    note = serializers.CharField(help_text="What the list covers.")
    standings = serializers.DictField(child=serializers.IntegerField(), help_text="How many controls stand how.")


class ControlList(serializers.Serializer[Any]):
    frameworks = FrameworkShort(many=True)
    checks = ControlCheck(many=True)


class ControlOne(serializers.Serializer[Any]):
    id = serializers.CharField(help_text="As the framework numbers it.")
    about = serializers.CharField(help_text="A few words of ours; the framework's text is not repeated.")
    standing = serializers.ChoiceField(
        choices=[str(one) for one in Standing],
        help_text="The worst of its checks. `described`: there is a mechanism and no check.",
    )
    mechanisms = serializers.ListField(child=serializers.CharField())
    gap = serializers.CharField(help_text="What the platform does not do about it; empty: nothing is known.")
    checks = ControlCheck(many=True)
    evidence = serializers.ListField(child=serializers.CharField(), help_text="Files of the evidence pack.")


class MechanismOne(serializers.Serializer[Any]):
    name = serializers.CharField()
    does = serializers.CharField()
    documentation = serializers.CharField()
    checks = serializers.ListField(child=serializers.CharField())


class FrameworkDetail(FrameworkShort):
    controls = ControlOne(many=True)
    mechanisms = MechanismOne(many=True)


class Controls(APIView):
    @operation(
        scope=Scope.ADMIN,
        permissions=["monitoring.view_controlstate"],
        tag="monitoring",
        id="listControls",
        summary="See how the controls of frameworks stand",
        description=(
            "How many controls of each framework stand how, and what every live check said last. The leader looks every"
            " five minutes; what was not looked at for half an hour is `unknown`."
        ),
        answers={200: ControlList},
    )
    def get(self, request: Request) -> Response:
        said = latest_results()
        return Response(
            {
                "frameworks": [_short(name, all_of(name, said)) for name in frameworks()],
                "checks": [_check(said[name]) for name in sorted(said)],
            }
        )


class FrameworkOne(APIView):
    @operation(
        scope=Scope.ADMIN,
        permissions=["monitoring.view_controlstate"],
        tag="monitoring",
        id="getFramework",
        summary="See every control of a framework",
        description="What serves each control, what its checks said last, and what is not covered.",
        answers={200: FrameworkDetail},
        problems=[404],
    )
    def get(self, request: Request, name: str) -> Response:
        if name not in frameworks():
            raise UnknownFramework
        stands = all_of(name, latest_results())
        used = sorted({one for each in stands for one in each.control.by})
        return Response(
            {
                **_short(name, stands),
                "controls": [_control(one) for one in stands],
                "mechanisms": [
                    {
                        "name": one,
                        "does": mechanisms()[one].does,
                        "documentation": mechanisms()[one].page,
                        "checks": list(mechanisms()[one].checks),
                    }
                    for one in used
                ],
            }
        )


def _short(name: str, stands: list[Stands]) -> dict[str, Any]:
    framework = frameworks()[name]
    return {
        "name": name,
        "title": framework.title,
        "link": framework.source,
        "note": framework.note,
        "standings": {str(one): sum(each.standing is one for each in stands) for one in Standing},
    }


def _control(one: Stands) -> dict[str, Any]:
    return {
        "id": one.control.id,
        "about": one.control.about,
        "standing": str(one.standing),
        "mechanisms": list(one.control.by),
        "gap": one.control.gap,
        "checks": [_check(said) for said in one.checks],
        "evidence": sorted({name for each in one.control.by for name in mechanisms()[each].evidence}),
    }


def _check(one: Noted) -> dict[str, Any]:
    return {
        "check": one.check,
        "status": str(one.status),
        "sentence": one.sentence,
        "facts": dict(one.facts),
        "at": one.at,
        "since": one.since,
    }
