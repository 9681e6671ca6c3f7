"""All SQL of PULSE. Everything here reads from and writes to the primary: the reports are not on a replica."""

from monitoring.store.components import (
    Report,
    Reported,
    farewell,
    forget_reports,
    insert_report,
    observation,
    observed,
    read_reports,
    update_report,
)
from monitoring.store.frames import (
    Known,
    append_frame,
    drop_old_frames,
    has_frame,
    learn_series,
    newest_frame,
    read_points,
    read_series,
    roll_up,
)
from monitoring.store.states import StoredState, note_states, read_states

__all__ = [
    "Known",
    "Report",
    "Reported",
    "StoredState",
    "append_frame",
    "drop_old_frames",
    "farewell",
    "forget_reports",
    "has_frame",
    "insert_report",
    "learn_series",
    "newest_frame",
    "note_states",
    "observation",
    "observed",
    "read_points",
    "read_reports",
    "read_series",
    "read_states",
    "roll_up",
    "update_report",
]
