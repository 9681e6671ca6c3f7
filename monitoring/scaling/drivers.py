"""What an autoscaler needs of whatever runs the workers."""

from dataclasses import dataclass
from typing import Protocol


class ScalingFailed(Exception):
    """The number of replicas could not be read or changed; the message says why."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Shares (0 to 1 and beyond) of what a replica may use, on the average. None: nobody knows."""

    cpu: float | None = None
    memory: float | None = None
    #: whether there is no memory for another replica
    full: bool = False


class Driver(Protocol):
    #: what is scaled, as the events name it
    target: str

    def replicas(self) -> int:
        """How many there should be so far. Raises ScalingFailed."""

    def scale(self, replicas: int) -> None:
        """Have so many from now on; does not wait for them. Raises ScalingFailed."""

    def usage(self) -> Usage:
        """What the replicas use. Knows nothing rather than raise."""

    def close(self) -> None:
        """The autoscaler ends."""
