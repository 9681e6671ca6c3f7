"""What the autoscaler adds to the platform."""

from erip.foundation.hooks import Link, Menu, api_urls, menu, unrecorded

api_urls("monitoring.scaling.urls")
unrecorded(("autoscale_scalingevent", "a log itself: how many workers there were, and why"))
menu(
    Menu(
        "Work",
        (Link("Scaling", "speed", "admin:autoscale_scalingevent_changelist", "autoscale.view_scalingevent"),),
        place=11,
    )
)
