"""Mounted at /reports/ by the project."""

from django.urls import path

from workflows.library.views import shared_report

urlpatterns = [
    path("<str:token>.md", shared_report, {"form": "markdown"}, name="shared-report-markdown"),
    path("<str:token>", shared_report, name="shared-report"),
]
