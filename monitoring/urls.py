"""PULSE's addresses under /api/v1."""

from django.urls import path, register_converter
from django.urls.converters import IntConverter, StringConverter

from monitoring.api.alerts import (
    AlertAcknowledgement,
    AlertRuleOne,
    AlertRules,
    Alerts,
    RuleBacktest,
    SilenceOne,
    Silences,
)
from monitoring.api.anomalies import AnomaliesView
from monitoring.api.channels import ChannelOne, Channels, ChannelTest
from monitoring.api.controls import Controls, FrameworkOne
from monitoring.api.errors import ErrorGroupOne, ErrorGroups, ErrorIgnoring, ErrorReopening, ErrorResolution
from monitoring.api.health import HealthView
from monitoring.api.metrics import MetricQuery, Metrics
from monitoring.api.oncall import OnCall, OverrideOne, Overrides, Rotation, RotationCalendar
from monitoring.core.rules import NAME


class AlertNumber(IntConverter):
    regex = "[0-9]{1,18}"


class RuleName(StringConverter):
    regex = NAME


register_converter(AlertNumber, "alert_number")
register_converter(RuleName, "alert_rule")
register_converter(RuleName, "alert_channel")
register_converter(RuleName, "rotation")
register_converter(RuleName, "framework")

urlpatterns = [
    path("anomalies", AnomaliesView.as_view()),
    path("health", HealthView.as_view()),
    path("metrics", Metrics.as_view()),
    path("metrics/query", MetricQuery.as_view()),
    path("controls", Controls.as_view()),
    path("controls/<framework:name>", FrameworkOne.as_view()),
    path("alerts", Alerts.as_view()),
    path("alerts/silences", Silences.as_view()),
    path("alerts/silences/<alert_number:id>", SilenceOne.as_view()),
    path("alerts/channels", Channels.as_view()),
    path("alerts/channels/<alert_channel:name>", ChannelOne.as_view()),
    path("alerts/channels/<alert_channel:name>/test", ChannelTest.as_view()),
    path("alerts/on-call", OnCall.as_view()),
    path("alerts/on-call/overrides", Overrides.as_view()),
    path("alerts/on-call/overrides/<alert_number:id>", OverrideOne.as_view()),
    path("alerts/on-call/rotations/<rotation:name>", Rotation.as_view()),
    path("alerts/on-call/rotations/<rotation:name>/calendar", RotationCalendar.as_view()),
    path("alerts/rules", AlertRules.as_view()),
    path("alerts/rules/<alert_rule:name>", AlertRuleOne.as_view()),
    path("alerts/rules/<alert_rule:name>/backtest", RuleBacktest.as_view()),
    path("alerts/<alert_number:id>/acknowledge", AlertAcknowledgement.as_view()),
    path("errors", ErrorGroups.as_view()),
    path("errors/<alert_number:id>", ErrorGroupOne.as_view()),
    path("errors/<alert_number:id>/resolve", ErrorResolution.as_view()),
    path("errors/<alert_number:id>/ignore", ErrorIgnoring.as_view()),
    path("errors/<alert_number:id>/reopen", ErrorReopening.as_view()),
]
