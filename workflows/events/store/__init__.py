"""All SQL that changes the tables of the event bus.

One idea per module: `journal` (what comes in), `owners` (who consumes which partition), `rounds` (what a consumer does
in one transaction), `deadletters`, `quotas`, `replays`, `months` (the log's partitions, and what is forgotten).
Each function says whether it needs a transaction around it.

Note [Lock order] A round locks its partitions' rows in the order of their numbers, then inserts identities in the order
of their digests: two rounds never wait for each other in a circle. What an effect locks, it locks after that.
"""
