"""What events cause, in the order in which it is done. See `effects` for the interface."""

from workflows.events.effects import Effect
from workflows.events.streaming.announcing import StreamsEffect
from workflows.events.subscriptions import SubscriptionsEffect
from workflows.events.triggers import Triggers

#: one object for each process
EFFECTS: tuple[Effect, ...] = (Triggers(), SubscriptionsEffect(), StreamsEffect())


def effect_of(target: str) -> Effect | None:
    """The effect that a replay's target names: `triggers`, or `triggers:on-breach`."""
    name = target.partition(":")[0]
    return next((effect for effect in EFFECTS if effect.name == name), None)
