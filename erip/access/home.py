"""The admin's first page: what the apps show there (`hooks.home_section`), above the list of pages."""

from typing import Any

from django.http import HttpRequest

from erip.foundation.hooks import home_section


def with_sections(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Unfold's DASHBOARD_CALLBACK."""
    return {**context, "home_sections": [section for show in home_section.all() if (section := show(request))]}
