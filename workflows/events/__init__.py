"""The event bus: events come in, are journalled, logged once, and take effect once, in order for each key.

Note [Journal]
PostgreSQL is the journal, always. The journal holds blocks, not single events: a web process commits, in one group, one
row for each partition, with all events of that partition that came in meanwhile. So ten thousand events a second take
some hundred commits a second, and Redis may be away altogether. A stream in Redis could not keep this promise:
`FLUSHALL` is replicated like any other command, a full Redis refuses or evicts, and asynchronous replication loses
acknowledged entries at a failover. And two journals, one of them for bad times, can be merged in the order of each key
only with a fence in PostgreSQL anyway. Nor is it slower: `python -m benchmarks.journals` writes the same batches both
ways.

Note [Once]
A block is deleted (or its `done` raised) in the transaction that logs its events and writes what they caused, under the
lock of the partition's row. So whatever fails, an event is either still in the journal or has taken effect; and a
consumer that has lost a partition to another can neither read nor write in it. An event that is sent again is
recognised by its identity (source, id) in the same transaction.
"""
