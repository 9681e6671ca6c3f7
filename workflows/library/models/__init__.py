"""The library's tables, one file per area."""

from .atlas import Asset, Control, Organisation
from .beacon import Report, ReportLink
from .clearance import DecisionTable, DecisionVersion
from .compass import Obligation, Requirement
from .nexus import KevCatalogue, KevEntry, PastIncident
from .notify import Delivery, NotificationTarget
from .prism import LossFactor
from .reference import LoadedReference, ReferenceVersion

__all__ = [
    "Asset",
    "Control",
    "DecisionTable",
    "DecisionVersion",
    "Delivery",
    "KevCatalogue",
    "KevEntry",
    "LoadedReference",
    "LossFactor",
    "NotificationTarget",
    "Obligation",
    "Organisation",
    "PastIncident",
    "ReferenceVersion",
    "Report",
    "ReportLink",
    "Requirement",
]
