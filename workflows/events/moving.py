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
from workflows.core.lifecycle import source_of
from workflows.engine.spaces import spaces_of_workflows
from workflows.events import stored
from workflows.events.models import Subscription
from workflows.models import WorkflowVersion

#: the author of the versions by which rules are switched off
AUTHOR: Final = "manage.py move"
_SOURCES: Final = source_of("")
_REASON: Final = "its workflow was moved to another space"


@workflow_left_space
def switch_off(workflow: str) -> list[str]:
    """In the transaction of the move. Returns sentences for whoever moves it."""
    said = []
    found = Subscription.objects.filter(source=source_of(workflow), enabled=True)
    if count := found.update(enabled=False, disabled_at=Now(), disabled_reason=_REASON):
        said.append(f"{count} subscription{'s' if count > 1 else ''} to its events switched off")
    for one in stored.stored():
        if one.enabled and _hears_elsewhere(workflow, one.workflow, one.rule):
            stored.put(
                one.trigger.name, workflow=one.workflow, rule=one.rule, enabled=False, description=one.description,
                author=AUTHOR,
            )  # fmt: skip
            said.append(f"trigger {one.trigger.name} of {one.workflow} switched off: it hears of another space")
    said += [
        f"{name} still hears of another space, by `on` in its definition" for name in sorted(_of_definitions(workflow))
    ]
    return said


def _of_definitions(workflow: str) -> set[str]:
    latest = WorkflowVersion.objects.filter(number=F("definition__latest"), document__has_key="on")
    return {
        name
        for name, rules in latest.values_list("definition__name", "document__on")
        for rule in _list(rules)
        if _hears_elsewhere(workflow, name, rule)
    }


def _list(rules: Any) -> Iterator[Any]:
    yield from rules if isinstance(rules, list) else [rules]


def _hears_elsewhere(moved: str, workflow: str, rule: Any) -> bool:
    """Whether a rule of a workflow hears of one in another space, and one of both is what was moved."""
    source = rule.get("source") if isinstance(rule, dict) else None
    if not isinstance(source, str) or not source.startswith(_SOURCES):
        return False
    heard = source.removeprefix(_SOURCES)
    return moved in (workflow, heard) and len(spaces_of_workflows((workflow, heard))) > 1
