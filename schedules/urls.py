"""The addresses of schedules under /api/v1."""

from django.urls import path, register_converter

from schedules.api.shapes import SCHEDULE
from schedules.api.views import (
    ScheduleBackfill,
    ScheduleOne,
    SchedulePause,
    SchedulePreview,
    ScheduleResume,
    Schedules,
    SchedulesPreview,
    ScheduleStarts,
    ScheduleTrigger,
)


class ScheduleName:
    """A schedule's name in an address."""

    regex = SCHEDULE

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(ScheduleName, "schedule")

urlpatterns = [
    path("schedules", Schedules.as_view()),
    path("schedule-previews", SchedulesPreview.as_view()),
    path("schedules/<schedule:name>", ScheduleOne.as_view()),
    path("schedules/<schedule:name>/preview", SchedulePreview.as_view()),
    path("schedules/<schedule:name>/starts", ScheduleStarts.as_view()),
    path("schedules/<schedule:name>/pause", SchedulePause.as_view()),
    path("schedules/<schedule:name>/resume", ScheduleResume.as_view()),
    path("schedules/<schedule:name>/trigger", ScheduleTrigger.as_view()),
    path("schedules/<schedule:name>/backfill", ScheduleBackfill.as_view()),
]
