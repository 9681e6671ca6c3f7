"""Which consumer owns which partition: rendezvous hashing (Thaler and Ravishankar, 1998).

Every consumer computes the same result from the same list, without asking the others. A consumer that joins takes its
share from each of the others; when one leaves, only its own partitions move.
"""

from collections.abc import Collection, Iterable
from hashlib import blake2b


def owner_of(partition: int, consumers: Collection[int]) -> int | None:
    """The consumer that owns the partition; None if there is none."""
    return max(consumers, key=lambda consumer: (_weight(partition, consumer), consumer), default=None)


def share_of(consumer: int, consumers: Collection[int], partitions: Iterable[int]) -> set[int]:
    """The partitions that this consumer owns among these consumers."""
    return {partition for partition in partitions if owner_of(partition, consumers) == consumer}


def _weight(partition: int, consumer: int) -> bytes:
    return blake2b(f"{partition}:{consumer}".encode(), digest_size=8).digest()
