"""What the fleet saw of one operation: its tries, and whether the answer was right. Times are time.perf_counter()."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Try:
    """One HTTP request."""

    began: float
    ended: float
    #: None: answered, and rightly; otherwise what was wrong, as a short name
    error: str | None

    @property
    def right(self) -> bool:
        return self.error is None

    @property
    def seconds(self) -> float:
        return self.ended - self.began


@dataclass(frozen=True, slots=True)
class Sample:
    """One operation that the fleet asked for, with its retries."""

    operation: str
    #: when it was due on the open-loop schedule
    due: float
    #: at least one
    tries: tuple[Try, ...]

    @property
    def right(self) -> bool:
        """Whether the client was answered rightly in the end."""
        return self.tries[-1].right

    @property
    def right_at_once(self) -> bool:
        """Whether a client without retries would have been."""
        return self.tries[0].right

    @property
    def ended(self) -> float:
        return self.tries[-1].ended

    @property
    def seconds(self) -> float:
        """From when it was due to the end of its last try."""
        return self.ended - self.due

    @property
    def error(self) -> str | None:
        return self.tries[-1].error
