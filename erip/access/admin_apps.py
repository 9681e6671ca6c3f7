"""The admin as apps of Django whose pages are loaded where somebody looks at them.

Note [Pages of the admin]
Django loads the `admin` module of every app in every process, and Unfold makes its site there. Only web processes show
pages, so only `erip.urls` loads them, and the system check that looks for faults in them. Other processes start quicker
and smaller without.
"""

from typing import Any

from django.apps import AppConfig
from django.contrib import admin
from django.contrib.admin.apps import SimpleAdminConfig
from django.contrib.admin.checks import check_admin_app, check_dependencies
from django.core.checks import CheckMessage, Tags, register


class Unfold(AppConfig):
    """Unfold's templates and files. Its own configuration makes the site at once."""

    name = "unfold"


class Admin(SimpleAdminConfig):
    """Django's admin, with Unfold's site."""

    default_site = "unfold.sites.UnfoldAdminSite"

    def ready(self) -> None:
        register(check_dependencies, Tags.admin)
        register(check_pages, Tags.admin)


def check_pages(app_configs: Any, **more: Any) -> list[CheckMessage]:
    """Django's own check of all pages."""
    admin.autodiscover()
    return check_admin_app(app_configs, **more)
