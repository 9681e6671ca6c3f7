"""Feature flags."""

from datetime import datetime

from .base import Document


class FlagSaid(Document):
    """What an operator says of a flag; the first that says something decides."""

    everyone: bool | None
    off_for: list[str]
    on_for: list[str]
    percent: float | None
    note: str
    changed_by: str
    changed_at: datetime


class FeatureFlag(Document):
    """A flag. on: what the release says. unknown: what holds in a process that never reached the database. said: None:
    no operator says anything."""

    name: str
    known: bool
    meaning: str
    on: bool
    unknown: bool
    about: list[str]
    share_of: str
    said: FlagSaid | None
