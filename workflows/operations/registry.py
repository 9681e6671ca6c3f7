"""Which operations there are."""

from workflows.operations.cancel import CANCEL
from workflows.operations.operation import FAILED, PENDING, Operation
from workflows.operations.pause import PAUSE, PAUSE_GO, RESUME
from workflows.operations.retry import RETRY

OPERATIONS: dict[str, Operation] = {each.name: each for each in (CANCEL, RETRY, PAUSE, PAUSE_GO, RESUME)}

#: what can become of a run, whichever operation it is; "pending": it has not had its turn
OUTCOMES: frozenset[str] = frozenset({PENDING, FAILED}).union(*(each.outcomes for each in OPERATIONS.values()))
