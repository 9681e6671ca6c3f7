"""Tests of steps and definitions in an ordinary pytest: no server, no database, no waiting.

run_step      calls the body of one step, with a context of sensible defaults
run_workflow  runs a definition to its end in memory, decided by the machine that decides in production

one_step   `run_step`
memory     `run_workflow`: the store, the workers and the clock of one run, in memory
rehearsing `rehearse`: the whole course, with people who are there or absent
examples   what stands in for a body's output
stubs      what stands in for the bodies of steps
moments    what happens to a run from outside, and when
results    what became of a run
steps_of   finds the registered steps that a definition uses
"""

from workflows.testing.memory import run_workflow
from workflows.testing.moments import answer, cancel, resolve, signal
from workflows.testing.one_step import run_step
from workflows.testing.results import Entry, Result, StepResult
from workflows.testing.stubs import StubUnfit, in_turn, lost, takes

__all__ = [
    "Entry",
    "Result",
    "StepResult",
    "StubUnfit",
    "answer",
    "cancel",
    "in_turn",
    "lost",
    "resolve",
    "run_step",
    "run_workflow",
    "signal",
    "takes",
]
