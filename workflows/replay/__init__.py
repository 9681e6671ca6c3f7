"""Decides stored runs again with the code of today, and reports each difference. Reads only.

stored   reads runs from the database
history  what happened to a run, from its rows and events
again    decides it again
compare  what is different
what_if  what another decision table would have said
definitions  what another definition would have made of a run
what_if_definition  the same for many runs, page by page
pages    how many runs a page has, and how long it takes

Note [What is decided again]
Decided again is what the machine decides: which steps begin, with which input, which are skipped, cancelled, tried
again or failed, what waits wait for, what a `foreach` and the run give, and how the run ends; and whether today's
schema of the workflow and today's models of the steps still take the inputs. Taken as facts are what came from
elsewhere: what bodies gave and how they failed, claims, signals, decisions of people, deadlines, pauses.
Not stored, and so not decided again:
- the jitter of rests, and `retry_after`: how long a step rested is not compared, only that it did;
- whether a body's own error could be tried again: if a step failed for good before its attempts were used up, it could
  not; if a release allows more attempts than the failed step had, that is found only for failures that are always tried
  again (exceptions, timeouts);
- the moment of a decision, to the second: times that waits derive from it may differ by a minute;
- the order of what ended at the same moment in different workers.
"""

from workflows.replay.again import Difference, decide_again
from workflows.replay.definitions import by_definition
from workflows.replay.history import StoredEvent, StoredRow, StoredRun
from workflows.replay.stored import runs_since

__all__ = ["Difference", "StoredEvent", "StoredRow", "StoredRun", "by_definition", "decide_again", "runs_since"]
