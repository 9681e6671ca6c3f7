"""A backup, restored beside the living platform and proven: `manage.py drill`.

Note [Drill]
A backup that nobody has restored is a hope. A drill restores the newest one (or up to a named second) into a PostgreSQL
of its own, on free ports and in a folder of its own, and asks what came of it:

- `ledger`: each run that was accepted before that second is there, with the outcome that it had; none from after it is.
- `trail`: the audit log's chain and signatures hold, and the living log is its continuation.
- `erased`: what was erased since that second is erased again, from the certificates of the living database.
- `keys`: one data key of each key-encryption key can be opened with the keys that this host has.
- `work`: a leader and a worker start on it, with a Redis of their own, and take up what was due. They are parked
  (Note [Parked] in `erip.foundation.outbound.parked`): what the restored runs do reaches nobody.

It measures how long each part took. The time to recover (RTO) is from the command to the first step that a worker took
up; what would be lost (RPO) is the time between the command and the last transaction that was restored, or 0 with a
named second. Its record is signed (Note [Recovery records] in `monitoring.recovery`).

What it assumes: the drill's host has the settings of a leader, pgBackRest with the repository's configuration,
PostgreSQL of the same major version, and room for the data once more. The living database is only read.
"""
