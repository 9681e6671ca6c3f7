"""What an autoscaler needs from the system that runs the workers."""

from dataclasses import dataclass
from typing import Protocol


class ScalingFailed(Exception):
    """The number of replicas could not be read or changed; the message says why."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Shares (0 to 1 and above) of what a replica may use, on average. None: unknown."""

    cpu: float | None = None
    memory: float | None = None
    #: whether there is no memory for another replica
    full: bool = False


class Driver(Protocol):
    #: what is scaled, as the events name it
    target: str

    def replicas(self) -> int:
        """The number of replicas that is set now. Raises ScalingFailed."""

    def scale(self, replicas: int) -> None:
        """Set the number of replicas; does not wait for them. Raises ScalingFailed."""

    def usage(self) -> Usage:
        """What the replicas use. Reports it as unknown rather than raise."""

    def close(self) -> None:
        """The autoscaler ends."""
