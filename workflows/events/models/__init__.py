"""The tables of the event bus."""

from workflows.events.models.deadletters import DeadLetter
from workflows.events.models.journal import Block, Consumer, Identity, Partition
from workflows.events.models.log import Event, LogEntry
from workflows.events.models.pending import PendingEvent, PendingStart
from workflows.events.models.quotas import SourceQuota, SourceUsage
from workflows.events.models.subscriptions import (
    Delivery,
    DeliveryAttempt,
    DeliveryState,
    StreamedType,
    Subscription,
)
from workflows.events.models.triggers import Trigger, TriggeredRun, TriggerMark, TriggerVersion
from workflows.events.models.types import EventType, EventTypeVersion

__all__ = [
    "Block",
    "Consumer",
    "DeadLetter",
    "Delivery",
    "DeliveryAttempt",
    "DeliveryState",
    "Event",
    "EventType",
    "EventTypeVersion",
    "Identity",
    "LogEntry",
    "Partition",
    "PendingEvent",
    "PendingStart",
    "SourceQuota",
    "SourceUsage",
    "StreamedType",
    "Subscription",
    "Trigger",
    "TriggerMark",
    "TriggerVersion",
    "TriggeredRun",
]
