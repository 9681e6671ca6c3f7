"""What the autoscaler adds to the platform."""

from erip.foundation.hooks import Link, Menu, api_urls, menu

api_urls("monitoring.scaling.urls")
menu(
    Menu(
        "Work",
        (Link("Scaling", "speed", "admin:autoscale_scalingevent_changelist", "autoscale.view_scalingevent"),),
        place=11,
    )
)
