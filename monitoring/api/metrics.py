"""GET /api/v1/metrics: which series there are. GET /api/v1/metrics/query: a metric over time."""

import threading
import time
from collections.abc import Callable, Hashable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from functools import partial
from typing import Any

from cachetools import LRUCache
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from erip.access.scopes import Scope
from erip.foundation.faults import Fault
from erip.foundation.http.fields import Choice, Moment, StrictSerializer, Text
from erip.foundation.http.problems import BadRequest
from erip.foundation.http.reading import read_query
from erip.foundation.moments import later
from monitoring import store
from monitoring.api.fields import Span
from monitoring.core.frames import TICK, TIERS, Reading, TooMuch, plan
from monitoring.store import Known, work
from workflows.api.schema import operation

#: days of the coarsest tier; labels that one query groups by
_MOST_RANGE, _MOST_LABELS = TIERS[-1].kept, 5
#: points of answers that one process keeps: about 10 MB. Seconds after its tick within which a frame is written
_KEPT_POINTS, _WRITTEN_WITHIN = 50_000, 3.0
_DETAIL = "The query is not what this address takes."


class MetricsQuery(StrictSerializer):
    metric = Text(max_length=200, help_text="The name of a metric, as `GET /metrics` lists it.")
    by = Text(
        required=False,
        max_length=200,
        help_text="Names of labels, separated by commas: one line for each of their values; without it, one in all.",
    )
    range = Span(
        least=60,
        most=_MOST_RANGE,
        required=False,
        help_text="How far back: `15m`, `6h`, `14d`, up to `400d`; without it, an hour.",
    )
    step = Span(
        least=TICK,
        most=_MOST_RANGE,
        required=False,
        help_text="Time between two points, at most 1,000 of them; without it, about 200 points.",
    )
    end = Moment(required=False, help_text="Where the range ends; without it, now.")
    combine = Choice(
        ["sum", "mean"],
        default="sum",
        help_text="What is done with the series of one line; `mean` for shares and ages.",
    )


class MetricLine(serializers.Serializer[Any]):
    labels = serializers.DictField(child=serializers.CharField(), help_text="The values of the labels in `by`.")
    points = serializers.ListField(
        child=serializers.ListField(),
        help_text="`[seconds since the epoch, mean, lowest, highest]`, each over the step that ends there. A point "
        "without a value is left out: nothing is known of it, and it is not 0.",
    )


class MetricAnswer(serializers.Serializer[Any]):
    metric = serializers.CharField()
    rate = serializers.BooleanField(help_text="Whether the values are rates per second, of a counter.")
    since = serializers.DateTimeField()
    until = serializers.DateTimeField()
    step = serializers.IntegerField(help_text="Seconds between two points.")
    tier = serializers.IntegerField(help_text="Seconds that each of the frames covers which were read.")
    lines = MetricLine(many=True)


class MetricName(serializers.Serializer[Any]):
    metric = serializers.CharField()
    rate = serializers.BooleanField()
    labels = serializers.ListField(child=serializers.CharField(), help_text="Names of its labels, for `by`.")
    series = serializers.IntegerField(help_text="How many series it has.")


class MetricNames(serializers.Serializer[Any]):
    items = MetricName(many=True)


class Metrics(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["monitoring.view_frame"],
        tag="monitoring",
        id="listMetrics",
        summary="List the metrics that are kept",
        description="At most 2,000 series; a metric has 100 of them at most, and what is beyond that is `other`.",
        answers={200: MetricNames},
    )
    def get(self, request: Request) -> Response:
        found: dict[str, dict[str, Any]] = {}
        for one in store.read_series():
            row = found.setdefault(
                one.series.metric, {"metric": one.series.metric, "rate": one.rate, "labels": set(), "series": 0}
            )
            row["labels"].update(name for name, _ in one.series.labels)
            row["series"] += 1
        items = [{**row, "labels": sorted(row["labels"])} for _, row in sorted(found.items())]
        return Response({"items": items})


class MetricQuery(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["monitoring.view_frame"],
        tag="monitoring",
        id="queryMetric",
        summary="Read a metric over time",
        description=(
            "Counters are answered as rates per second. Frames are kept every 10 s for a day, every minute for 14 days "
            "and every hour for 400 days; the finest that still hold all of the range are read. One query reads "
            "a bounded number of them."
        ),
        parameters=[MetricsQuery],
        answers={200: MetricAnswer},
    )
    def get(self, request: Request) -> Response:
        query = read_query(request, MetricsQuery)
        query.setdefault("range", 3_600)
        if "end" in query:
            return Response(_answer(query))
        return Response(_answers.get(tuple(sorted(query.items())), partial(_answer, query)))


class Answers:
    """Answers about the time until now, for all callers of this process: there is nothing newer before the next frame.

    Of callers who ask the same at once, one reads and the others wait for it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # The size of an answer is the number of its points.
        self._known: LRUCache[Hashable, tuple[float, dict[str, Any]]] = LRUCache(_KEPT_POINTS, getsizeof=_size)
        self._reading: dict[Hashable, threading.Lock] = {}

    def get(self, question: Hashable, read: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What is known, or what `read` returns. An exception of `read` goes to its caller, and nothing is kept."""
        if (found := self._look(question)) is not None:
            return found
        with self._lock:
            turn = self._reading.setdefault(question, threading.Lock())
        try:
            with turn:
                if (found := self._look(question)) is not None:
                    return found
                answer = read()
                with self._lock, suppress(ValueError):  # one that is too large is not kept
                    self._known[question] = (time.time(), answer)
                return answer
        finally:
            with self._lock:
                self._reading.pop(question, None)

    def _look(self, question: Hashable) -> dict[str, Any] | None:
        with self._lock:
            at, answer = self._known.get(question, (0.0, None))
        return answer if at >= _last_frame(time.time()) else None

    def forget(self) -> None:
        """For tests: know nothing of what was read before."""
        with self._lock:
            self._known.clear()


def _last_frame(now: float) -> float:
    """When the newest frame was there at the latest: each is written within LATER seconds after its tick."""
    return (now - _WRITTEN_WITHIN) // TICK * TICK + _WRITTEN_WITHIN


def _size(kept: tuple[float, dict[str, Any]]) -> int:
    return 10 + sum(len(line.get("points", ())) for line in kept[1].get("lines", ()))


_answers = Answers()


def forget() -> None:
    """For tests: know nothing of what was read before."""
    _answers.forget()


def _answer(query: dict[str, Any]) -> dict[str, Any]:
    """Raises BadRequest with every fault."""
    known = store.read_series(query["metric"])
    by = [name.strip() for name in query.get("by", "").split(",") if name.strip()]
    reading = _checked(query, known, by)
    until: datetime = query.get("end") or work.clock()
    since = later(until, -timedelta(seconds=query["range"]))
    lines: dict[tuple[str, ...], list[int]] = {}
    for one in known:
        labels = dict(one.series.labels)
        lines.setdefault(tuple(labels.get(name, "") for name in by), []).append(one.id)
    points = store.read_points(
        dict(enumerate(lines.values())), reading, since=since, until=until, add_up=query["combine"] == "sum"
    )
    return {
        "metric": query["metric"],
        "rate": known[0].rate,
        "since": since,
        "until": until,
        "step": reading.step,
        "tier": reading.tier.seconds,
        "lines": [
            {"labels": dict(zip(by, values, strict=True)), "points": points[number]}
            for number, values in enumerate(lines)
        ],
    }


def _checked(query: dict[str, Any], known: list[Known], by: list[str]) -> Reading:
    """How the query is read. Raises BadRequest with every fault."""
    faults: list[Fault] = []
    if not known:
        names = {one.series.metric for one in store.read_series()}
        near = get_close_matches(query["metric"], names, 3, 0.6)
        hint = f"; similar: {', '.join(near)}" if near else "; GET /api/v1/metrics lists those that are"
        faults.append(Fault("metric", f"is not kept{hint}"))
    else:
        labels = {name for one in known for name, _ in one.series.labels}
        for name in by:
            if name not in labels:
                here = f"it has {', '.join(sorted(labels))}" if labels else "it has none"
                faults.append(Fault("by", f'"{name[:50]}" is no label of this metric; {here}'))
    if len(by) > _MOST_LABELS:
        faults.append(Fault("by", f"has more than {_MOST_LABELS} labels"))
    reading = None
    try:
        ago = max(0, int((work.clock() - query["end"]).total_seconds())) if "end" in query else 0
        reading = plan(span=query["range"], step=query.get("step"), series=max(1, len(known)), ago=ago)
    except TooMuch as error:
        faults.append(Fault("step" if "step" in query else "range", str(error)))
    if query.get("end") is not None and query["end"] > datetime.now(UTC) + timedelta(days=1):
        faults.append(Fault("end", "is more than a day ahead"))
    if faults or reading is None:
        raise BadRequest(sorted(faults), _DETAIL)
    return reading
