"""Operations on many runs at once: whatever a filter matches, as a batch that can be followed run by run.

registry  what an operation is, and which there are
cancel, retry, pause  one operation each, or the pair
batches   count what would be done, accept a batch, work batches off
reading   batches as they are shown

A new operation is a file that makes an `Operation`, and a line in `registry`. See Note [Batches] in `store/batches`.
"""

from workflows.operations.batches import MOST_RUNS, Preview, begin, begin_with, preview, preview_of, work_off
from workflows.operations.operation import Operation
from workflows.operations.reading import batch_document, list_batch_runs, list_batches, status_of
from workflows.operations.registry import OPERATIONS, OUTCOMES

__all__ = [
    "MOST_RUNS",
    "OPERATIONS",
    "OUTCOMES",
    "Operation",
    "Preview",
    "batch_document",
    "begin",
    "begin_with",
    "list_batch_runs",
    "list_batches",
    "preview",
    "preview_of",
    "status_of",
    "work_off",
]
