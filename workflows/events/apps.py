"""Django's handle on the event bus."""

from django.apps import AppConfig


class EventsConfig(AppConfig):
    name = "workflows.events"
    label = "events"
    verbose_name = "Events"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from workflows.events import checks, forgetting, interest, janitor, sweeping, types  # noqa: F401
