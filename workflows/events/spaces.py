"""The spaces of what the event bus keeps: Note [Spaces] in `erip.access.spaces`.

Note [Spaces of events]
An event that the platform announces has its workflow as its source, and belongs to the space of that workflow. An event
from outside belongs to no space: which rules it meets, and whose, is known only once it has taken effect, and it may
meet those of several. So who may see one space alone sees the events of its workflows, in lists and in streams, and of
an event from outside that it started this run of theirs. A subscription belongs to a space if its source names one
workflow there, without a pattern: it gets nothing else, and every release holds it to that. A rule belongs to the
workflow whose runs it starts, and so does what it has gathered, and an event that it could not do.
"""

from collections.abc import Collection
from typing import Final
from uuid import UUID

from django.db.models import Q

from erip.access.spaces import kind
from erip.foundation.db.retry import retry_transaction
from workflows.core.lifecycle import source_of
from workflows.engine.spaces import of_workflow, sources_in, workflows_in
from workflows.events.errors import (
    UnknownDeadLetter,
    UnknownDelivery,
    UnknownEvent,
    UnknownPendingStart,
    UnknownSubscription,
    UnknownTrigger,
)
from workflows.events.models import DeadLetter, Delivery, Event, PendingStart, Subscription, Trigger

#: the effect whose dead letters name a workflow
_TRIGGERS: Final = "triggers"
_SOURCES: Final = source_of("")


def of_source(source: str | None) -> str:
    """The space of the workflow that this source names; "" for any other source."""
    return (of_workflow(source.removeprefix(_SOURCES)) or "") if source and source.startswith(_SOURCES) else ""


def subscriptions_in(spaces: Collection[str] | None) -> Q:
    return Q() if spaces is None else Q(source__in=sources_in(spaces))


def letters_in(spaces: Collection[str] | None) -> Q:
    return Q() if spaces is None else Q(effect=_TRIGGERS, target__in=workflows_in(spaces))


@kind("event", UnknownEvent)
@retry_transaction
def of_event(position: str) -> str | None:
    partition, _, place = position.partition("-")
    if not (partition.isdigit() and place.isdigit()):
        return None
    found = Event.objects.filter(partition=int(partition), position=int(place)).values_list("source", flat=True).first()
    return None if found is None else of_source(found)


@kind("trigger", UnknownTrigger)
@retry_transaction
def of_trigger(name: str) -> str | None:
    trigger = Trigger.objects.filter(name=name).first()
    latest = trigger.versions.filter(number=trigger.latest, deleted=False).first() if trigger else None
    return None if latest is None else of_workflow(latest.workflow) or ""


@kind("pending-start", UnknownPendingStart)
@retry_transaction
def of_pending_start(id_: str) -> str | None:
    workflow = PendingStart.objects.filter(pk=UUID(id_)).values_list("workflow", flat=True).first()
    return None if workflow is None else of_workflow(workflow) or ""


@kind("dead-letter", UnknownDeadLetter)
@retry_transaction
def of_dead_letter(number: str) -> str | None:
    found = DeadLetter.objects.filter(pk=int(number)).values_list("effect", "target").first()
    if found is None:
        return None
    effect, target = found
    return (of_workflow(target) or "") if effect == _TRIGGERS and target else ""


@kind("subscription", UnknownSubscription)
@retry_transaction
def of_subscription(id_: str) -> str | None:
    found = Subscription.objects.filter(pk=UUID(id_)).first()
    return None if found is None else of_source(found.source)


@kind("delivery", UnknownDelivery)
@retry_transaction
def of_delivery(number: str) -> str | None:
    found = Delivery.objects.filter(pk=int(number)).select_related("subscription").first()
    return None if found is None else of_source(found.subscription.source)
