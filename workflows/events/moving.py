"""When a workflow leaves its space, nobody there goes on hearing of it.

A subscription to what the platform announces of the workflow is switched off, whoever made it: those of the former
space may have changed its address. So is a stored rule by which runs in one space are given the events of a workflow in
another. People of the new space, who see them now, switch on again what they want. A rule that a definition says cannot
be switched off: it is named.
"""

from collections.abc import Iterator
from typing import Any, Final

from django.db.models import F
from django.db.models.functions import Now

from erip.foundation.hooks import workflow_left_space
from workflows.core.lifecycle import OWN_TYPES, source_of
from workflows.engine.spaces import spaces_of_workflows
from workflows.events import stored
from workflows.events.models import Subscription
from workflows.models import WorkflowVersion

#: the author of the versions by which rules are switched off
AUTHOR: Final = "manage.py move"
_SOURCES: Final = source_of("")
_REASON: Final = "its workflow was moved to another space"


@workflow_left_space
def switch_off(workflow: str, former: str) -> list[str]:
    """In the transaction of the move. Returns sentences for whoever moves it."""
    said = []
    # Whoever heard of it while it was in no space sees everything. What it hears is seen by its new space in any case.
    of_it = former != ""
    found = Subscription.objects.filter(source=source_of(workflow), enabled=True)
    if of_it and (count := found.update(enabled=False, disabled_at=Now(), disabled_reason=_REASON)):
        said.append(f"{count} subscription{'s' if count > 1 else ''} to its events switched off")
    for one in stored.stored():
        if one.enabled and _hears_elsewhere(workflow, one.workflow, one.rule, of_it):
            stored.put(
                one.trigger.name, workflow=one.workflow, rule=one.rule, enabled=False, description=one.description,
                author=AUTHOR,
            )  # fmt: skip
            said.append(f"trigger {one.trigger.name} of {one.workflow} switched off: it hears of another space")
    said += [
        f"{name} still hears of another space, by `on` in its definition"
        for name in sorted(_of_definitions(workflow, of_it))
    ]
    return said


def _may_be_ours(event: Any) -> bool:
    """Whether the platform announces events of such a type, or of such types."""
    if not isinstance(event, str):
        return False
    return event.startswith(OWN_TYPES) or (
        event.endswith(".*") and any(own.startswith(event[:-1]) for own in OWN_TYPES)
    )


def _of_definitions(workflow: str, of_it: bool) -> set[str]:
    latest = WorkflowVersion.objects.filter(number=F("definition__latest"), document__has_key="on")
    return {
        name
        for name, rules in latest.values_list("definition__name", "document__on")
        for rule in _list(rules)
        if _hears_elsewhere(workflow, name, rule, of_it)
    }


def _list(rules: Any) -> Iterator[Any]:
    yield from rules if isinstance(rules, list) else [rules]


def _hears_elsewhere(moved: str, workflow: str, rule: Any, of_it: bool) -> bool:
    """Whether a rule of a workflow hears of one in another space, and one of both is what was moved. of_it: rules that
    hear of that one count, too; otherwise only its own."""
    if not isinstance(rule, dict):
        return False
    source = rule.get("source")
    if source is None and moved == workflow:
        # It hears of all workflows. Without a space, only those see its runs who see theirs.
        return _may_be_ours(rule.get("event")) and spaces_of_workflows([workflow]) != {""}
    if not isinstance(source, str) or not source.startswith(_SOURCES):
        return False
    heard = source.removeprefix(_SOURCES)
    if moved != workflow and not (of_it and moved == heard):
        return False
    return len(spaces_of_workflows((workflow, heard))) > 1
