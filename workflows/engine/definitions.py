"""Checking and publishing definitions."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, cast

from django.db import transaction
from django.db.models import F

from erip.foundation.db.retry import retry_transaction
from erip.foundation.faults import Fault
from erip.foundation.hooks import duty_faults, obligation_times
from erip.foundation.versioned import add_version, take_turn
from workflows import registry, store
from workflows.conf import conf
from workflows.core import definition, feasibility
from workflows.core.graph import Graph
from workflows.core.rules import rule_key
from workflows.decisions import fitting
from workflows.engine.spaces import overheard
from workflows.errors import DefinitionInvalid, NameMismatch, NotYetReadable
from workflows.models import WorkflowDefinition, WorkflowVersion
from workflows.secrets import fitting as secrets


@dataclass(frozen=True, slots=True)
class Published:
    name: str
    number: int
    hash: str
    #: False where the latest version already had this content
    created: bool
    version_id: int
    #: what is valid and may not be meant
    warnings: tuple[Fault, ...] = ()


def validate(source: str | bytes, media: str, *, spaces: Collection[str] | None = None) -> Graph:
    """Check a definition without storing it. spaces: as of `publish`. Raises DefinitionInvalid."""
    graph = _check(source, media, spaces)[1]
    _need_sources(graph, spaces)
    return graph


def publish(
    name: str | None, source: str | bytes, media: str, *, author: str, spaces: Collection[str] | None = None
) -> Published:
    """Store a definition as its workflow's next version; the same content again is a no-op.

    name: the name that the definition must have; None accepts any. media: "yaml" or "json". spaces: those to which the
    author is confined; rules of theirs that are new hear of no workflow elsewhere, and no step asks a decision table
    that no workflow there asks already.
    Raises DefinitionInvalid, NameMismatch, NotYetReadable.
    """
    document, graph = _check(source, media, spaces)
    if name is not None and graph.name != name:
        raise NameMismatch(faults=[Fault("name", f'is "{graph.name}", but it is published as "{name}"')])
    _need_sources(graph, spaces)
    text = source.decode() if isinstance(source, bytes) else source
    return replace(_publish(document, graph, text, media, author), warnings=warnings_of(graph))


def _need_sources(graph: Graph, spaces: Collection[str] | None) -> None:
    """Raises DefinitionInvalid. Rules that are in force stay: somebody else may have published them."""
    if spaces is None or not graph.rules:
        return
    latest = WorkflowVersion.objects.filter(definition__name=graph.name, number=F("definition__latest")).first()
    stored = latest.document.get("on", []) if latest is not None else []
    known = {rule_key(graph.name, one) for one in ([stored] if isinstance(stored, dict) else stored)}
    new = [(rule.label.partition(": ")[2], rule) for rule in graph.rules if rule.key not in known]
    if faults := overheard(new, spaces):
        raise DefinitionInvalid(faults=faults)


def warnings_of(graph: Graph) -> tuple[Fault, ...]:
    """What a valid definition promises and may not keep, with the obligations that are known here."""
    names = [one.name for one in graph.deadlines if one.within is None]
    known: dict[str, float] = {}
    if names:
        for look_up in obligation_times.all():
            known |= look_up(names)
    return feasibility.warnings(graph, known)


@retry_transaction
def _publish(document: dict[str, Any], graph: Graph, text: str, media: str, author: str) -> Published:
    content_hash = definition.content_hash(document)
    with transaction.atomic():
        workflow, latest = take_turn(WorkflowDefinition, graph.name)
        if latest and latest.content_hash == content_hash:
            return Published(graph.name, latest.number, content_hash, False, latest.pk)
        if behind := store.living_below(max(graph.level, _level_of_inputs(graph)), lease=conf().lease):
            raise NotYetReadable(behind)
        version = add_version(
            workflow,
            content_hash=content_hash,
            source=text,
            media=media,
            document=document,
            author=author,
        )
    return Published(graph.name, version.number, content_hash, True, version.pk)


def _level_of_inputs(graph: Graph) -> int:
    """The format level from which processes know every input that the definition gives its steps."""
    known = registry.all()
    works = [node.work for node in graph.steps.values() if node.work is not None]
    return max((known[work.uses].level(work.with_) for work in works if work.uses in known), default=1)


def _check(source: str | bytes, media: str, spaces: Collection[str] | None) -> tuple[dict[str, Any], Graph]:
    try:
        document = definition.parse(source, cast(Any, media))
        graph = definition.validate(document, registry.all())
    except definition.DefinitionInvalid as error:
        raise DefinitionInvalid(faults=error.faults) from None
    if faults := [*fitting.faults(graph, spaces), *secrets.faults(graph), *_unknown_duties(graph)]:
        raise DefinitionInvalid(faults=faults)
    return document, graph


def _unknown_duties(graph: Graph) -> list[Fault]:
    """Duties that the graph starts clocks for, and that have none. It asks the database only if there are any."""
    wrong: dict[str, str] = {}
    for look_up in duty_faults.all() if graph.clocks else ():
        wrong |= look_up(graph.clocks)
    return [
        Fault(f"clocks[{index}].obligation", wrong[code]) for index, code in enumerate(graph.clocks) if code in wrong
    ]
