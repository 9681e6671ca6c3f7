"""Finds the registered steps that a test names, with or without a Django project around it."""

import os
from collections.abc import Iterable

import django
from django.apps import apps

from workflows import registry

#: Nothing listens there. A test that is meant to need no database must not find the one of a stack by chance.
_NO_DATABASE = "postgres://nobody@127.0.0.1:1/none"


def know(names: Iterable[str]) -> None:
    """Register the steps of the installed apps if one of `names` is not registered yet.

    Without a Django project it sets up ERIP's own, with the apps of ERIP_APPS and without a database.
    """
    if all(name in registry.all() for name in names):
        return
    if not apps.ready:
        if "DJANGO_SETTINGS_MODULE" not in os.environ:
            os.environ["DJANGO_SETTINGS_MODULE"] = "erip.settings.base"
            os.environ["DATABASE_URL"] = _NO_DATABASE
        django.setup()
    registry.discover()
