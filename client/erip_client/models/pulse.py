"""How the platform is, and what it measures of itself."""

from datetime import datetime

from .base import Document, Json


class ComponentHealth(Document):
    """state: ok, degraded, down or unknown. age_seconds: since it was seen so; None: it was never seen."""

    component: str
    state: str
    since: datetime | None
    age_seconds: float | None
    sentence: str
    restarted_at: datetime | None
    needs: list[str]
    needed_by: list[str]


class Evidence(Document):
    """at: when it was seen; None: it is no event."""

    sentence: str
    at: datetime | None


class LikelyCause(Document):
    """It began between began_after and began_by. ongoing: it lasts. weight: orders causes, and is no probability."""

    component: str
    members: list[str]
    began_after: datetime
    began_by: datetime
    ongoing: bool
    explains: list[str]
    weight: float
    sentence: str
    evidence: list[Evidence]


class PlatformHealth(Document):
    """state: that of the worst component; `unknown` is never `ok`. cause: the component that explains most of it.

    causes: of what is not well, or was not within two minutes; the likeliest first.
    """

    state: str
    sentence: str
    cause: str | None
    causes: list[LikelyCause]
    components: list[ComponentHealth]


class Anomaly(Document):
    """What is said of one series now. state: unusual, usual, not_enough_data or unknown; the last two are not `usual`.

    value, median, mad: None: unknown. deviations: of the value from the median, in robust standard deviations.
    """

    name: str
    metric: str
    where: dict[str, str]
    value: float | None
    median: float | None
    mad: float | None
    deviations: float | None
    weeks: int
    state: str
    sentence: str


class AnomalyMark(Document):
    """An hour that was unusual."""

    name: str
    metric: str
    where: dict[str, str]
    value: float | None
    median: float | None
    mad: float | None
    deviations: float | None
    weeks: int
    since: datetime
    until: datetime


class Anomalies(Document):
    """items: the most unusual first. marks: unusual hours, in the order of time."""

    at: datetime
    items: list[Anomaly]
    marks: list[AnomalyMark]


class MetricName(Document):
    metric: str
    rate: bool
    labels: list[str]
    series: int


class MetricLine(Document):
    """points: [seconds since the epoch, mean, lowest, highest]. What is not known is left out, and is not 0."""

    labels: dict[str, str]
    points: list[list[Json]]


class MetricAnswer(Document):
    """rate: the values are rates per second. step: seconds. tier: seconds of each frame that was read."""

    metric: str
    rate: bool
    since: datetime
    until: datetime
    step: int
    tier: int
    lines: list[MetricLine]


class ControlCheck(Document):
    """What a live check said last. status: holds, fails, absent or unknown; the last two are not `holds`."""

    check: str
    status: str
    sentence: str
    facts: dict[str, Json]
    at: datetime
    since: datetime | None


class FrameworkShort(Document):
    """standings: how many of its controls stand how."""

    name: str
    title: str
    link: str
    note: str
    standings: dict[str, int]


class ControlList(Document):
    frameworks: list[FrameworkShort]
    checks: list[ControlCheck]


class ControlOne(Document):
    """standing: the worst of its checks; `described` without any, `not_covered` without a mechanism."""

    id: str
    about: str
    standing: str
    mechanisms: list[str]
    gap: str
    checks: list[ControlCheck]
    evidence: list[str]


class MechanismOne(Document):
    name: str
    does: str
    documentation: str
    checks: list[str]


class FrameworkDetail(FrameworkShort):
    controls: list[ControlOne]
    mechanisms: list[MechanismOne]
