"""The peers, in the table's order, and what is documented of each: the README says more."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """One peer, or one configuration of it."""

    name: str
    title: str
    #: its name on PyPI; None is this project itself
    package: str | None
    #: its configuration in one line
    configuration: str
    #: what is on disk when an outcome is recorded, and what may be lost in a crash of a server or a worker
    durability: str
    #: the folder under `benchmarks/peers`, given for a second configuration
    folder: str = ""
    #: divides the number of workflows, for peers that would take minutes
    fewer: int = 1

    @property
    def module(self) -> str:
        """Its code is `benchmarks.peers.<module>.peer`."""
        return self.folder or self.name


CATALOGUE = (
    Entry(
        "erip",
        "ERIP",
        None,
        "a general worker a core (16 threads), the leader, bulk start",
        "PostgreSQL, fsync at start and outcome, so no run and no outcome is lost; checkpoints between idempotent steps"
        " are not waited for: a crash of PostgreSQL repeats such steps",
    ),
    Entry(
        "erip-strict",
        "ERIP, strict",
        None,
        "the same with steps that are not idempotent",
        "PostgreSQL, fsync at start, each step and outcome; nothing is lost",
        folder="erip",
    ),
    Entry(
        "celery",
        "Celery canvas",
        "celery",
        "a solo worker a core, prefetch 64, chain, only the last result stored; Redis",
        "Redis AOF every second: up to 1 s of work is lost with Redis; a killed worker's running task is lost",
    ),
    Entry(
        "dbos",
        "DBOS",
        "dbos",
        "a process a core, workflows run in the process that starts them; PostgreSQL",
        "PostgreSQL, fsync at start, each step and outcome; recovery at the executor's restart",
        fewer=2,
    ),
    Entry(
        "procrastinate",
        "Procrastinate",
        "procrastinate",
        "an async worker a core, concurrency 10, LISTEN/NOTIFY, bulk defer; PostgreSQL",
        "PostgreSQL, fsync at each job; a killed worker's job stays in doing until the application retries it",
        fewer=2,
    ),
    Entry(
        "dramatiq",
        "Dramatiq",
        "dramatiq",
        "a process a core, 8 threads each, prefetch 64, a look each 10 ms, pipeline, last result stored; Redis",
        "Redis AOF every second: up to 1 s of work is lost with Redis; late acknowledgement, so workers may die",
    ),
    Entry(
        "prefect",
        "Prefect",
        "prefect",
        "one server, a process a core, 20 async flows each, no deployment, no stored results; PostgreSQL",
        "states in PostgreSQL; results are not stored, so a flow that is cut off starts again or is lost",
        fewer=20,
    ),
)
