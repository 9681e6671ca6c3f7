"""Tasks whose messages are hints. Web processes know them too, so nothing of Celery's worker is loaded here."""

from collections.abc import Mapping
from typing import Any

from celery import Task


class HintTask(Task):
    """A task whose messages are hints: Note [Short way] in `short_way`."""

    Strategy = "erip.foundation.process.short_way:handler"

    def fetched(self, queue: str, keywords: Mapping[str, Any]) -> None:
        """A message of this task came in, and a thread will `run` with some message's arguments. For subclasses."""
