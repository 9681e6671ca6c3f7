"""What can go wrong with schedules, as facts: part of the tree that the API maps once."""

from workflows.errors import WorkflowsError


class SchedulesError(WorkflowsError):
    """Something about schedules went wrong."""

    code = "schedules_error"


class UnknownSchedule(SchedulesError):
    """There is no schedule of that name. `GET /api/v1/schedules` lists those there are."""

    code = "unknown_schedule"
    status = 404


class ScheduleInvalid(SchedulesError):
    """The schedule is not valid. Fix what `faults` names, and store it again."""

    code = "schedule_invalid"
    status = 422


class NotPaused(SchedulesError):
    """The schedule is not paused."""

    code = "schedule_not_paused"
    status = 409


class AlreadyPaused(SchedulesError):
    """The schedule is paused already."""

    code = "schedule_paused"
    status = 409
