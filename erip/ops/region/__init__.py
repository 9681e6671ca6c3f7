"""Two regions, of which one writes: who that is, and what keeps the other from it.

Note [One region writes]
A region is a whole site: PostgreSQL, Redis, the processes of ERIP. One writes; PostgreSQL of the others follows it by
streaming, and their processes wait for their turn. Whose turn it is stands in one place outside of both, the *witness*:
an etcd whose members are in three places. It holds a term, `{"number": 7, "holder": "east"}`, which changes by
compare-and-swap alone.

Beside each PostgreSQL stands a *keeper*. Each second it asks the witness whose the term is. It lets PostgreSQL be for
`hold` seconds from the moment when it *asked* a question whose answer was "yours", by a clock that nobody sets. When
the answer is another region, or there was none for that long, it fences, also while a question is under way: PostgreSQL
is killed, and its control file is renamed, so that nobody can start it, neither Patroni nor a person in a hurry. That
goes for the standbys of the region that wrote, too: Patroni would make one of them the next primary. PostgreSQL of a
region that follows is left alone. A keeper that starts lets nothing start before it has an answer, or has fenced. If
the witness comes back and the term is still the same, nobody else has written: the file gets its name again. Otherwise
PostgreSQL stays fenced until it was made a copy of the new primary.

A take-over raises the term first. From then on no keeper of the other region gets a "yours". It then waits until all
of them have written that they have fenced, or for `hold` and `MARGIN` seconds: by then the last "yours" that any of
them can have got is too old. Only then it promotes. So no two regions ever take writes at the same time, however the
network is cut. A planned hand-over asks the keepers to end PostgreSQL in good order: it sends its standbys everything
before it ends, and nothing is lost.

What this assumes: a keeper runs wherever PostgreSQL of the region can be a primary, and PostgreSQL ends with its keeper
(systemd: `BindsTo=` and the keeper's watchdog, deploy/region). One that is frozen together with its PostgreSQL for
longer than `hold` fences it when both thaw, up to `LOOK` seconds later: what was acknowledged in that moment is lost.
With synchronous replication to the other region there is no such moment: nothing is acknowledged any more.
"""
