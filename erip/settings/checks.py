"""Settings that a module of one's own sets itself, past the environment: they are held to the same bounds and rules."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from .declared import DECLARED, refused


@register()
def settings_fit(**_: Any) -> list[CheckMessage]:
    """settings.E001: a setting is out of its bounds, or does not fit together with another."""
    have = {name: getattr(settings, name) for name in DECLARED if hasattr(settings, name)}
    return [Error(f"{name} {what}.", id="settings.E001") for name, what in refused(have)]
