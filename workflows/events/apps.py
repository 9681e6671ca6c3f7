"""Django's handle on the event bus."""

from django.apps import AppConfig


class EventsConfig(AppConfig):
    name = "workflows.events"
    label = "events"
    verbose_name = "Events"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from erip.access.origins import reserve
        from workflows.core.lifecycle import OWN_SOURCES, OWN_TYPES
        from workflows.events import checks, forgetting, interest, janitor, sweeping, types  # noqa: F401

        reserve(segment=OWN_SOURCES.strip("/"), types=OWN_TYPES)
