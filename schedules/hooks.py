"""What schedules add to the platform."""

from erip.foundation.hooks import Link, Menu, Recorded, api_urls, append_only, menu, recorded, shipped, unrecorded
from schedules import firing, shipping  # noqa: F401  (its duty)

api_urls("schedules.urls")
menu(
    Menu(
        "Work",
        (Link("Schedules", "calendar_month", "admin:schedules_schedule_changelist", "schedules.view_schedule"),),
        place=10,
    )
)
append_only("schedules_scheduleversion")
recorded(Recorded("schedules_schedule", without=("next_at", "next_start_at", "counted_from")))
unrecorded(("schedules_scheduledstart", "a log itself: what was started when, and why"))
shipped(shipping.SOURCE)
