"""Compiled graphs of published versions, cached in the process: a version never changes, so neither does its graph."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, cast

import structlog
from cachetools import LRUCache, cached
from django.db.models import F

from erip.foundation.hooks import at_web_start, at_worker_start
from workflows import registry
from workflows.core import definition
from workflows.core.graph import Graph, Retry, StepInfo, Work
from workflows.core.sensitive import NOTHING, Parts
from workflows.errors import UnknownStep
from workflows.models import WorkflowVersion
from workflows.store import lacking

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class _Stored:
    """A step as a stored version needs it: its `with` was checked when it was published, maybe by another release."""

    name: str
    idempotent: bool
    transactional: bool
    timeout: float
    retry: Retry | None
    input_schema: dict[str, Any] = field(default_factory=dict)
    output_schema: dict[str, Any] = field(default_factory=dict)
    sealed: Parts = NOTHING


class _StoredSteps(Mapping[str, StepInfo]):
    """Knows every name: a run must load even if this release does not have a step. The step is left to workers that
    have it."""

    def __getitem__(self, name: str) -> StepInfo:
        try:
            spec = registry.get(name)
        except UnknownStep:
            return _Stored(name, idempotent=False, transactional=False, timeout=30.0, retry=None)
        return _Stored(name, spec.idempotent, spec.transactional, spec.timeout, spec.retry, sealed=spec.sealed)

    def __contains__(self, name: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(registry.all())

    def __len__(self) -> int:
        return len(registry.all())


#: graphs held at once
CACHED = 512


@cached(LRUCache(maxsize=CACHED), lock=Lock())
def graph_of(version_id: int) -> Graph:
    """The graph of a stored version. Raises WorkflowVersion.DoesNotExist."""
    # From the source: jsonb does not keep the order in which the author wrote the steps.
    source, media = WorkflowVersion.objects.values_list("source", "media").get(pk=version_id)
    document = definition.parse(source, cast(Any, media))
    graph = _compiled(version_id, document)
    _note_what_is_lacked(version_id, graph)
    return graph


def known_graph(version_id: int) -> Graph | None:
    """The same, if this process has it in memory."""
    held = cast(Any, graph_of)
    with held.cache_lock:
        return cast("Graph | None", held.cache.get(held.cache_key(version_id)))


def _compiled(version_id: int, document: Any) -> Graph:
    try:
        return definition.validate(document, _StoredSteps(), stored=True)
    except definition.DefinitionInvalid as error:
        # If a release that allowed more in schemas or rules published it, its runs go on and can be read, but it starts
        # no new ones.
        startless = {**_without_its_start(document), "input": _NOTHING}
        graph = definition.validate(startless, _StoredSteps(), stored=True)
        log.error("version_starts_no_runs", workflow=graph.name, version_id=version_id, error=error)
        return graph


def _note_what_is_lacked(version_id: int, graph: Graph) -> None:
    """See Note [Lacking] in `store.lacking`."""
    lacking.note(
        version_id, {id: node.work.uses for id, node in graph.steps.items() if node.work and not _has(node.work)}
    )


def _has(work: Work) -> bool:
    """Whether this process has the step, and the step refuses no input that it is given."""
    try:
        return registry.get(work.uses).takes(work.with_)
    except UnknownStep:
        return False


def step_for(version_id: int, step: str, uses: str) -> registry.StepSpec:
    """What runs this step of a version here. Raises UnknownStep where this process lacks it (Note [Lacking] in
    `store.lacking`)."""
    if lacking.lacks(version_id, step):
        raise UnknownStep(f"this process lacks the step {uses} as version {version_id} uses it")
    return registry.get(uses)


_NOTHING: dict[str, Any] = {"not": {}}


def _without_its_start(document: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key not in ("input", "on")}


@at_web_start
@at_worker_start
def load_latest_graphs() -> None:
    """The latest version of each workflow; if there are very many, only those published last. One that this release
    cannot read is left to the workers of the newer one that published it: it keeps no worker from its start."""
    latest = WorkflowVersion.objects.filter(number=F("definition__latest"))
    for version_id in latest.order_by("-id").values_list("id", flat=True)[:CACHED]:
        try:
            graph_of(version_id)
        except definition.DefinitionInvalid as error:
            log.error("definition_not_readable", version_id=version_id, error=error)
