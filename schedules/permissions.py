"""What may be done with schedules, and the built-in roles that may do it."""

from erip.access.catalog import AUTHORS, OPERATORS, VIEWERS, permission
from schedules import spaces  # noqa: F401  (registers what belongs to a space)

permission("schedules.view_schedule", "see schedules, and when they start runs", VIEWERS)
permission("schedules.view_scheduledstart", "see what schedules started", VIEWERS)
permission("schedules.change_schedule", "pause, resume and trigger schedules, and start what was missed", OPERATORS)
permission("schedules.add_scheduleversion", "change and remove schedules", AUTHORS)
