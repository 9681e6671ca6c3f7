"""PULSE's addresses under /api/v1."""

from django.urls import path

from monitoring.api.health import HealthView
from monitoring.api.metrics import MetricQuery, Metrics

urlpatterns = [
    path("health", HealthView.as_view()),
    path("metrics", Metrics.as_view()),
    path("metrics/query", MetricQuery.as_view()),
]
