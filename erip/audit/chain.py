"""The mathematics of the log: what is hashed, the chain, and the Merkle tree. Knows no database and no clock.

Note [Audit chain]
An entry's bytes are those of `canonical`, a JSON object that PostgreSQL assembles (`audit_canonical`). Its *leaf* is
SHA-256 of a zero byte and these bytes. The *head* after an entry is SHA-256 of the head before it and its leaf; the
first head is 32 zero bytes. The *root* over the first n entries is the Merkle tree hash of RFC 6962, section 2.1, with
the same leaves. The chain fixes the order; the tree proves with a few hashes that one entry is in. `erip_verify.py`
computes all three again, with code of its own.

What is kept between two entries is the frontier: the roots of the complete subtrees, largest first, one for each 1 in
the binary form of n.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

#: the head of an empty log
NOTHING = bytes(32)


def leaf_of(canonical: bytes) -> bytes:
    """The leaf of an entry, 32 bytes."""
    return sha256(b"\x00" + canonical).digest()


def node_of(left: bytes, right: bytes) -> bytes:
    """The inner node over two subtrees."""
    return sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Log:
    """A log of `size` entries."""

    size: int = 0
    head: bytes = NOTHING
    #: the complete subtrees, largest first
    frontier: tuple[bytes, ...] = ()

    def with_leaves(self, leaves: Iterable[bytes]) -> "Log":
        """The log with these entries added."""
        size, head, frontier = self.size, self.head, list(self.frontier)
        for leaf in leaves:
            head = sha256(head + leaf).digest()
            node, rest = leaf, size
            while rest & 1:
                node = node_of(frontier.pop(), node)
                rest >>= 1
            frontier.append(node)
            size += 1
        return Log(size, head, tuple(frontier))

    @property
    def root(self) -> bytes:
        """The Merkle root of all entries; of an empty log, SHA-256 of nothing."""
        if not self.frontier:
            return sha256(b"").digest()
        *rest, node = self.frontier
        for left in reversed(rest):
            node = node_of(left, node)
        return node


def path_of(leaves: list[bytes], index: int) -> list[bytes]:
    """The inclusion proof of the leaf at `index` (from 0): the siblings on its way to the root, lowest first."""
    if len(leaves) <= 1:
        return []
    split = _split(len(leaves))
    if index < split:
        return [*path_of(leaves[:split], index), _root(leaves[split:])]
    return [*path_of(leaves[split:], index - split), _root(leaves[:split])]


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << ((size - 1).bit_length() - 1)


def _root(leaves: list[bytes]) -> bytes:
    return Log().with_leaves(leaves).root
