"""The addresses of legal clocks under /api/v1."""

from django.urls import path, register_converter

from workflows.clocks.views import (
    ClockAmend,
    ClockDismiss,
    ClockFacts,
    ClockFile,
    ClockResume,
    ClockStop,
    OpenClocks,
    Reassessments,
    RunClocks,
)


class ClockId:
    """A clock's id in an address: what fits into the column."""

    regex = "[0-9]{1,18}"

    def to_python(self, value: str) -> int:
        return int(value)

    def to_url(self, value: int) -> str:
        return str(value)


register_converter(ClockId, "clock")

_ONE = "runs/<uuid:id>/clocks/<clock:clock>"

urlpatterns = [
    path("clocks", OpenClocks.as_view()),
    path("clocks/reassessments", Reassessments.as_view()),
    path("runs/<uuid:id>/clocks", RunClocks.as_view()),
    path("runs/<uuid:id>/clocks/facts", ClockFacts.as_view()),
    path(f"{_ONE}/stop", ClockStop.as_view()),
    path(f"{_ONE}/resume", ClockResume.as_view()),
    path(f"{_ONE}/amend", ClockAmend.as_view()),
    path(f"{_ONE}/file", ClockFile.as_view()),
    path(f"{_ONE}/dismiss", ClockDismiss.as_view()),
]
