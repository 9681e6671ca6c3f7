"""The tables of the event bus."""

from workflows.events.models.deadletters import DeadLetter
from workflows.events.models.journal import Block, Consumer, Identity, Partition
from workflows.events.models.log import Event
from workflows.events.models.quotas import SourceQuota, SourceUsage

__all__ = ["Block", "Consumer", "DeadLetter", "Event", "Identity", "Partition", "SourceQuota", "SourceUsage"]
