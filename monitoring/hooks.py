"""What PULSE adds to the platform."""

from erip.foundation.hooks import (
    Link,
    Menu,
    Pages,
    Recorded,
    api_urls,
    append_only,
    confidential,
    menu,
    metrics,
    pages,
    process_start,
    recorded,
    unrecorded,
    walled,
)
from monitoring import break_glass, legal_clocks  # noqa: F401  (their duties)
from monitoring.conf import conf
from monitoring.controls import looking  # noqa: F401  (its duty)
from monitoring.error_counters import REGISTRY
from workflows.walls import of_workflow

api_urls("monitoring.urls")
pages(Pages("on-call/", "monitoring.calendars"))
metrics(REGISTRY)
confidential("monitoring_alertchannel")
# The labels are a list of pairs: Note [Spaces of alerts] in `monitoring.spaces`.
walled(
    (
        "monitoring_alert",
        "EXISTS (SELECT FROM jsonb_array_elements(CASE jsonb_typeof(labels) WHEN 'array' THEN labels END) pair"
        f" WHERE pair ->> 0 = 'workflow' AND {of_workflow('(pair ->> 1)')})",
    )
)
# Only what people decide about an alert or an error; the rest the platform notes all the time.
recorded(Recorded("monitoring_alert", only=("acknowledged_at", "acknowledged_by", "note"), verbs=("UPDATE",)))
recorded(
    Recorded(
        "monitoring_errorgroup",
        only=("changed_by", "reason", "resolved_at", "resolved_under", "resolved_release"),
        beside=("state",),
        verbs=("UPDATE",),
    )
)
for table in ("monitoring_component", "monitoring_componentstate", "monitoring_series", "monitoring_frame"):
    unrecorded((table, "measurements"))
for table in ("monitoring_total", "monitoring_errorkey", "monitoring_errorcount", "monitoring_errorcursor"):
    unrecorded((table, "measurements"))
append_only("monitoring_controlresult")
append_only("monitoring_recoveryrecord")
for table in ("monitoring_controlstate", "monitoring_controlresult"):
    unrecorded((table, "what checks said, which is a log itself"))
unrecorded(("monitoring_page", "a log itself: which messages were sent"))
pages(Pages("metrics", "monitoring.api.scrape"))
menu(
    Menu(
        "Alerts",
        (
            Link("Channels", "campaign", "admin:monitoring_alertchannel_changelist", "monitoring.view_alertchannel"),
            Link("Own rules", "rule", "admin:monitoring_alertrule_changelist", "monitoring.view_alertrule"),
            Link("On-call plan", "call", "admin:monitoring_oncallplan_changelist", "monitoring.view_oncallplan"),
            Link(
                "On-call overrides",
                "swap_horiz",
                "admin:monitoring_oncalloverride_changelist",
                "monitoring.view_oncalloverride",
            ),
        ),
        place=40,
    )
)

menu(
    Menu(
        "Work",
        (Link("Errors", "bug_report", "admin:monitoring_errorgroup_changelist", "monitoring.view_errorgroup"),),
        place=11,
    )
)


@process_start
def watch(kind: str) -> None:
    """Every process reports; a leader also looks at the servers, and collects."""
    if not conf().enabled:
        return
    from monitoring import buffering, collecting, grouping, reporting
    from monitoring.watching import watching

    reporting.begin(kind)
    buffering.begin()
    buffering.hear_of_runs()
    if conf().otlp_traces > 0:
        # What nobody uses costs neither memory nor time.
        from monitoring import tracing

        tracing.begin(kind)
    if kind == "web":
        buffering.listen()
    if kind == "leader":
        watching.always()
        collecting.begin()
        grouping.begin()
