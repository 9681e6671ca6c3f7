"""Whether the guards of the standbys agree that the leader's node is dead: pure."""

import json
from collections.abc import Mapping

from erip.ops.guard.cluster import Cluster
from erip.ops.guard.etcd import Entry


def ballot(leader: Entry) -> str:
    """What a voter writes: against this leadership, and against no later one of the same node."""
    return json.dumps({"leader": leader.value, "revision": leader.revision}, sort_keys=True)


def unanimous(cluster: Cluster, votes: Mapping[str, Entry]) -> list[Entry] | None:
    """The entries that must be unchanged when the leader key is deleted: the list of synchronous standbys, and the vote
    of each. None when one of them has not voted, or when there is no synchronous standby at all.

    With quorum `ANY 1` a commit needs one of the standbys. Each that votes has cut its WAL receiver, so once all have
    voted the old leader can acknowledge nothing more, dead or not.
    """
    if cluster.leader is None or cluster.sync is None or not cluster.voters:
        return None
    wanted = ballot(cluster.leader)
    cast = [votes.get(name) for name in sorted(cluster.voters)]
    if any(vote is None or vote.value != wanted for vote in cast):
        return None
    return [cluster.sync, *(vote for vote in cast if vote is not None)]
