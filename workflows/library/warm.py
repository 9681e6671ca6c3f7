"""The reference data that the risk steps read from memory: loaded when a worker starts."""

from contextlib import suppress
from importlib import import_module
from typing import Final

from django.db.models import F

from erip.foundation.hooks import at_worker_start
from workflows.core.tables.document import TableInvalid
from workflows.library.atlas import data as atlas
from workflows.library.clearance import data as clearance
from workflows.library.compass import data as compass
from workflows.library.nexus import data as nexus
from workflows.library.notify import data as notify
from workflows.library.prism import data as prism
from workflows.models import WorkflowRun, WorkflowVersion

#: the tables that the shipped definitions ask; those of others are read when they are asked first
_SHIPPED: Final = ("breach-approval", "threat-response", "vulnerability-sla", "compliance-escalation")
#: the step that simulates, as definitions name it
SIMULATES: Final = "prism.quantify_risk"
#: workflows that are asked whether they have runs
MOST: Final = 50


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
    """Not while a simulation waits, where workflows simulate: it takes 17 MB of each worker. The first simulation that
    a platform ever does waits for it once in each worker, a tenth of a second."""
    simulate = WorkflowVersion.objects.filter(number=F("definition__latest"), source__contains=SIMULATES)
    names = simulate.order_by("-id").values_list("definition__name", flat=True)[:MOST]
    # One by one: each is one look into an index.
    if any(WorkflowRun.objects.filter(workflow=name).exists() for name in names):
        import_module("numpy")
