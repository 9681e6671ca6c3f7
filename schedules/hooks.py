"""What schedules add to the platform."""

from erip.foundation.hooks import (
    Link,
    Menu,
    Recorded,
    api_urls,
    append_only,
    menu,
    recorded,
    shipped,
    unrecorded,
    walled,
)
from schedules import firing, shipping  # noqa: F401  (its duty)
from workflows.walls import of_workflow

api_urls("schedules.urls")
menu(
    Menu(
        "Work",
        (Link("Schedules", "calendar_month", "admin:schedules_schedule_changelist", "schedules.view_schedule"),),
        place=10,
    )
)
append_only("schedules_scheduleversion")
walled(("schedules_scheduleversion", of_workflow("(document ->> 'workflow')")))
for table, schedule, number in (
    ("schedules_schedule", "id", "latest"),
    ("schedules_scheduledstart", "schedule_id", "version"),
):
    version = f"v.schedule_id = {table}.{schedule} AND v.number = {table}.{number}"
    walled((table, f"EXISTS (SELECT FROM schedules_scheduleversion v WHERE {version})"))
recorded(Recorded("schedules_schedule", without=("next_at", "next_start_at", "counted_from")))
unrecorded(("schedules_scheduledstart", "a log itself: what was started when, and why"))
shipped(shipping.SOURCE)
