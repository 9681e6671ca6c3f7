"""What the sample adds to the platform."""

from erip.foundation.hooks import Feature, feature

feature(
    Feature(
        "look-up",
        "Nothing: it is there to be turned on and off.",
        about=("user", "key", "space", "workflow"),
        share_of="callers",
    )
)
