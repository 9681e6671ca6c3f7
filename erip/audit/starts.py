"""Entries of what happens thousands of times a second: starts of runs, and accepted events.

Note [Audited starts]
A row for each start is too much where thousands come at once. So a start's entry is written in the statement
that inserts the run, and a group has one entry: all runs of one statement, all requests of one group commit of the
event journal. Each run's id, and each request's caller, is in it. Events start runs in large groups: one entry names
them all, with the trigger or the schedule as the principal.

Measured in turns with and without, on a machine with much other work, CPU time of this process and of PostgreSQL: in
groups of 1,000 an entry costs 6 µs a run, 1 % of what a run of four steps takes from start to end; for a run that is
started alone 80 µs, 6 % of its start.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from erip.audit import entries
from erip.audit.operation import current

#: for use within a larger statement; takes `started`'s parameters
SELECT = entries.SELECT
#: a statement of its own, in the same string as others; takes the same parameters
VALUES = f"{entries.INSERT} VALUES (%s, %s)"


def started(by: str, workflows: Sequence[str], run_ids: Sequence[str]) -> list[str]:
    """The parameters of an entry that these runs were started."""
    operation = current()
    detail: dict[str, Any] = {"workflows": sorted(set(workflows)), "runs": list(run_ids)}
    if len(run_ids) == 1:
        detail["object"] = f"runs/{run_ids[0]}"
    if operation is not None and operation.writes_itself:
        operation.written = True
        return entries.parameters(operation.body(principal=by, **detail))
    request = {} if operation is None else {"request": operation.request, "by": operation.principal()}
    return entries.parameters({"kind": "effect", "action": "startRuns", "principal": by, **request, **detail})


def sender(events: int, sources: Mapping[str, int]) -> dict[str, Any]:
    """What the entry of a group says of one request: who sent how many events, with which sources."""
    operation = current()
    told: dict[str, Any] = {"events": events, "sources": dict(list(sources.items())[:100])}
    if operation is None:
        return {"principal": "platform", **told}
    operation.written = True
    body = operation.body(**told)
    return {
        name: body[name]
        for name in ("principal", "from", "request", "events", "sources", "break_glass")
        if name in body
    }


def accepted(senders: Sequence[Mapping[str, Any]]) -> list[str]:
    """The parameters of an entry that the events of these requests were accepted."""
    body: dict[str, Any] = {"kind": "operation", "door": "api", "action": "acceptEvents", "object": "events"}
    if len(senders) == 1:
        return entries.parameters({**body, **senders[0]})
    return entries.parameters({**body, "principal": "several", "requests": list(senders)})
