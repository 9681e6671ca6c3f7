"""What the engine adds to the platform."""

from typing import Any

from erip.foundation.hooks import (
    Feature,
    Link,
    Menu,
    Recorded,
    api_urls,
    append_only,
    as_owner,
    feature,
    home_section,
    light_routes,
    menu,
    metrics,
    open_to_all,
    recorded,
    shipped,
    unchanging,
    unrecorded,
    walled,
)
from workflows import walls
from workflows.conf import conf
from workflows.engine import holds  # noqa: F401  (its duty)
from workflows.management import reference_definitions
from workflows.store import archive
from workflows.store.timings import REGISTRY


@light_routes
def routes() -> object:
    from workflows.api.hot import ROUTES

    return ROUTES


@home_section
def failing(request: Any) -> str:
    from workflows.admin.failing import section

    return section(request)


feature(
    Feature(
        "what-if",
        "The API does not decide past runs once more: those operations are answered with 503. Commands go on.",
        on=True,
        about=("user", "key", "token"),
        share_of="callers",
    )
)
feature(
    Feature(
        "chunks",
        "Runs that start together are accepted one by one: slower, and each on its own. What is in chunks goes on.",
        on=True,
        about=("workflow",),
        share_of="workflows",
    )
)
api_urls("workflows.api.urls")
metrics(REGISTRY)
shipped(reference_definitions.SOURCE)
menu(
    Menu(
        "Work",
        (
            Link("Runs", "play_circle", "admin:workflows_workflowrun_changelist", "workflows.view_workflowrun"),
            Link(
                "Archived runs", "inventory_2", "admin:workflows_archivedrun_changelist", "workflows.view_archivedrun"
            ),
            Link("Batches", "checklist", "admin:workflows_runbatch_changelist", "workflows.view_workflowrun"),
            Link("Pauses", "pause_circle", "admin:workflows_hold_changelist", "workflows.view_workflowrun"),
            Link(
                "Definitions",
                "account_tree",
                "admin:workflows_workflowdefinition_changelist",
                "workflows.view_workflowdefinition",
            ),
            Link(
                "Decision tables",
                "table_chart",
                "admin:decisions_decisiontable_changelist",
                "decisions.view_decisiontable",
            ),
            Link("Workers", "memory", "admin:workflows_worker_changelist", "workflows.view_worker"),
        ),
        place=10,
    )
)

# What was published, and what has ended and left the hot tables, stays as it is. A run's events leave for the archive.
for table in (
    "workflows_workflowversion",
    "decisions_decisionversion",
    "workflows_archivedrun",
    "workflows_archivedsteprun",
    "workflows_archivedrunevent",
):
    append_only(table)
unchanging("workflows_runevent")
unchanging("workflows_runretry")

for policy in (*walls.RUNS.items(), *walls.DECISIONS.items()):
    walled(policy)
open_to_all(("workflows_worker", "a step names the process that ran it, and processes are the platform's"))

# The texts of an approval hold data of its run.
recorded(
    Recorded(
        "workflows_approvaltask", hashed=("title", "content", "business_key", "seats"), without=("rung", "next_at")
    )
)
recorded(Recorded("workflows_hold", without=("looked_to",)))
for table in (
    "workflows_workflowrun",
    "workflows_steprun",
    "workflows_runevent",
    "workflows_runpause",
    "workflows_runretry",
    "workflows_runsignal",
    "workflows_chunk",
):
    unrecorded((table, "workers write it thousands of times a second; the run's journal has each change"))
for table in ("workflows_archivedrun", "workflows_archivedsteprun", "workflows_archivedrunevent"):
    unrecorded((table, "what has ended, moved as it is"))
for table in ("workflows_stepbeat", "workflows_leader", "workflows_worker", "workflows_slowversion"):
    unrecorded((table, "what processes say of themselves and of what they measured"))
unrecorded(("workflows_batchrun", "the batch is recorded; it lists what became of each run"))
unrecorded(("workflows_idempotencykey", "answers that are kept for a repeated request"))


@as_owner
def keep_archive(cursor: Any) -> None:
    archive.promise(cursor, conf().keep_archive_months)
