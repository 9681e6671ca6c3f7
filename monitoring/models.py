"""PULSE's tables.

- `Component`: one row for each life of a process, written by that process every two seconds. UNLOGGED: it costs no
  write to the log, is empty after a crash of PostgreSQL, and is filled again within seconds.
- `Series` and `Frame`: Note [Frames] in `monitoring.core.frames`.
- `Total`: one row with the sums of all counters.
- `ComponentState`: what was last said of each component, and since when. Written only when that changes.
- `AlertRule`: the rules of this site; the shipped ones are in the code. `Alert`, `Silence`: Note [Alerts] in
  `monitoring.core.alerts`. `Page`: a message to one target, until it was sent and for a while after.
- `ErrorGroup`, `ErrorKey`, `ErrorCount`: Note [Error groups] in `monitoring.core.groups`. `ErrorCursor`: up to where
  the failures that the engine stored have been read: Note [Cursors] in `monitoring.store.error_sources`.
  `AlertChannel`: where messages can be sent. `OnCallPlan`, `OnCallOverride`, `OnCallCalendar`: who is on call, and
  the addresses of calendars that show it.
- `RecoveryRecord`: backups and drills, signed. Rows are only added.

All SQL is in `monitoring.store`.
"""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now


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
    #: migrations that contract, in its files: Note [Contracting] in `erip.foundation.db.phases`
    knows = ArrayField(
        models.TextField(), default=list, db_default=models.Value([], output_field=ArrayField(models.TextField()))
    )

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
        permissions = [
            ("scrape_metrics", "Can scrape GET /metrics"),
            ("view_flower", "Can look at Flower, Celery's monitor"),
        ]

    def __str__(self) -> str:
        return f"{self.tier} s at {self.at}"


class Total(models.Model):
    """One row: what every counter has counted in all, as `GET /metrics` shows it. Note [Totals] in `store.totals`."""

    id = models.PositiveSmallIntegerField(primary_key=True)
    at = models.DateTimeField(help_text="The end of the last tick that was added.")
    values = ArrayField(models.FloatField(null=True), help_text="By the series' places, as in a frame.")

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="total_once")]

    def __str__(self) -> str:
        return f"totals at {self.at}"


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


class AlertRule(models.Model):
    """A rule of this site. One with the name of a shipped rule takes its place."""

    name = models.CharField(max_length=63, primary_key=True)
    #: as `monitoring.core.rules.read_rule` takes it; null: the shipped rule of this name is switched off
    document = models.JSONField(null=True)
    changed_at = models.DateTimeField()
    changed_by = models.CharField(max_length=200)

    class Meta:
        ordering = ["name"]
        permissions = [("backtest_alertrule", "Can try a rule on the past")]

    def __str__(self) -> str:
        return self.name


class Alert(models.Model):
    """One alert from its beginning to its end."""

    rule = models.CharField(max_length=63)
    #: as a list of [name, value], sorted
    labels = models.JSONField()
    serial = models.PositiveIntegerField()
    stage = models.CharField(max_length=8)
    severity = models.CharField(max_length=8)
    summary = models.CharField(max_length=300)
    since = models.DateTimeField()
    held_at = models.DateTimeField()
    fired_at = models.DateTimeField(null=True)
    resolved_at = models.DateTimeField(null=True)
    value = models.FloatField(null=True)
    unknown = models.BooleanField(default=False)
    announced = models.CharField(max_length=8, null=True)
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.CharField(max_length=200, default="", blank=True)
    note = models.CharField(max_length=1000, default="", blank=True)
    #: the message that announced it: alerts of one message are taken on together
    grouped = models.UUIDField(null=True)
    #: rungs of its ladder that were called, when the last one was, and the targets that were called
    rung = models.PositiveSmallIntegerField(db_default=0)
    rung_at = models.DateTimeField(null=True)
    told = ArrayField(models.TextField(), db_default=[])
    #: what it puts at risk, as `monitoring.impact` found it when it began to fire and at each call; and when that was
    impact = models.JSONField(null=True)
    impact_at = models.DateTimeField(null=True)
    #: what may have caused it, as found then: as `monitoring.messages.causes_of` says it
    causes = models.JSONField(null=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["rule", "labels", "serial"], name="alert_once"),
            models.UniqueConstraint(
                fields=["rule", "labels"], condition=~models.Q(stage="resolved"), name="alert_open_once"
            ),
        ]
        indexes = [
            # what the next tick goes by
            models.Index(
                fields=["rule"],
                condition=~models.Q(stage="resolved") | models.Q(announced="firing"),
                name="alert_at_work",
            )
        ]

    def __str__(self) -> str:
        return f"{self.rule} {self.stage}"


class Silence(models.Model):
    """Alerts of which nobody hears for a while."""

    rule = models.CharField(max_length=63, default="", blank=True, help_text="Empty: of any rule.")
    labels = models.JSONField(default=dict)
    reason = models.CharField(max_length=500)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=200)
    ends_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"until {self.ends_at}: {self.reason}"


class AlertChannel(models.Model):
    """Where messages can be sent. Note [Sealed] in `monitoring.sealed`."""

    name = models.CharField(max_length=63, primary_key=True)
    kind = models.CharField(max_length=20)
    #: which messages are sent here by themselves: `all`, `pages` or `none`; on-call ladders send here besides
    hears = models.CharField(max_length=5)
    #: the host of a URL, or an e-mail address: what may be shown
    place = models.CharField(max_length=320)
    sealed = models.TextField()
    changed_at = models.DateTimeField()
    changed_by = models.CharField(max_length=200)

    class Meta:
        ordering = ["name"]
        permissions = [("test_alertchannel", "Can send a test to a channel")]
        verbose_name = "channel"

    def __str__(self) -> str:
        return self.name


class OnCallPlan(models.Model):
    """The one on-call plan of this site, `id` 1, as `monitoring.core.oncall.read_plan` takes it."""

    id = models.PositiveSmallIntegerField(primary_key=True)
    document = models.JSONField()
    changed_at = models.DateTimeField()
    changed_by = models.CharField(max_length=200)

    class Meta:
        verbose_name = "on-call plan"
        permissions = [("share_oncallcalendar", "Can make the address of a calendar of the plan")]
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="on_call_plan_one")]

    def __str__(self) -> str:
        return "on-call plan"


class OnCallOverride(models.Model):
    """Somebody is on call in place of whose turn it is."""

    rotation = models.CharField(max_length=63)
    person = models.CharField(max_length=63)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    reason = models.CharField(max_length=500, default="", blank=True)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=200)

    class Meta:
        ordering = ["-id"]
        verbose_name = "on-call override"
        indexes = [models.Index(fields=["ends_at"], name="on_call_override_ends")]

    def __str__(self) -> str:
        return f"{self.rotation}: {self.person} until {self.ends_at}"


class OnCallCalendar(models.Model):
    """The secret address of a rotation's calendar, as a hash."""

    rotation = models.CharField(max_length=63, primary_key=True)
    digest = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=200)

    class Meta:
        ordering = ["rotation"]

    def __str__(self) -> str:
        return self.rotation


class Page(models.Model):
    """A message to one target."""

    #: the same at every attempt and whoever sends it: receivers know repeats by it
    message = models.UUIDField()
    #: `channel:<name>`, or of the settings: `webhook:<url>`, `mail:<address>` and so on
    target = models.CharField(max_length=2000)
    body = models.JSONField()
    created_at = models.DateTimeField()
    due_at = models.DateTimeField()
    attempts = models.PositiveIntegerField(default=0)
    sent_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=500, default="", blank=True)
    #: it is given up
    failed = models.BooleanField(default=False)

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["message", "target"], name="page_once")]
        indexes = [
            models.Index(fields=["due_at"], condition=models.Q(sent_at=None, failed=False), name="page_due"),
            # how many were sent lately
            models.Index(fields=["created_at"], name="page_created"),
        ]

    def __str__(self) -> str:
        return f"{self.message} to {self.target}"


class ErrorGroup(models.Model):
    """Errors of one kind. A row changes every few seconds while there are any, so no column of it has an index."""

    fingerprint = models.CharField(max_length=32, help_text="Of the kind.")
    source = models.CharField(max_length=12)
    what = models.CharField(max_length=200, help_text="The step's `uses`, the effect on events, or the receiver.")
    code = models.CharField(max_length=200, blank=True)
    type = models.CharField(max_length=200, blank=True)
    title = models.CharField(max_length=300)
    place = models.CharField(max_length=300, blank=True, help_text="The function of the application.")
    #: what made the fingerprint, as a list of [name, value]
    why = models.JSONField()
    traceback = models.TextField(blank=True)
    state = models.CharField(max_length=8, default="open")
    count = models.BigIntegerField()
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()
    first_release = models.CharField(max_length=100)
    last_release = models.CharField(max_length=100)
    first_definition = models.CharField(max_length=80, blank=True, help_text="As `name@version`.")
    last_definition = models.CharField(max_length=80, blank=True, help_text="As `name@version`.")
    #: the newest 20, as `monitoring.core.groups.Link`
    links = models.JSONField()
    changed_at = models.DateTimeField(null=True)
    changed_by = models.CharField(max_length=200, blank=True, default="")
    reason = models.CharField(max_length=1000, blank=True, default="")
    #: the last time, also after it was seen again
    resolved_at = models.DateTimeField(null=True)
    resolved_under = models.CharField(max_length=100, blank=True, default="", help_text="The release that ran then.")
    resolved_release = models.CharField(max_length=100, null=True, help_text="The release that the fix is in.")
    resolved_workflow = models.CharField(max_length=63, null=True)
    resolved_version = models.PositiveIntegerField(null=True, help_text="The version that the fix is in.")
    regression = models.BooleanField(default=False, help_text="Open because it was seen again.")
    regressions = models.PositiveIntegerField(default=0)
    regressed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-last_seen"]
        constraints = [
            models.CheckConstraint(
                name="errorgroup_state", condition=models.Q(state__in=["open", "resolved", "ignored"])
            ),
            models.CheckConstraint(
                name="errorgroup_resolved", condition=~models.Q(state="resolved") | models.Q(resolved_at__isnull=False)
            ),
            models.CheckConstraint(
                name="errorgroup_fix",
                condition=models.Q(resolved_workflow__isnull=True, resolved_version__isnull=True)
                | models.Q(resolved_workflow__isnull=False, resolved_version__gte=1),
            ),
        ]

    def __str__(self) -> str:
        return self.title


class ErrorKey(models.Model):
    """By which an error finds its group: `Kind.fingerprint` and `Kind.other`."""

    key = models.CharField(max_length=32, primary_key=True)
    group = models.ForeignKey(ErrorGroup, models.CASCADE, related_name="keys")

    class Meta:
        ordering = ["key"]

    def __str__(self) -> str:
        return self.key


class ErrorCount(models.Model):
    """How many errors of a group there were in a minute or an hour."""

    pk = models.CompositePrimaryKey("group_id", "tier", "at")
    group = models.ForeignKey(ErrorGroup, models.CASCADE, related_name="counts", db_index=False)
    tier = models.PositiveSmallIntegerField(help_text="Seconds that it covers: 60 or 3600.")
    at = models.DateTimeField(help_text="The beginning of what it covers.")
    count = models.BigIntegerField()

    class Meta:
        ordering = ["at"]
        # what is forgotten
        indexes = [models.Index(fields=["tier", "at"], name="errorcount_age")]

    def __str__(self) -> str:
        return f"{self.count} at {self.at}"


class ErrorCursor(models.Model):
    """Up to where the failures of a source have been read."""

    source = models.CharField(max_length=12, primary_key=True)
    position = models.BigIntegerField()
    #: what may be read next, and the transactions that may still add to it
    bound = models.BigIntegerField()
    writers = ArrayField(models.TextField())
    bounded_at = models.DateTimeField()

    class Meta:
        ordering = ["source"]

    def __str__(self) -> str:
        return f"{self.source} up to {self.position}"


class ControlState(models.Model):
    """What a check of a control said last: Note [Controls] in `monitoring.controls`."""

    check_name = models.CharField(max_length=63, primary_key=True)
    status = models.CharField(max_length=8)
    sentence = models.TextField()
    facts = models.JSONField()
    since = models.DateTimeField(help_text="Since when it has this status.")
    at = models.DateTimeField(help_text="When it was last looked at.")
    noted_at = models.DateTimeField(help_text="When a result was last added to the history.")

    class Meta:
        ordering = ["check_name"]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.check_name}: {self.status}"


class ControlResult(models.Model):
    """The history: a row when the status of a check changed, and one a day. Rows are only added."""

    check_name = models.CharField(max_length=63)
    at = models.DateTimeField()
    status = models.CharField(max_length=8)
    sentence = models.TextField()
    facts = models.JSONField()

    class Meta:
        ordering = ["at"]
        default_permissions = ()
        indexes = [models.Index(fields=["at"], name="controlresult_at")]
        constraints = [
            models.CheckConstraint(
                name="controlresult_status", condition=models.Q(status__in=["holds", "fails", "absent", "unknown"])
            ),
        ]

    def __str__(self) -> str:
        return f"{self.check_name}: {self.status} at {self.at}"


class RecoveryRecord(models.Model):
    """What was backed up, and what came of trying it: Note [Recovery records] in `monitoring.recovery`."""

    kind = models.CharField(max_length=10)
    at = models.DateTimeField(db_default=Now())
    ok = models.BooleanField()
    #: JSON, byte for byte as it was signed
    body = models.TextField()
    signature = models.CharField(max_length=100)

    class Meta:
        ordering = ["-id"]
        default_permissions = ()
        indexes = [models.Index(fields=["kind", "-at"], name="recoveryrecord_newest")]
        constraints = [
            models.CheckConstraint(
                name="recoveryrecord_kind", condition=models.Q(kind__in=["backup", "drill", "switchover"])
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} at {self.at}"
