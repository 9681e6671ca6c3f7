"""A log as the database holds it, to be changed by somebody who may do anything there."""

import base64
import hashlib
import json
import random
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from erip.audit.chain import Log, leaf_of

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()


@dataclass
class Block:
    ids: list[int]
    leaves: list[bytes] = field(default_factory=list)
    head: bytes = b""
    size: int = 0


@dataclass
class History:
    """entries: by id, the bytes that are hashed. sent: the lines that went to the file."""

    entries: dict[int, bytes] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)
    checkpoints: list[str] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)
    #: entries that are in no block
    late: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, sizes: list[int], every: int = 3) -> "History":
        """Blocks of these sizes, with a checkpoint after each so many of them."""
        made = cls()
        number = 0
        for at, size in enumerate(sizes, 1):
            ids = list(range(number + 1, number + size + 1))
            number += size
            for each in ids:
                made.entries[each] = made.canonical(each, f"thing {each}")
            made.blocks.append(Block(ids))
            made.seal()
            if at % every == 0 or at == len(sizes):
                made.sign()
        return made

    @staticmethod
    def canonical(number: int, what: str, at: int = 0) -> bytes:
        entry = json.dumps({"action": "test", "object": what})
        told = f'{{"id":{number},"xid":{number // 2},"at":{at or 10**15 + number},"role":"erip","entry":{entry}}}'
        return told.encode()

    def seal(self) -> None:
        """Compute all blocks anew."""
        log = Log()
        for block in self.blocks:
            block.leaves = [leaf_of(self.entries[each]) for each in block.ids]
            log = log.with_leaves(block.leaves)
            block.size, block.head = log.size, log.head
        self.log = log

    def sign(self, key: Ed25519PrivateKey = KEY) -> None:
        last = json.loads(self.checkpoints[-1])["checkpoint"] if self.checkpoints else None
        previous = json.dumps(last, separators=(",", ":")) if last else ""
        body = json.dumps(
            {
                "v": 1,
                "number": len(self.checkpoints) + 1,
                "at": 10**15 + len(self.checkpoints),
                "previous": hashlib.sha256(previous.encode()).hexdigest(),
                "size": self.log.size,
                "head": self.log.head.hex(),
                "root": self.log.root.hex(),
                "key": "test",
            },
            separators=(",", ":"),
        )
        signature = base64.b64encode(key.sign(body.encode())).decode()
        line = f'{{"checkpoint":{body},"signature":"{signature}"}}'
        start = last["size"] if last else 0
        leaves = b"".join(leaf for block in self.blocks for leaf in block.leaves)[start * 32 :]
        self.checkpoints.append(line)
        self.sent.append(f'{line[:-1]},"from":{start},"leaves":"{leaves.hex()}"}}'.encode())

    def lines(self) -> list[bytes]:
        """As `audit_lines` gives them."""
        found: list[str] = []
        position = 0
        for number, block in enumerate(self.blocks, 1):
            for each, leaf in zip(block.ids, block.leaves, strict=True):
                position += 1
                record = self.entries.get(each, b"null").decode()
                found.append(f'{{"position":{position},"leaf":"{leaf.hex()}","record":{record}}}')
            found.append(f'{{"block":{number},"at":{2 * 10**15},"size":{block.size},"head":"{block.head.hex()}"}}')
        found += self.checkpoints
        found += [f'{{"unsealed":{self.entries[each].decode()}}}' for each in self.late]
        return [line.encode() for line in found]

    # --- what somebody may do to it: each returns what is to be found -------------------------------------

    def edit(self, position: int) -> str:
        self.entries[self.id_at(position)] += b" "
        return f"edited at position {position}"

    def edit_and_seal(self, position: int) -> str:
        self.entries[self.id_at(position)] += b" "
        self.seal()
        return f"edited at position {position}"

    def remove(self, position: int) -> str:
        del self.entries[self.id_at(position)]
        return f"removed at position {position}"

    def remove_and_seal(self, position: int) -> str:
        last = position == self.log.size
        gone = self.id_at(position)
        for block in self.blocks:
            if gone in block.ids:
                block.ids.remove(gone)
        self.seal()
        return f"truncated at position {position}" if last else f"removed at position {position}"

    def insert(self, position: int) -> str:
        """Among the others, and hope that nobody notices that it is in no block."""
        number = max(self.entries) + 1
        self.entries[number] = self.canonical(number, "false", 10**15 + position)
        self.late.append(number)
        return f"inserted: entry {number}"

    def insert_and_seal(self, position: int) -> str:
        number = max(self.entries) + 1
        self.entries[number] = self.canonical(number, "false")
        here = self.id_at(position)
        block = next(block for block in self.blocks if here in block.ids)
        block.ids.insert(block.ids.index(here), number)
        self.seal()
        return f"inserted at position {position}"

    def swap(self, position: int) -> str:
        """Exchange what two entries say."""
        other = position % self.log.size + 1
        one, two = self.id_at(position), self.id_at(other)
        self.entries[one], self.entries[two] = self.entries[two], self.entries[one]
        return f"reordered at position {min(position, other)}"

    def swap_and_seal(self, position: int) -> str:
        first = self.swap(position)
        self.seal()
        return first

    def truncate(self, position: int) -> str:
        """Forget everything from a block on, with the checkpoints."""
        here = self.id_at(position)
        at = next(number for number, block in enumerate(self.blocks) if here in block.ids)
        del self.blocks[max(1, at) :]
        size = self.blocks[-1].size
        kept = [line for line in self.checkpoints if json.loads(line)["checkpoint"]["size"] <= size]
        self.checkpoints = kept or self.checkpoints[:1]
        return f"truncated at position {size + 1}" if size < self.log.size else ""

    def replay(self, position: int) -> str:
        """Put an old checkpoint in the place of the newest."""
        self.checkpoints[-1] = self.checkpoints[position % (len(self.checkpoints) - 1)]
        return "replayed: checkpoint"

    def forge(self, position: int) -> str:
        """Rewrite, and sign with another key."""
        self.edit_and_seal(position)
        other = Ed25519PrivateKey.from_private_bytes(bytes(32))
        count, self.checkpoints = len(self.checkpoints), []
        sent = self.sent
        for _ in range(count):
            self.sign(other)
        self.sent = sent
        return f"edited at position {position}"

    def id_at(self, position: int) -> int:
        return [each for block in self.blocks for each in block.ids][position - 1]


MANIPULATIONS = [
    History.edit,
    History.edit_and_seal,
    History.remove,
    History.remove_and_seal,
    History.insert,
    History.insert_and_seal,
    History.swap,
    History.swap_and_seal,
    History.truncate,
    History.replay,
    History.forge,
]


def anything(chance: random.Random) -> History:
    return History.of([chance.randint(1, 6) for _ in range(chance.randint(7, 12))])
