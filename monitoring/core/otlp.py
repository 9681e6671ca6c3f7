"""The families that `GET /metrics` shows, as OTLP (OpenTelemetry's protocol) takes them.

Source: opentelemetry-proto 1.x, `ExportMetricsServiceRequest`, in its JSON form: numbers of 64 bits are texts, and
enumerations are numbers. Names are those of Prometheus, except where OpenTelemetry's semantic conventions have one.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from prometheus_client import Metric

from monitoring.core.series import LE

#: AGGREGATION_TEMPORALITY_CUMULATIVE
_CUMULATIVE = 2
#: UCUM's names of units
_UNITS = {"seconds": "s", "bytes": "By"}
_REQUESTS = "erip_http_request_seconds"
#: https://opentelemetry.io/docs/specs/semconv/http/http-metrics/
_REQUEST_DURATION = "http.server.request.duration"


def document(families: Iterable[Metric], *, at: float, version: str) -> dict[str, Any]:
    """One request. at: when the values were so, in seconds since the epoch.

    Nobody knows when the counting began, so there is no start time (the protocol allows that).
    """
    return {
        "resourceMetrics": [
            {
                "resource": {"attributes": _attributes({"service.name": "erip", "service.version": version})},
                "scopeMetrics": [
                    {
                        "scope": {"name": "erip.pulse"},
                        "metrics": [_metric(one, f"{round(at * 1_000)}000000") for one in families],
                    }
                ],
            }
        ]
    }


def _metric(family: Metric, at: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": _REQUEST_DURATION if family.name == _REQUESTS else family.name,
        "description": family.documentation,
        "unit": _UNITS.get(family.unit, ""),
    }
    if family.type == "histogram":
        found["histogram"] = {"aggregationTemporality": _CUMULATIVE, "dataPoints": _histograms(family, at)}
        return found
    points = [
        {"attributes": _attributes(one.labels), "timeUnixNano": at, "asDouble": float(one.value)}
        for one in family.samples
    ]
    if family.type == "counter":
        found["sum"] = {"aggregationTemporality": _CUMULATIVE, "isMonotonic": True, "dataPoints": points}
    else:
        found["gauge"] = {"dataPoints": points}
    return found


def _histograms(family: Metric, at: str) -> list[dict[str, Any]]:
    """Each bucket alone, in place of all up to its bound."""
    parts: dict[tuple[tuple[str, str], ...], dict[str, float]] = {}
    for one in family.samples:
        key = tuple(sorted((name, value) for name, value in one.labels.items() if name != LE))
        parts.setdefault(key, {})[one.labels.get(LE) or one.name.removeprefix(family.name)] = one.value
    found = []
    for labels, values in parts.items():
        bounds = [bound for bound in values if not bound.startswith("_")]
        before, counts = 0, []
        for bound in bounds:
            # Of whole numbers the differences are whole, too.
            so_far = round(values[bound])
            counts.append(str(so_far - before))
            before = so_far
        found.append(
            {
                "attributes": _attributes(_request(dict(labels)) if family.name == _REQUESTS else dict(labels)),
                "timeUnixNano": at,
                "count": str(before),
                "sum": float(values["_sum"]),
                "bucketCounts": counts,
                "explicitBounds": [float(bound) for bound in bounds[:-1]],
            }
        )
    return found


def _request(labels: dict[str, str]) -> dict[str, str]:
    """`GET /api/v1/runs` is two attributes there."""
    method, _, route = labels.pop("route", "").partition(" ")
    return {**labels, **({"http.request.method": method, "http.route": route} if route else {"http.route": method})}


def _attributes(labels: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"key": name, "value": {"stringValue": value}} for name, value in labels.items()]
