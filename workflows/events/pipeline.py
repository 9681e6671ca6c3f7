"""What events cause, in the order in which it is done. See `effects` for the interface."""

from erip.foundation.hooks import event_effect
from workflows.events.effects import Effect


def effects() -> tuple[Effect, ...]:
    """The effects that the apps added (`hooks.event_effect`): one object each for the whole process."""
    return event_effect.all()


def effect_of(target: str) -> Effect | None:
    """The effect that a replay's target names: `triggers`, or `triggers:on-breach`."""
    name = target.partition(":")[0]
    return next((effect for effect in effects() if effect.name == name), None)
