"""The reference data that the risk steps read from memory: loaded when a worker starts."""

from contextlib import suppress
from importlib import import_module
from typing import Final

from erip.foundation.hooks import at_worker_start
from workflows.core.tables.document import TableInvalid
from workflows.library.atlas import data as atlas
from workflows.library.clearance import data as clearance
from workflows.library.compass import data as compass
from workflows.library.nexus import data as nexus
from workflows.library.notify import data as notify
from workflows.library.prism import data as prism

#: the tables that the shipped definitions ask; those of others are read when they are asked first
_SHIPPED: Final = ("breach-approval", "threat-response", "vulnerability-sla", "compliance-escalation")


@at_worker_start
def read_reference_data() -> None:
    """Decision tables, obligations, assets and controls, known threats, risk factors, who is notified."""
    for name in _SHIPPED:
        with suppress(TableInvalid):  # published by a newer release
            clearance.in_force(name)
    for load in (
        compass.rules,
        compass.requirements,
        atlas.assets,
        atlas.controls,
        atlas.organisation,
        nexus.known_exploited,
        nexus.past_incidents,
        prism.factors,
    ):
        load()
    notify.targets("")


@at_worker_start
def load_numpy() -> None:
    """Not while the first simulation waits."""
    import_module("numpy")
