"""What legal clocks add to the platform."""

from erip.foundation.hooks import Link, Menu, Recorded, api_urls, append_only, kept, menu, recorded, unrecorded, walled
from workflows import registry, walls
from workflows.clocks import spaces  # noqa: F401  (registers what belongs to a space)
from workflows.clocks.starting import start_assessed, start_declared

api_urls("workflows.clocks.urls")
registry.when_recorded("compass.assess_compliance", start_assessed)
registry.when_recorded("clocks.start", start_declared)
# A deadline that was missed stays written down.
kept("clocks_legalcase")
kept("clocks_legalclock")
append_only("clocks_reassessment")
for policy in walls.CLOCKS.items():
    walled(policy)
# What people and the law change. Clocks start by themselves, and leaders move them up their ladders.
recorded(
    Recorded("clocks_legalclock", only=("state", "facts", "stops", "extended", "filed", "doubt"), verbs=("UPDATE",))
)
recorded(Recorded("clocks_legalcase", only=("facts",), verbs=("UPDATE",)))
unrecorded(("clocks_reassessment", "a log itself: what a new fact or the law changed"))
menu(
    Menu(
        "Risk library",
        (
            Link("Legal clocks", "timer", "admin:clocks_legalclock_changelist", "clocks.view_legalclock"),
            Link(
                "Law and facts that changed",
                "history",
                "admin:clocks_reassessment_changelist",
                "clocks.view_reassessment",
            ),
        ),
        place=30,
    )
)
