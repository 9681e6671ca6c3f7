"""Here the registry finds the library's steps, and a worker finds the data that they read from memory."""

from workflows.library import warm
from workflows.library.atlas import steps as atlas
from workflows.library.beacon import steps as beacon
from workflows.library.clearance import steps as clearance
from workflows.library.compass import steps as compass
from workflows.library.containment import steps as containment
from workflows.library.nexus import steps as nexus
from workflows.library.notify import steps as notify
from workflows.library.prism import steps as prism
from workflows.library.questionnaire import steps as questionnaire
from workflows.library.trust import steps as trust

__all__ = [
    "atlas",
    "beacon",
    "clearance",
    "compass",
    "containment",
    "nexus",
    "notify",
    "prism",
    "questionnaire",
    "trust",
    "warm",
]
