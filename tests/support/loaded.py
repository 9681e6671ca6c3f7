"""What the processes of the platform must not load: modules by the role of the process.

Each module that nobody needs costs every process of a role memory and time, at every start. A process that is started
with `LISTED` in its environment lists on standard error whatever it imports.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

#: environment of a process that lists what it imports
LISTED: Final[Mapping[str, str]] = {"PYTHONPROFILEIMPORTTIME": "1"}
_LINE: Final = "import time:"

#: what no process loads before somebody asks for it
NOBODY: Final = (
    "click_repl",
    "flower",
    "holidays",
    "icalendar",
    "lxml",
    "numpy",
    "prompt_toolkit",
    "pygments.lexers",
    # Its parts that the other client needs are loaded.
    "redis.asyncio.client",
    "redis.asyncio.cluster",
    # Not `rich` itself: that it was asked for, and not found, is listed as well.
    "rich.console",
    "scim2_models",
    "scim2_server",
    "signxml",
    # Its pool alone is used.
    "sqlalchemy.engine",
    "sqlalchemy.sql",
    "tornado",
    "urllib3",
    "webauthn",
)
#: what serves requests: addresses, views, serializers, the pages of the admin and the console, signing in
_REQUESTS: Final = (
    "console.views",
    "django.test",
    "drf_spectacular.plumbing",
    "erip.access.admin",
    "erip.access.authentication",
    "erip.foundation.http.light",
    "erip.foundation.http.reading",
    "erip.health",
    "erip.urls",
    "gunicorn",
    "jwt",
    "monitoring.admin",
    "monitoring.api",
    "rest_framework.fields",
    "rest_framework.serializers",
    "rest_framework.views",
    "unfold.admin",
    "unfold.sites",
    "unittest",
    "workflows.admin",
    "workflows.api",
)
#: what starts a worker and keeps it going
_WORK: Final = ("celery.apps", "celery.bin", "celery.concurrency.thread", "workflows.worker.executor")

#: a role, and the packages and modules that its processes do not load
NOT_LOADED: Final[Mapping[str, tuple[str, ...]]] = {
    "web": (*NOBODY, *_WORK, "workflows.leader.loop"),
    "worker": (*NOBODY, *_REQUESTS, "workflows.leader.loop"),
    "leader": (*NOBODY, *_REQUESTS, *_WORK),
}
#: what the supervisor of a local stack, which runs beside them all, does not load either
NOT_BY_THE_SUPERVISOR: Final = (*NOBODY, "celery", "django", "kombu", "redis.cluster", "rich", "structlog")


def loaded_for_nothing(role: str, modules: frozenset[str]) -> set[str]:
    """Those of `modules` that a process of this role should not have loaded."""
    return of_these(NOT_LOADED[role], modules)


def of_these(packages: Iterable[str], modules: Iterable[str]) -> set[str]:
    """Those of `modules` that are, or belong to, one of `packages`."""
    return {name for name in modules for bad in packages if name == bad or name.startswith(f"{bad}.")}


def listed(text: str | Path) -> frozenset[str]:
    """The modules that a process with `LISTED` imported, as its output or its log file says."""
    lines = (text.read_text(errors="replace") if isinstance(text, Path) else text).splitlines()
    return frozenset(line.rpartition("|")[2].strip() for line in lines if line.startswith(_LINE))
