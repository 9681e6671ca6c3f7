"""PULSE's tables.

- `Component`: one row for each life of a process, written by that process every two seconds. UNLOGGED: it costs no
  write to the log, is empty after a crash of PostgreSQL, and is filled again within seconds.
- `Series` and `Frame`: Note [Frames] in `monitoring.core.frames`.
- `ComponentState`: what was last said of each component, and since when. Written only when that changes.

All SQL is in `monitoring.store`.
"""

from django.contrib.postgres.fields import ArrayField
from django.db import models


class Component(models.Model):
    """One life of a process of the platform, as it reports itself."""

    life = models.UUIDField(primary_key=True)
    kind = models.CharField(max_length=20)
    host = models.CharField(max_length=200)
    pid = models.PositiveIntegerField()
    started_at = models.DateTimeField()
    #: by the database's clock
    seen_at = models.DateTimeField()
    #: it ended in good order
    stopped_at = models.DateTimeField(null=True)
    #: names of series, as Prometheus writes them; counters begin with "+", gauges with "="
    series = ArrayField(models.TextField())
    #: the value of each
    values = ArrayField(models.FloatField())
    #: what its probes saw (`monitoring.core.components.Observation`); null: it has none
    observed = models.JSONField(null=True)

    class Meta:
        ordering = ["kind", "host", "pid"]

    def __str__(self) -> str:
        return f"{self.kind} {self.host} {self.pid}"


class Series(models.Model):
    """A place in the arrays of the frames."""

    #: the index in the arrays, from 1
    id = models.PositiveSmallIntegerField(primary_key=True)
    metric = models.CharField(max_length=200)
    labels = models.JSONField()
    #: whether it is a counter, kept as its rate per second
    rate = models.BooleanField()

    class Meta:
        ordering = ["id"]
        verbose_name_plural = "series"
        constraints = [models.UniqueConstraint(fields=["metric", "labels"], name="series_once")]

    def __str__(self) -> str:
        return f"{self.metric} {self.labels}"


class Frame(models.Model):
    """The values of all series over one tick. Migration 0001 makes the table by hand."""

    pk = models.CompositePrimaryKey("tier", "at")
    tier = models.PositiveSmallIntegerField(help_text="Seconds that it covers.")
    at = models.DateTimeField(help_text="The end of what it covers, a multiple of `tier`.")
    mean = ArrayField(models.FloatField(null=True))
    low = ArrayField(models.FloatField(null=True), null=True)
    high = ArrayField(models.FloatField(null=True), null=True)
    last = ArrayField(models.FloatField(null=True), null=True)

    class Meta:
        ordering = ["tier", "at"]

    def __str__(self) -> str:
        return f"{self.tier} s at {self.at}"


class ComponentState(models.Model):
    """What was last said of a component."""

    component = models.CharField(max_length=20, primary_key=True)
    state = models.CharField(max_length=10)
    since = models.DateTimeField()
    sentence = models.TextField()
    identity = models.TextField(default="", blank=True, help_text="Changes when the thing observed was started anew.")
    #: when the identity changed last: a component that restarts quickly is never seen down
    changed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["component"]

    def __str__(self) -> str:
        return f"{self.component} {self.state}"
