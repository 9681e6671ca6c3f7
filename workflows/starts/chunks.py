"""Which runs are accepted in chunks (Note [Chunks] in `store/chunks`), and how large these are."""

from collections.abc import Iterable, Sequence
from threading import Lock

from cachetools import TTLCache, cached

from erip.access.flags import asking as flags
from workflows import registry, store
from workflows.conf import conf
from workflows.core.graph import Graph
from workflows.core.states import Lane
from workflows.starts import holds
from workflows.store import Held, NewRun, chunks, outbox

#: the format level of workers and leaders that know chunks (Note [Format levels] in `core/kinds`)
LEVEL = 8
#: runs of one start below which they are accepted one by one
FEWEST = 20
#: chunks that a start is shared out into, if it is large enough: so many threads may work on it at once
SHARES = 8


def size_for(graph: Graph, version_id: int, lanes: Sequence[str], in_force: Iterable[Held]) -> int:
    """How many runs of this version that start together share a chunk; 0: none do.

    Critical runs do not: each is taken by the first worker that is free. Nor do runs of which somebody wants to hear
    each event, of a workflow or a lane that is paused, or of a version with a step that was seen to take long, or with
    whose result something else is written.
    lanes: of each run. in_force: what is paused.
    """
    most = conf().chunk_runs
    if not most or len(lanes) < FEWEST or graph.chain is None or outbox.interest().types:
        return 0
    if any(registry.recorder(link.work.uses) for link in graph.chain.links):
        return 0
    lane = lanes[0]
    if lane == Lane.CRITICAL or any(other != lane for other in lanes):
        return 0
    if (
        holds.hold_of(graph.name, lane, in_force) is not None
        or version_id in _slow()
        or _behind(max(LEVEL, graph.level))
        or not flags.is_on("chunks", f"workflow:{graph.name}")
    ):
        return 0
    return min(most, max(FEWEST, len(lanes) // SHARES))


def insert_runs(runs: Sequence[NewRun], size: int) -> list[tuple[str, str]]:
    """Insert these runs in chunks, in the caller's transaction. Returns the hints to publish after commit."""
    return chunks.insert_in_chunks(runs, size=size)


@cached(TTLCache(1, 1.0), lock=Lock())
def _slow() -> frozenset[int]:
    return chunks.slow_versions()


@cached(TTLCache(16, 1.0), lock=Lock())
def _behind(level: int) -> bool:
    """Whether a worker or a leader lives that knows no chunks, or cannot read what is in them."""
    return bool(store.living_below(level, lease=conf().lease))


def forget() -> None:
    """Read again at the next use: for tests."""
    _slow.cache_clear()
    _behind.cache_clear()
