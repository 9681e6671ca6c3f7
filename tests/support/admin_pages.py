"""The pages of the admin: Note [Pages of the admin] in `erip.access.admin_apps`."""

from django.contrib import admin
from django.contrib.admin import ModelAdmin
from django.db.models import Model


def all_pages() -> dict[type[Model], ModelAdmin]:
    """By model."""
    admin.autodiscover()
    return admin.site._registry
