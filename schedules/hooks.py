"""What schedules add to the platform."""

from erip.foundation.hooks import Link, Menu, api_urls, append_only, menu, shipped
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
shipped(shipping.SOURCE)
