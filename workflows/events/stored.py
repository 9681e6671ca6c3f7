"""Stored rules: how to change them and how to read them. Each change is a version, which is kept."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import F

from erip.foundation.faults import Fault
from erip.foundation.versioned import add_version, take_turn
from workflows import store
from workflows.conf import conf
from workflows.core.rules import compile_rule, unknown_signal
from workflows.core.structure import did_you_mean
from workflows.engine.spaces import of_workflows, overheard
from workflows.errors import NotYetReadable
from workflows.events import active
from workflows.events.errors import TriggerInvalid, UnknownTrigger
from workflows.events.models import Trigger, TriggerVersion
from workflows.graphs import graph_of
from workflows.models import WorkflowDefinition, WorkflowVersion

VERSIONS_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Stored:
    name: str
    number: int
    #: whether the name had no rule before
    created: bool
    #: False where the latest version says the same
    changed: bool


def put(
    name: str,
    *,
    workflow: str,
    rule: dict[str, Any],
    enabled: bool = True,
    description: str = "",
    author: str,
    spaces: Collection[str] | None = None,
) -> Stored:
    """Store a rule as the next version of the trigger of that name; the same again is a no-op. spaces: those to which
    the author is confined: the rule hears of no workflow elsewhere, unless it did so before.

    Raises TriggerInvalid, NotYetReadable.
    """
    says = {"workflow": workflow, "rule": rule, "enabled": enabled, "description": description}
    with transaction.atomic():
        trigger, latest = take_turn(Trigger, name)
        here = latest is not None and not latest.deleted
        if latest is not None and here and all(getattr(latest, key) == value for key, value in says.items()):
            return Stored(name, latest.number, False, False)
        # A rule that was valid when it was stored can be switched off, whatever has happened to its workflow since.
        same = latest is not None and here and (latest.workflow, latest.rule) == (workflow, rule)
        if enabled or not same:
            # One that is in force stays as it is. One that was switched off may hear of a workflow that was moved.
            stays = same and latest is not None and latest.enabled
            _check(workflow, rule, None if stays else spaces)
        number = add_version(trigger, author=author, **says).number
    active.forget()
    return Stored(name, number, not here, True)


def delete(name: str, *, author: str) -> None:
    """Delete the rule; its versions are kept. Raises UnknownTrigger."""
    with transaction.atomic():
        trigger = Trigger.objects.select_for_update().filter(name=name).first()
        latest = trigger.versions.get(number=trigger.latest) if trigger else None
        if trigger is None or latest is None or latest.deleted:
            raise UnknownTrigger
        said = {key: getattr(latest, key) for key in ("workflow", "rule", "description")}
        add_version(trigger, author=author, enabled=False, deleted=True, **said)
    active.forget()


def stored(spaces: Collection[str] | None = None) -> list[TriggerVersion]:
    """The stored rules, by name: the latest version of each. spaces: only those for workflows in these."""
    rows = TriggerVersion.objects.filter(of_workflows(spaces))
    latest = rows.filter(number=F("trigger__latest"), deleted=False).select_related("trigger")
    return list(latest.order_by("trigger__name"))


def history(name: str, spaces: Collection[str] | None = None) -> list[TriggerVersion]:
    """All versions of a rule, newest first. spaces: only those that were for workflows in these. Raises UnknownTrigger
    for a rule that does not exist, or no longer exists."""
    versions = TriggerVersion.objects.filter(of_workflows(spaces), trigger__name=name).select_related("trigger")
    found = list(versions.order_by("-number")[:VERSIONS_SHOWN])
    if not found or found[0].deleted:
        raise UnknownTrigger
    return found


def _check(workflow: str, rule: Any, spaces: Collection[str] | None) -> None:
    """Check the rule against the latest version of the workflow: a later one may need another input."""
    latest = WorkflowVersion.objects.filter(definition__name=workflow, number=F("definition__latest")).first()
    faults: list[Fault] = []
    if latest is None:
        names = WorkflowDefinition.objects.values_list("name", flat=True)[:1000]
        faults.append(Fault("workflow", f'there is no workflow "{workflow}"{did_you_mean(workflow, names)}'))
    graph = graph_of(latest.pk) if latest is not None else None
    schema = graph.input_check if graph is not None else None
    compiled, wrong = compile_rule(rule, workflow, schema, at="rule", label="rule")
    faults += wrong
    if compiled is not None:
        faults += overheard([("rule", compiled)], spaces)
    if compiled is not None and compiled.signalling is not None and graph is not None:
        name = compiled.signalling.name
        known = {signal for node in graph.steps.values() for signal in node.how.signals}
        if name not in known:
            faults.append(Fault("rule.signal", unknown_signal(name, known)))
    if faults:
        raise TriggerInvalid(faults=faults)
    if compiled is not None and (behind := store.living_below(compiled.level, lease=conf().lease)):
        raise NotYetReadable(behind)
