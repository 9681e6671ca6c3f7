"""Django's system checks, in a process that serves no requests.

Note [Checks without the web]
Before a command runs, Django checks the whole project, and loads every address, view, serializer and page of the admin
for it: a third of what a leader would load, and a second. A command that answers no requests leaves those checks to
`manage.py check` and to `manage.py doctor`. All others, of settings, models and whatever an app adds, hold for it as
before. Celery asks them all as well when a worker starts, and does not look at the answer: workers do not ask
(`erip.celery`), and neither does the web. The bounds and rules of single settings (`erip.settings.declared`) hold for
every process, because they are asked while settings are read.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.auth.checks import check_middleware
from django.core.checks import Tags
from django.core.checks.registry import registry
from django.core.management.base import BaseCommand

#: about what is loaded for nothing but requests
_TAGS = frozenset({Tags.admin, Tags.staticfiles, Tags.templates, Tags.urls})


def _is_about_requests(check: Any) -> bool:
    # The one of the middleware has no tag.
    return check is check_middleware or not _TAGS.isdisjoint(getattr(check, "tags", ()))


class Daemon(BaseCommand):
    """A command that runs until it is ended, and serves no requests."""

    def check(self, *arguments: Any, **options: Any) -> None:
        with _without_web():
            super().check(*arguments, **options)


@contextmanager
def _without_web() -> Iterator[None]:
    # Not by asking for the other tags: checks without a tag would be left out.
    all_of_them = registry.registered_checks
    registry.registered_checks = {one for one in all_of_them if not _is_about_requests(one)}
    try:
        yield
    finally:
        registry.registered_checks = all_of_them
