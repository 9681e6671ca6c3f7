"""Whether results are right: a fast wrong answer counts as none."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from .records import RunRecord
from .workloads import Workload

#: how many faults are named; the rest is only counted
NAMED = 10


@dataclass(frozen=True)
class Correctness:
    """What the check of some runs found."""

    #: runs that were expected
    expected: int
    succeeded: int
    #: step records with an outcome
    steps: int
    #: bodies that ran again: allowed (at least once), but worth knowing
    repeated: int
    wrong: int
    faults: list[str] = field(default_factory=list)

    @property
    def right(self) -> bool:
        return self.wrong == 0

    @property
    def success(self) -> float:
        """The share that SUCCEEDED, in percent."""
        return 100.0 * self.succeeded / self.expected if self.expected else 0.0

    def __add__(self, other: "Correctness") -> "Correctness":
        return Correctness(
            self.expected + other.expected,
            self.succeeded + other.succeeded,
            self.steps + other.steps,
            self.repeated + other.repeated,
            self.wrong + other.wrong,
            [*self.faults, *other.faults][:NAMED],
        )


NOTHING = Correctness(0, 0, 0, 0, 0)


def check(workload: Workload, ids: Sequence[str], runs: Sequence[RunRecord]) -> Correctness:
    """Each run is there once and SUCCEEDED, each step is recorded once, and the outputs are what they must be."""
    faults = {run_id: ["is not recorded"] for run_id in set(ids) - {run.id for run in runs}}
    constants = Counter(repr(workload.constant(run)) for run in runs if run.state == "SUCCEEDED")
    usual = constants.most_common(1)[0][0] if constants else ""
    for run in runs:
        found = _faults(workload, run)
        if run.state == "SUCCEEDED" and repr(workload.constant(run)) != usual:
            found.append("differs from the other runs of the same input")
        if found:
            faults[run.id] = found
    repeated_ids = len(ids) - len(set(ids))
    if repeated_ids:
        faults["ids"] = [f"{repeated_ids} run ids were given out twice"]
    steps = [step for run in runs for step in run.steps]
    return Correctness(
        expected=len(ids),
        succeeded=sum(run.state == "SUCCEEDED" for run in runs),
        steps=sum(step.state in ("SUCCEEDED", "SKIPPED") for step in steps),
        repeated=sum(step.attempt > 1 for step in steps),
        wrong=len(faults),
        faults=[f"{workload.workflow} {run_id}: {'; '.join(what)}" for run_id, what in sorted(faults.items())][:NAMED],
    )


def _faults(workload: Workload, run: RunRecord) -> list[str]:
    if run.state != "SUCCEEDED":
        return [f"is {run.state}"]
    faults = []
    recorded = Counter(step.step for step in run.steps)
    for step in workload.steps:
        if recorded[step] != 1:
            faults.append(f"step {step} is recorded {recorded[step]} times")
    faults += [f"step {step} is not of this workflow" for step in recorded.keys() - set(workload.steps)]
    for record in run.steps:
        allowed = ("SUCCEEDED", "SKIPPED") if record.step in workload.optional else ("SUCCEEDED",)
        if record.state not in allowed:
            faults.append(f"step {record.step} is {record.state}")
    return faults + workload.faults(run)
