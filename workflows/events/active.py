"""The rules in force: those of the latest version of every workflow, and stored ones. Compiled, and held in the
process.

Stored rules of a workflow are asked before those of its definition, in the order of their names: so a person can drop
events, or let other events start runs, without publishing a definition. A published definition or a stored rule is in
force everywhere within CHECK_SECONDS.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import structlog
from django.db import DatabaseError
from django.db.models import F, Q

from erip.foundation.faults import Fault
from erip.foundation.tokens import Tokened
from workflows.core.rules import Rule, compile_rule
from workflows.core.triggers import RuleBook
from workflows.events.models import TriggerVersion
from workflows.events.store import triggers as store
from workflows.graphs import graph_of
from workflows.models import WorkflowVersion

log = structlog.get_logger(__name__)

#: seconds between two looks at whether anything changed
CHECK_SECONDS: Final = 1.0


@dataclass(frozen=True)
class Active:
    """The rules in force at some moment."""

    book: RuleBook = field(default_factory=RuleBook)
    #: the version with which each workflow's runs are started: its latest
    versions: Mapping[str, int] = field(default_factory=dict)
    #: stored rules and workflows that cannot be used, by name, and why: the others go on without them
    left_out: Mapping[str, str] = field(default_factory=dict)


def active() -> Active:
    """The rules in force, as of a moment ago."""
    return _known.current()


def patterns() -> frozenset[str]:
    """The types of events, and the beginnings of types with `.*`, that some rule is about."""
    return active().book.patterns


def forget() -> None:
    """Load anew at the next use: for tests, and for a process that just changed something."""
    _known.forget()


def trigger(name: str) -> str:
    """The name of a stored rule in `left_out`."""
    return f"trigger {name}"


def _load() -> Active:
    loaded = _compile_all()
    log.info("rules_loaded", rules=len(loaded.book), left_out=len(loaded.left_out))
    return loaded


def _compile_all() -> Active:
    stored: dict[str, list[Rule]] = {}
    left_out: dict[str, str] = {}
    for rule in _stored(left_out):
        stored.setdefault(rule.workflow, []).append(rule)
    latest = WorkflowVersion.objects.filter(number=F("definition__latest")).filter(
        Q(document__has_key="on") | Q(definition__name__in=list(stored))
    )
    rules: list[Rule] = []
    versions: dict[str, int] = {}
    for name, version_id in latest.order_by("definition__name").values_list("definition__name", "id"):
        try:
            graph = graph_of(version_id)
        except DatabaseError:
            raise
        except Exception as error:
            # A release that allowed more published it. Nobody can start its runs; the other workflows go on.
            left_out[f"workflow {name}"] = str(error)[:500]
            log.error("rules_not_loaded", workflow=name, error=error)
            continue
        versions[name] = version_id
        rules += [*stored.get(name, ()), *graph.rules]
    return Active(RuleBook(rules), versions, left_out)


def _stored(left_out: dict[str, str]) -> Iterator[Rule]:
    """The stored rules that can be used; the others are noted in `left_out`, each with its fault."""
    latest = TriggerVersion.objects.filter(number=F("trigger__latest"), enabled=True).select_related("trigger")
    for version in latest.order_by("trigger__name"):
        name = version.trigger.name
        # Whether its input fits is checked at each event: the workflow may have another schema by then.
        try:
            rule, faults = compile_rule(version.rule, version.workflow, None, at="rule", label=trigger(name))
        except Exception as error:
            # One row that nobody can read must not keep all others from being asked.
            rule, faults = None, [Fault("rule", f"{type(error).__name__}: {error}")]
        if rule is None:
            left_out[trigger(name)] = "; ".join(map(str, faults))[:500]
            # The fault may quote the rule, so it is only in `left_out`, for those who may read it.
            log.error("rules_not_loaded", trigger=name, faulty=[fault.path for fault in faults][:10])
            continue
        yield rule


_known: Tokened[Active] = Tokened(lambda: store.rules_token(), _load, every=CHECK_SECONDS)
