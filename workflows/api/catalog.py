"""Read definitions and their versions, as the API shows them."""

import base64
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.db.models import F

from erip.foundation.db.router import reads_from_replica
from erip.foundation.faults import Fault
from erip.foundation.http.problems import BadRequest
from workflows.api.serializers import NAME
from workflows.core.states import Lane
from workflows.errors import UnknownVersion, UnknownWorkflow
from workflows.models import WorkflowVersion

_VERSIONS_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Page:
    """items: by name; next_cursor: of the page that follows, None on the last"""

    items: list[dict[str, Any]]
    next_cursor: str | None


@reads_from_replica
def list_workflows(*, cursor: str | None, limit: int, spaces: Collection[str] | None = None) -> Page:
    """Workflows by name, with their latest version. spaces: only those in these."""
    latest = WorkflowVersion.objects.select_related("definition").filter(number=F("definition__latest"))
    if spaces is not None:
        latest = latest.filter(definition__space__in=spaces)
    if cursor is not None:
        latest = latest.filter(definition__name__gt=_name_of(cursor))
    found = list(latest.order_by("definition__name")[: limit + 1])
    page = found[:limit]
    more = len(found) > limit
    return Page([_summary(version) for version in page], _cursor_of(page[-1].definition.name) if more else None)


@reads_from_replica
def workflow(name: str) -> dict[str, Any]:
    """One workflow with its latest versions. Raises UnknownWorkflow."""
    versions = list(
        WorkflowVersion.objects.select_related("definition")
        .filter(definition__name=name)
        .defer("source")
        .order_by("-number")[:_VERSIONS_SHOWN]
    )
    if not versions:
        raise UnknownWorkflow
    return {**_summary(versions[0]), "versions": [_listed(version) for version in versions]}


@reads_from_replica
def workflow_version(name: str, number: int) -> dict[str, Any]:
    """One version, with its source. Raises UnknownWorkflow or UnknownVersion."""
    of_name = WorkflowVersion.objects.filter(definition__name=name)
    version = of_name.filter(number=number).first()
    if version is None:
        raise UnknownVersion if of_name.exists() else UnknownWorkflow
    return {
        "name": name,
        **_listed(version),
        "media": version.media,
        "source": version.source,
        "definition": version.document,
    }


def _summary(version: WorkflowVersion) -> dict[str, Any]:
    return {
        "name": version.definition.name,
        "description": version.document.get("description", ""),
        "version": version.number,
        "hash": version.content_hash,
        "lane": version.document.get("lane", str(Lane.STANDARD)),
        "created_at": version.definition.created_at,
        "published_at": version.created_at,
    }


def _listed(version: WorkflowVersion) -> dict[str, Any]:
    return {
        "version": version.number,
        "hash": version.content_hash,
        "author": version.author,
        "created_at": version.created_at,
    }


def _cursor_of(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")


def _name_of(cursor: str) -> str:
    try:
        name = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
    except ValueError as error:  # binascii's and the codec's errors are some, too
        raise BadRequest([Fault("cursor", "is not the cursor of a page")]) from error
    if not re.fullmatch(NAME, name) or _cursor_of(name) != cursor:
        raise BadRequest([Fault("cursor", "is not the cursor of a page")])
    return name
