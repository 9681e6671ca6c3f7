"""How the platform is, the measurements that it keeps of itself, and how controls of frameworks stand."""

from datetime import datetime

from erip_client.models import (
    Anomalies,
    ControlList,
    FrameworkDetail,
    Listing,
    MetricAnswer,
    MetricName,
    PlatformHealth,
)

from .base import Call, given, moment


def read_health() -> Call[PlatformHealth]:
    """The state of every component, and the cause of the trouble in one sentence."""
    return Call(operation="readHealth", method="GET", template="/api/v1/health", answers={200: PlatformHealth})


def list_anomalies(*, range: str | None = None) -> Call[Anomalies]:
    """What is unusual for this hour of the week. range: how far back unusual hours are marked, such as `6h`."""
    return Call(
        operation="listAnomalies",
        method="GET",
        template="/api/v1/anomalies",
        query=given(range=range),
        answers={200: Anomalies},
    )


def list_metrics() -> Call[Listing[MetricName]]:
    """The measurements that there are."""
    return Call(operation="listMetrics", method="GET", template="/api/v1/metrics", answers={200: Listing[MetricName]})


def query_metric(
    metric: str,
    *,
    range: str | None = None,
    step: str | None = None,
    end: datetime | str | None = None,
    by: str | None = None,
    combine: str | None = None,
) -> Call[MetricAnswer]:
    """A measurement over time. range, step: durations such as `1h`. by: labels. combine: `sum` or `mean`."""
    return Call(
        operation="queryMetric",
        method="GET",
        template="/api/v1/metrics/query",
        query=given(metric=metric, range=range, step=step, end=moment(end), by=by, combine=combine),
        answers={200: MetricAnswer},
    )


def list_controls() -> Call[ControlList]:
    """How the controls of each framework stand, and what every live check said last."""
    return Call(operation="listControls", method="GET", template="/api/v1/controls", answers={200: ControlList})


def get_framework(name: str) -> Call[FrameworkDetail]:
    """Every control of a framework, such as `soc2`."""
    return Call(
        operation="getFramework",
        method="GET",
        template="/api/v1/controls/{name}",
        path={"name": name},
        answers={200: FrameworkDetail},
    )
