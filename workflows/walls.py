"""What PostgreSQL shows callers of some spaces of each table: Note [Second wall] in `erip.foundation.db.walls`.

All follows from the names of the workflows in the caller's spaces. A condition that names another table sees of it what
the caller sees.
"""

from collections.abc import Mapping
from typing import Final

from erip.foundation.db.walls import SPACES, found
from workflows.core.lifecycle import source_of

WORKFLOWS: Final = found("workflows", "SELECT name FROM workflows_workflowdefinition WHERE space = ANY ({spaces})")


def of_workflow(column: str) -> str:
    """Rows whose column names a workflow in the caller's spaces."""
    return f"{column} = ANY ({WORKFLOWS})"


def part_of(table: str, column: str, of: str, key: str = "id") -> str:
    """Rows of `table` whose column is the key of a row of the table `of` that the caller may see."""
    return f"EXISTS (SELECT FROM {of} whole WHERE whole.{key} = {table}.{column})"


def of_run(table: str, column: str = "run_id") -> str:
    """Rows of a run, wherever it is by now."""
    live, ended = (part_of(table, column, of) for of in ("workflows_workflowrun", "workflows_archivedrun"))
    return f"{live} OR {ended}"


#: the names of the decision tables that the versions in force ask
TABLES_ASKED: Final = """
SELECT split_part(step.value ->> 'decision', '@', 1)
FROM workflows_workflowdefinition d
JOIN workflows_workflowversion v ON v.definition_id = d.id AND v.number = d.latest
CROSS JOIN LATERAL jsonb_each(
    CASE jsonb_typeof(v.document -> 'steps') WHEN 'object' THEN v.document -> 'steps' END) step
WHERE step.value ->> 'decision' IS NOT NULL"""

DECISIONS: Final[Mapping[str, str]] = {
    "decisions_decisiontable": f"name IN ({TABLES_ASKED})",
    "decisions_decisionversion": part_of("decisions_decisionversion", "table_id", "decisions_decisiontable"),
}

RUNS: Final[Mapping[str, str]] = {
    "workflows_workflowdefinition": f"space = ANY ({SPACES})",
    "workflows_workflowversion": "definition_id IN (SELECT id FROM workflows_workflowdefinition)",
    "workflows_workflowrun": of_workflow("workflow"),
    "workflows_archivedrun": of_workflow("workflow"),
    "workflows_steprun": part_of("workflows_steprun", "run_id", "workflows_workflowrun"),
    "workflows_archivedsteprun": part_of("workflows_archivedsteprun", "run_id", "workflows_archivedrun"),
    "workflows_runevent": part_of("workflows_runevent", "run_id", "workflows_workflowrun"),
    "workflows_archivedrunevent": part_of("workflows_archivedrunevent", "run_id", "workflows_archivedrun"),
    "workflows_runpause": part_of("workflows_runpause", "run_id", "workflows_workflowrun"),
    "workflows_runretry": of_run("workflows_runretry", "retry_of"),
    "workflows_runbatch": f"cardinality(workflows) > 0 AND workflows::text[] <@ {WORKFLOWS}",
    "workflows_batchrun": part_of("workflows_batchrun", "batch_id", "workflows_runbatch"),
    "workflows_hold": f"kind = 'workflow' AND {of_workflow('name')}",
    "workflows_approvaltask": of_workflow("workflow"),
}

CLOCKS: Final[Mapping[str, str]] = {
    table: of_workflow("workflow") for table in ("clocks_legalcase", "clocks_legalclock", "clocks_reassessment")
}

_PREFIX: Final = source_of("")
_OF_SOURCE: Final = f"starts_with(source, '{_PREFIX}') AND {of_workflow(f'substr(source, {len(_PREFIX) + 1})')}"

EVENTS: Final[Mapping[str, str]] = {
    "events_event": _OF_SOURCE,
    "events_subscription": _OF_SOURCE,
    "events_delivery": part_of("events_delivery", "subscription_id", "events_subscription"),
    "events_deliveryattempt": part_of("events_deliveryattempt", "delivery_id", "events_delivery"),
    "events_trigger": "EXISTS (SELECT FROM events_triggerversion v"
    " WHERE v.trigger_id = events_trigger.id AND v.number = events_trigger.latest)",
    "events_triggerversion": of_workflow("workflow"),
    "events_triggeredrun": of_run("events_triggeredrun"),
    "events_pendingstart": of_workflow("workflow"),
    "events_pendingevent": part_of("events_pendingevent", "pending_id", "events_pendingstart"),
    "events_deadletter": f"effect = 'triggers' AND {of_workflow('target')}",
}
