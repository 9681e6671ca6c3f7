"""The reference definitions, as workflows and their versions."""

import time
from collections.abc import Mapping
from typing import Final

from django.db import transaction
from django.db.models import F

from erip.foundation.shipped import Article, Source, Standing
from workflows import engine, store
from workflows.conf import conf
from workflows.core.definition import content_hash, parse
from workflows.errors import NotYetReadable
from workflows.library.shipping import files
from workflows.models import WorkflowDefinition, WorkflowVersion

#: who published the shipped ones. People and keys have a prefix (`user:`, `key:`), so none of them has this name.
AUTHOR: Final = "bootstrap"


def articles() -> list[Article]:
    sources = files.definitions()
    found = WorkflowVersion.objects.filter(definition__name__in=sources, number=F("definition__latest"))
    latest = {version.definition.name: version for version in found.select_related("definition")}
    return [_article(name, source, latest.get(name)) for name, source in sources.items()]


def bring_up_to_date() -> tuple[list[engine.Published], dict[str, str]]:
    """Publish what is new, and the next version of what nobody else has published a version of. A workflow whose latest
    version is somebody's stays as it is.

    Returns all that are now as shipped, and by name those that have to wait, with the reason: a living process of an
    earlier release cannot read them. The version before serves until then. Where it is not known whether one lives, a
    lease is waited for.
    """
    published, not_yet = _bring_up_to_date(files.definitions())
    if not_yet and store.anybody_silent(lease=conf().lease):
        time.sleep(conf().lease)
        after, not_yet = _bring_up_to_date({name: files.definitions()[name] for name in not_yet})
        published += after
    return published, not_yet


def _bring_up_to_date(sources: Mapping[str, str]) -> tuple[list[engine.Published], dict[str, str]]:
    published, not_yet = [], {}
    for name, source in sources.items():
        with transaction.atomic():
            # Whoever publishes the same workflow meanwhile waits, so that nobody's version is covered unseen.
            owner = WorkflowDefinition.objects.select_for_update().filter(name=name).first()
            latest = owner.versions.filter(number=owner.latest).select_related("definition").first() if owner else None
            if not _article(name, source, latest).is_left_alone:
                try:
                    published.append(_publish(name, source))
                except NotYetReadable as error:
                    not_yet[name] = str(error)
    return published, not_yet


def take(name: str) -> str:
    version = _publish(name, files.definitions()[name])
    return f"published as version {version.number}: new runs take it, runs that have begun keep theirs"


def _publish(name: str, source: str) -> engine.Published:
    return engine.publish(name, source, "yaml", author=AUTHOR)


def _article(name: str, source: str, latest: WorkflowVersion | None) -> Article:
    if latest is None:
        return Article("definition", name, Standing.NEW, source, None)
    if latest.content_hash == content_hash(parse(source, "yaml")):
        standing = Standing.SAME
    else:
        standing = Standing.OLDER if latest.author == AUTHOR else Standing.YOURS
    by = f"version {latest.number} by {latest.author or 'somebody unnamed'}, {latest.created_at:%Y-%m-%d}"
    return Article("definition", name, standing, source, latest.source, by)


SOURCE: Final = Source("definition", articles, take)
