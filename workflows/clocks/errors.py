"""What can go wrong with legal clocks, as facts: part of the tree that the API maps once."""

from workflows.errors import WorkflowsError


class ClocksError(WorkflowsError):
    """Something about legal clocks went wrong."""

    code = "clocks_error"


class UnknownClock(ClocksError):
    """The run has no such legal clock. `GET /api/v1/runs/{id}/clocks` lists those it has."""

    code = "unknown_clock"
    status = 404


class ClockInState(ClocksError):
    """The legal clock is in a state that does not allow this: it was filed, is stopped already, or does not stand."""

    code = "clock_in_state"
    status = 409


class ClockChangeInvalid(ClocksError):
    """The change of the legal clock is not valid. Fix what `faults` names, and send it again."""

    code = "clock_change_invalid"
    status = 422


class NothingToAssess(ClocksError):
    """The run assessed no duties that a fact could change, or those of too many incidents. Amend its clocks instead."""

    code = "nothing_to_assess"
    status = 409
