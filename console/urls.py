"""Mounted at /console/ by the project."""

from django.urls import path

from console.assets import asset
from console.pages import choose_theme
from console.views import (
    alerts,
    approvals,
    by_link,
    capacity,
    clocks,
    controls,
    decisions,
    errors,
    health,
    home,
    metrics,
)

app_name = "console"
urlpatterns = [
    path("", home.home, name="home"),
    path("health", health.health, name="health"),
    path("controls", controls.controls, name="controls"),
    path("metrics", metrics.metrics, name="metrics"),
    path("capacity", capacity.capacity, name="capacity"),
    path("alerts", alerts.alerts, name="alerts"),
    path("alerts/rules", alerts.rules, name="rules"),
    path("alerts/silence", alerts.new_silence, name="new-silence"),
    path("alerts/silences", alerts.silence, name="silence"),
    path("alerts/silences/<alert_number:number>/end", alerts.end_silence, name="end-silence"),
    path("alerts/<alert_number:number>", alerts.alert, name="alert"),
    path("alerts/<alert_number:number>/acknowledge", alerts.acknowledge, name="acknowledge"),
    path("errors", errors.errors, name="errors"),
    path("errors/<alert_number:number>", errors.error, name="error"),
    path("errors/<alert_number:number>/resolve", errors.resolve, name="resolve-error"),
    path("errors/<alert_number:number>/ignore", errors.ignore, name="ignore-error"),
    path("errors/<alert_number:number>/reopen", errors.reopen, name="reopen-error"),
    path("approvals", approvals.approvals, name="approvals"),
    path("approvals/by-link", by_link.by_link, name="by-link"),
    path("approvals/<approval:number>", approvals.approval, name="approval"),
    path("approvals/<approval:number>/vote", approvals.vote, name="vote"),
    path("approvals/<approval:number>/ask", approvals.ask, name="ask"),
    path("approvals/<approval:number>/claim", approvals.claim, name="claim"),
    path("decisions", decisions.decisions, name="decisions"),
    path("new-decision", decisions.new_decision, name="new-decision"),
    path("decisions/<decision:name>", decisions.decision, name="decision"),
    path("decisions/<decision:name>/edit", decisions.edit_decision, name="edit-decision"),
    path("decisions/<decision:name>/try", decisions.try_decision, name="try-decision"),
    path("decisions/<decision:name>/draft", decisions.draft_decision, name="draft-decision"),
    path("decisions/<decision:name>/publish", decisions.publish_decision, name="publish-decision"),
    path("clocks", clocks.clocks, name="clocks"),
    path("clocks/<clock:number>", clocks.clock, name="clock"),
    path("clocks/<clock:number>/file", clocks.file, name="file-clock"),
    path("clocks/<clock:number>/stop", clocks.stop, name="stop-clock"),
    path("clocks/<clock:number>/extend", clocks.extend, name="extend-clock"),
    path("clocks/<clock:number>/dismiss", clocks.dismiss, name="dismiss-clock"),
    path("theme", choose_theme, name="theme"),
    path("assets/<str:digest>/<str:name>", asset, name="asset"),
]
