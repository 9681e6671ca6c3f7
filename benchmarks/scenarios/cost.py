"""What a load cost a private stack."""

from erip.ops.stack import control

from ..figures import Figure, Target
from ..resources import Usage, usage
from ..session import Session

MEGABYTE = 2**20


def service_usage(session: Session) -> Usage | None:
    """None for a deployment whose processes cannot be seen."""
    deployment = session.deployment
    if deployment.pid is None or deployment.state is None:
        return None
    processes = control.status(deployment.state).processes
    return usage(deployment.pid, {process.pid: process.name for process in processes if process.pid})


def memory_figures(name: str, now: Usage) -> list[Figure]:
    """The peak of each worker process since it began."""
    return [
        Figure(f"{name}.memory.{worker}", f"peak memory of {worker}", peak / MEGABYTE, "MB", True, Target("<=", 300))
        for worker, peak in sorted(now.peak.items())
        if worker.startswith("worker-")
    ]
