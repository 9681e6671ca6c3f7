"""Django's handle on the event bus."""

from django.apps import AppConfig


class EventsConfig(AppConfig):
    name = "workflows.events"
    label = "events"
    verbose_name = "Events"
    default_auto_field = "django.db.models.BigAutoField"
