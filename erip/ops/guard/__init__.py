"""The node guard: Patroni's parent process, which makes a dead node let go of the leadership at once.

    python -m erip.ops.guard /etc/patroni/patroni.yml

Note [Why a guard]. Patroni's leader key lives 20 s after its holder died, and Patroni allows no less; so a node that
dies as a whole is missed for 20 to 26 s. The guard decides no failover. It only takes away what a dead node holds:

- **On its own node.** When Patroni dies, or the leader's postmaster dies or hangs, or the leader is cut off from all
  others (Note [Cut off] in `outside`), the guard kills the local PostgreSQL, deletes the leader key if and only if it
  is still this node's (compare-and-delete), and starts Patroni again. The peers then run Patroni's ordinary race, in
  which a standby that lacks an acknowledged write cannot win.
- **On the other nodes** (Note [Peer watch] in `peers`). When a whole node is lost with its guard, the guards of all
  synchronous standbys must agree before the key is deleted.

The code that decides is pure: `judgement` for this node, `suspicion` and `votes` for the others. The rest observes and
acts: `node` (processes), `probes` (ports), `outside` (everybody else), `receiver` (the WAL receiver), `etcd`, `cluster`
(what Patroni wrote there).
While the cluster is paused (`patronictl pause`) the guard restarts a dead Patroni and does nothing else.
"""
