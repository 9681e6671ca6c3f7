"""GET /api/v1/anomalies: what is unusual for this hour of the week."""

from datetime import UTC, datetime
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from erip.access.scopes import Scope
from erip.foundation.http.fields import StrictSerializer
from erip.foundation.http.reading import read_query
from monitoring import anomalies
from monitoring.api.fields import Span
from monitoring.api.metrics import Answers
from monitoring.core.anomalies import HOUR, Finding, Judgement, Named
from monitoring.store import work
from workflows.api.schema import operation

#: seconds of hours that one answer marks
_MOST, _USUAL = 14 * 86_400, 86_400


class AnomalyQuery(StrictSerializer):
    range = Span(
        least=HOUR,
        most=_MOST,
        required=False,
        help_text="How far back unusual hours are marked: `6h`, up to `14d`; without it, a day.",
    )


class _Judged(serializers.Serializer[Any]):
    name = serializers.CharField()
    metric = serializers.CharField()
    where = serializers.DictField(child=serializers.CharField(), help_text="Labels; other series are added up.")
    value = serializers.FloatField(allow_null=True, help_text="null: unknown.")
    median = serializers.FloatField(allow_null=True, help_text="Of this hour in the weeks before.")
    mad = serializers.FloatField(allow_null=True, help_text="Median of their distances from the median.")
    deviations = serializers.FloatField(
        allow_null=True, help_text="How far the value is from the median, in robust standard deviations."
    )
    weeks = serializers.IntegerField(help_text="Weeks that are known, of twelve.")


class Anomaly(_Judged):
    state = serializers.ChoiceField(
        choices=[str(one) for one in Finding],
        help_text="`not_enough_data`: less than four weeks are known. Neither this nor `unknown` means usual.",
    )
    sentence = serializers.CharField()


class AnomalyMark(_Judged):
    since = serializers.DateTimeField()
    until = serializers.DateTimeField()


class Anomalies(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    items = Anomaly(many=True)
    marks = AnomalyMark(many=True, help_text="Hours of the range that were unusual, in the order of time.")


class AnomaliesView(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["monitoring.view_frame"],
        tag="monitoring",
        id="listAnomalies",
        summary="See what is unusual for this hour of the week",
        description=(
            "Compares the last ten minutes of at most 30 series with the same hour (UTC) of the twelve weeks before, "
            "by median and MAD; the most unusual first. Nobody is woken by it."
        ),
        parameters=[AnomalyQuery],
        answers={200: Anomalies},
    )
    def get(self, request: Request) -> Response:
        back = read_query(request, AnomalyQuery).get("range", _USUAL)
        return Response(_answers.get(back, lambda: document(back)))


_answers = Answers()


def forget() -> None:
    """For tests: know nothing of what was read before."""
    _answers.forget()


def document(back: int = _USUAL) -> dict[str, Any]:
    """What the address answers. back: seconds. Raises django.db.Error."""
    now = work.clock().timestamp()
    listed, marks = anomalies.look(now, back=int(back) // HOUR)
    return {
        "at": _moment(now),
        "items": [
            {
                **_judged(one.named, one.judgement),
                "state": str(one.judgement.finding),
                "sentence": anomalies.sentence(one),
            }
            for one in listed
        ],
        "marks": [
            {
                **_judged(mark.named, mark.judgement),
                "since": _moment(mark.until - HOUR),
                "until": _moment(mark.until),
            }
            for mark in marks
        ],
    }


def _judged(named: Named, found: Judgement) -> dict[str, Any]:
    return {
        "name": named.name,
        "metric": named.metric,
        "where": dict(named.where),
        "value": found.value,
        "median": found.median,
        "mad": found.mad,
        "deviations": None if found.deviations is None else round(found.deviations, 2),
        "weeks": found.weeks,
    }


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
