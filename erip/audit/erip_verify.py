#!/usr/bin/env python3
"""Checks an audit log of ERIP. One file; needs Python 3.9 or newer and nothing of ERIP.

    erip_verify.py export.jsonl --key KEY --witness checkpoints.jsonl
    psql -At -v FETCH_COUNT=10000 -c "SELECT line FROM audit_lines ORDER BY number, part" | erip_verify.py - --key KEY

It reads the lines of `audit_lines` and computes everything again: each entry's leaf, the chain, the Merkle tree, and
the signature of every checkpoint. It names the first entry that was edited, removed, inserted or moved; a log that was
cut off; a checkpoint that was replayed, changed or left out. `--witness`: the file to which checkpoints were sent; it
holds the leaves, and so names the entry even where the whole chain was computed anew. `--prove N` prints a proof that
the entry at position N is in, and `--proof FILE` checks one. `--pack FILE` checks an evidence pack: every file, and the
part of the log that is in it.

Exit code: 0 the log is whole, 1 it is not, 2 it could not be read.

The formats are described in docs/reference/audit.md. Ed25519 is RFC 8032, section 5.1; if the package `cryptography`
is there it is used, because it is 50 times as fast.
"""

# mypy: allow-untyped-defs, allow-untyped-calls

import argparse
import base64
import binascii
import bisect
import hashlib
import json
import sys
import time
import zipfile
import zlib
from pathlib import Path

NOTHING = bytes(32)


# --- Ed25519, verification only (RFC 8032, section 5.1.7) ---------------------------------------------------

_P = 2**255 - 19
_L = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, _P - 2, _P) % _P
_ROOT = pow(2, (_P - 1) // 4, _P)


def _recover_x(y, sign):
    if y >= _P:
        return None
    x2 = (y * y - 1) * pow(_D * y * y + 1, _P - 2, _P) % _P
    if x2 == 0:
        return None if sign else 0
    x = pow(x2, (_P + 3) // 8, _P)
    if (x * x - x2) % _P != 0:
        x = x * _ROOT % _P
    if (x * x - x2) % _P != 0:
        return None
    return _P - x if (x & 1) != sign else x


def _point(data):
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    x = _recover_x(y, sign)
    return None if x is None else (x, y, 1, x * y % _P)


def _add(one, two):
    a = (one[1] - one[0]) * (two[1] - two[0]) % _P
    b = (one[1] + one[0]) * (two[1] + two[0]) % _P
    c = 2 * one[3] * two[3] * _D % _P
    d = 2 * one[2] * two[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % _P, g * h % _P, f * g % _P, e * h % _P)


def _times(factor, point):
    result = (0, 1, 1, 0)
    while factor:
        if factor & 1:
            result = _add(result, point)
        point = _add(point, point)
        factor >>= 1
    return result


_GY = 4 * pow(5, _P - 2, _P) % _P
_G = _point((_GY).to_bytes(32, "little"))


def verify_ed25519(public, signature, message):
    """Whether the signature (64 bytes) of the message is by the holder of this public key (32 bytes)."""
    if len(public) != 32 or len(signature) != 64:
        return False
    a, r = _point(public), _point(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= _L:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % _L
    left, right = _times(s, _G), _add(r, _times(h, a))
    return (left[0] * right[2] - right[0] * left[2]) % _P == 0 and (left[1] * right[2] - right[1] * left[2]) % _P == 0


def _verifier():
    """The quickest way at hand, and whether it is quick."""
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError:
        return verify_ed25519, False

    def verify(public, signature, message):
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True

    return verify, True


# --- the Merkle tree (RFC 6962, section 2.1) ---------------------------------------------------------------


def leaf_of(canonical):
    return hashlib.sha256(b"\x00" + canonical).digest()


def node_of(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """The roots over the first 1, 2, … leaves."""

    def __init__(self):
        self.size = 0
        self.frontier = []

    def add(self, leaf):
        rest, frontier, sha256 = self.size, self.frontier, hashlib.sha256
        while rest & 1:
            leaf = sha256(b"\x01" + frontier.pop() + leaf).digest()
            rest >>= 1
        frontier.append(leaf)
        self.size += 1

    def root(self):
        if not self.frontier:
            return hashlib.sha256(b"").digest()
        *rest, node = self.frontier
        for left in reversed(rest):
            node = node_of(left, node)
        return node


def path_of(leaves, index):
    """The siblings on the way of the leaf at `index` to the root, lowest first (RFC 6962, section 2.1.1)."""
    path = []
    start, end = 0, len(leaves)
    while end - start > 1:
        middle = start + (1 << ((end - start - 1).bit_length() - 1))
        if index < middle:
            path.append(_root(leaves, middle, end))
            end = middle
        else:
            path.append(_root(leaves, start, middle))
            start = middle
    return path[::-1]


def _root(leaves, start, end):
    tree = Tree()
    for at in range(start, end):
        tree.add(leaves[at])
    return tree.root()


def root_by_path(leaf, index, size, path):
    """The root that this proof leads to; None if it has the wrong length (RFC 9162, section 2.1.3.2)."""
    if index >= size:
        return None
    first, last, node = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return None
        if first & 1 or first == last:
            node = node_of(sibling, node)
            while not first & 1 and first:
                first >>= 1
                last >>= 1
        else:
            node = node_of(node, sibling)
        first >>= 1
        last >>= 1
    return node if last == 0 else None


# --- reading ----------------------------------------------------------------------------------------------


class Unreadable(Exception):
    """The input is no audit log."""


class Finding:
    """What is wrong. position: of the first entry concerned, from 1; None if it is about something else."""

    def __init__(self, kind, position, text):
        self.kind, self.position, self.text = kind, position, text

    def __str__(self):
        where = "" if self.position is None else f" at position {self.position}"
        return f"{self.kind}{where}: {self.text}"


_HEAD = b'{"position":'
_LEAF = b',"leaf":"'
_RECORD = b'","record":'


def _entry(line):
    """(position, leaf in hexadecimal, canonical bytes or None) of a line, read without a parser; None if it is none."""
    end = line.find(b",", 12)
    if not line.startswith(_LEAF, end) or not line.startswith(_RECORD, end + 73) or line[-1:] != b"}":
        return None
    number = line[12:end]
    if not number.isdigit():
        return None
    record = line[end + 84 : -1]
    return int(number), line[end + 9 : end + 73], None if record == b"null" else record


class Checkpoint:
    """A signed statement. raw: the bytes that are signed."""

    def __init__(self, raw, signature, leaves=b"", start=0):
        self.raw, self.signature, self.leaves, self.start = raw, signature, leaves, start
        told = json.loads(raw)
        self.number, self.size, self.at = int(told["number"]), int(told["size"]), int(told["at"])
        self.head, self.root = bytes.fromhex(told["head"]), bytes.fromhex(told["root"])
        self.previous, self.key = bytes.fromhex(told["previous"]), str(told["key"])

    @classmethod
    def of(cls, line):
        """Raises Unreadable."""
        at = line.rfind(b',"signature":"')
        end = line.find(b'"', at + 14)
        if not line.startswith(b'{"checkpoint":') or at < 0 or end < 0:
            raise Unreadable("a checkpoint cannot be read")
        try:
            more = json.loads(b"{" + line[at + 1 :])
            leaves = bytes.fromhex(more.get("leaves", ""))
            signature = base64.b64decode(more["signature"], validate=True)
            return cls(line[14:at], signature, leaves, int(more.get("from", 0)))
        except (ValueError, KeyError, TypeError, AttributeError, binascii.Error) as error:
            raise Unreadable(f"a checkpoint cannot be read: {error}") from error


class Log:
    """What was read of a log, entry by entry; whatever is wrong is in `findings`."""

    def __init__(self):
        self.findings = []
        self.leaves = bytearray()
        self.retired = []
        self.checkpoints = []
        #: those of --witness
        self.sent = []
        self.unsealed = 0
        self.size = 0
        self.head = NOTHING
        self._stored_head = NOTHING
        #: by the leaf that was sealed: its position, of entries whose bytes give another one
        self._wrong = []
        self.records = {}
        self.keep = None
        self._last_xid = 0
        self._last_at = 0
        self._ranges = []
        self._old = None

    def read(self, lines):
        entry, leaves, sha256 = _entry, self.leaves, hashlib.sha256
        head, size = self.head, self.size
        for line in lines:
            line = line.rstrip(b"\r\n")
            found = entry(line) if line.startswith(_HEAD) else None
            if found is None:
                self.head, self.size = head, size
                self._other(line)
                head, size = self.head, self.size
                continue
            position, stored, record = found
            size += 1
            if position != size:
                self.head, self.size = head, size
                self._jump(position)
                size = self.size
                if position < size:
                    size -= 1
                    self.size = size
                    continue
            leaf = bytes.fromhex(stored.decode("ascii", "replace")) if _is_hex(stored) else NOTHING
            if record is None:
                self._gone(position, leaf)
            else:
                real = sha256(b"\x00" + record).digest()
                if real != leaf:
                    self._wrong.append((position, leaf, real, record))
                if self.keep == position:
                    self.records[position] = record
                if record.find(b'"action":"audit.retired"') > 0:
                    self._note_retired(record)
                if record.find(b'"action":"audit.forged"') > 0:
                    self._note_forged(position, record)
            head = sha256(head + leaf).digest()
            leaves += leaf
        self.head, self.size = head, size

    def _jump(self, position):
        """The next line has another position than the one that follows."""
        if position > self.size:
            self.findings.append(Finding("removed", self.size, f"positions {self.size} to {position - 1} are missing"))
            # What follows is still compared with its own leaves.
            for _ in range(self.size, position):
                self.leaves += NOTHING
            self.size = position
        else:
            self.findings.append(Finding("inserted", position, "the position occurs a second time"))

    def _gone(self, position, leaf):
        self._ranges.append((position, leaf))

    def _note_retired(self, record):
        try:
            told = json.loads(record)["entry"]
            if told.get("kind") == "effect" and told.get("action") == "audit.retired":
                self.retired += [(int(first), int(last)) for first, last in told["ranges"]]
        except (ValueError, KeyError, TypeError):
            pass

    def _note_forged(self, position, record):
        try:
            told = json.loads(record)["entry"]
            if told.get("kind") == "finding" and told.get("action") == "audit.forged":
                text = "the platform says that it did not write entries {}".format(told["entries"][:20])
                self.findings.append(Finding("forged", position, text))
        except (ValueError, KeyError, TypeError):
            pass

    def _other(self, line):
        if line.startswith(b'{"block":'):
            self._block(line)
        elif line.startswith(b'{"checkpoint":'):
            self.checkpoints.append(Checkpoint.of(line))
        elif line.startswith(b'{"unsealed":'):
            self._late(line)
        elif line.strip():
            self.findings.append(Finding("edited", self.size + 1, "the line after this position cannot be read"))

    def _block(self, line):
        try:
            told = json.loads(line)
            size, head, at = int(told["size"]), bytes.fromhex(told["head"]), int(told["at"])
        except (ValueError, KeyError, TypeError):
            self.findings.append(Finding("edited", self.size, "the block after this position cannot be read"))
            return
        if size != self.size:
            self.findings.append(
                Finding(
                    "removed" if size > self.size else "inserted",
                    self.size + 1,
                    "block {} ends at {}, but there are {} entries".format(told["block"], size, self.size),
                )
            )
        elif head != self.head:
            self.findings.append(
                Finding("chain", None, "the chain up to block {} is not the one that was sealed".format(told["block"]))
            )
            # What follows is judged by itself.
            self.head = head
        self._last_at = at

    def _late(self, line):
        self.unsealed += 1
        try:
            told = json.loads(line[12:-1])
            old = self._last_at and told["at"] < self._last_at - 3600 * 1_000_000
        except (ValueError, KeyError, TypeError):
            old = True
            told = {}
        if old:
            self.findings.append(
                Finding("inserted", None, "entry {} is in no block, an hour after its time".format(told.get("id", "?")))
            )

    def settle(self, witness=None):
        """Say what is wrong with entries whose bytes are not those that were sealed."""
        missing = [each for each in self._ranges if not self._was_retired(each[0])]
        sealed = {leaf: position for position, leaf, _, _ in self._wrong}
        sealed.update({leaf: position for position, leaf in missing})
        for position, _ in missing:
            self.findings.append(Finding("removed", position, "the entry is gone"))
        for position, _, real, _ in self._wrong:
            other = sealed.get(real) or (self._find(real) if len(self._wrong) < 1000 else None)
            if other is not None and other != position:
                self.findings.append(Finding("reordered", min(position, other), f"positions {position} and {other}"))
            else:
                self.findings.append(Finding("edited", position, "its bytes are not those that were sealed"))
        if witness is not None:
            self._compare(witness)

    def _find(self, leaf):
        at = -1
        while True:
            at = self.leaves.find(leaf, at + 1)
            if at < 0:
                return None
            if at % 32 == 0:
                return at // 32 + 1

    def _was_retired(self, position):
        """Whether the log itself says that this entry was removed because it was old."""
        if self._old is None:
            self._old = sorted(self.retired)
        at = bisect.bisect_right(self._old, (position, self.size)) - 1
        return at >= 0 and self._old[at][0] <= position <= self._old[at][1]

    def _compare(self, witness):
        """Find the first leaf that differs from what was sent out."""
        ours, theirs = bytes(self.leaves), witness
        known = min(len(ours), len(theirs))
        if ours[:known] == theirs[:known]:
            return
        low, high = 0, known // 32
        while high - low > 1:
            middle = (low + high) // 2
            if ours[: middle * 32] == theirs[: middle * 32]:
                low = middle
            else:
                high = middle
        position = low + 1

        def leaf(of, number):
            return of[(number - 1) * 32 : number * 32]

        mine, right = leaf(ours, position), leaf(theirs, position)
        if mine == NOTHING:
            return
        if theirs.find(mine) % 32 == 0 and ours.find(right) % 32 == 0:
            kind, text = "reordered", "it was sent out at another position"
        elif _next_are_equal(ours, position, theirs, position + 1):
            kind, text = "removed", "an entry that was sent out is missing here"
        elif _next_are_equal(ours, position + 1, theirs, position):
            kind, text = "inserted", "this entry was not sent out"
        else:
            kind, text = "edited", "its leaf is not the one that was sent out"
        self.findings.append(Finding(kind, position, text))


def _next_are_equal(ours, mine, theirs, right):
    """Whether our leaves from one position on are theirs from another one on, for a while, or to the end of a block of
    ours that is shorter than theirs."""
    one, two = ours[(mine - 1) * 32 : (mine + 1) * 32], theirs[(right - 1) * 32 : (right + 1) * 32]
    if one[32:] == NOTHING:
        one = one[:32]
    length = min(len(one), len(two))
    return length > 0 and one[:length] == two[:length]


def _is_hex(text):
    try:
        bytes.fromhex(text.decode("ascii"))
    except (ValueError, UnicodeDecodeError):
        return False
    return len(text) == 64


# --- checkpoints ------------------------------------------------------------------------------------------


def check_checkpoints(log, sent, public, every=True):
    """Compare the log with its checkpoints and with those that were sent out. Returns how many signatures were checked.

    every: check each signature. Otherwise only the newest of each source: it vouches for those before it by their
    hashes.
    """
    verify, quick = _verifier()
    checked = 0
    for name, listed in (("kept", log.checkpoints), ("sent out", sent)):
        previous = None
        seen = set()
        for number, each in enumerate(listed):
            if each.number in seen or (previous is not None and each.number <= previous.number):
                log.findings.append(Finding("replayed", None, f"checkpoint {each.number} ({name}) comes again"))
                continue
            seen.add(each.number)
            if previous is None:
                if each.number != 1 and name == "kept":
                    log.findings.append(
                        Finding("checkpoint removed", None, f"the log begins with checkpoint {each.number}")
                    )
            elif each.number == previous.number + 1:
                if hashlib.sha256(previous.raw).digest() != each.previous:
                    log.findings.append(
                        Finding("replayed", None, f"checkpoint {each.number} does not follow from {previous.number}")
                    )
            elif name == "kept":
                log.findings.append(
                    Finding("checkpoint removed", None, f"checkpoints {previous.number + 1} to {each.number - 1}")
                )
            elif each.start > previous.size:
                # A copy that failed is made up for by the next one, which has the leaves of both.
                text = "checkpoints {} to {}, with the leaves of positions {} to {}, are not in what was sent out"
                log.findings.append(
                    Finding(
                        "not sent",
                        None,
                        text.format(previous.number + 1, each.number - 1, previous.size + 1, each.start),
                    )
                )
            if previous is not None and (each.at < previous.at or each.size < previous.size):
                log.findings.append(
                    Finding("replayed", None, f"checkpoint {each.number} is older than the one before it")
                )
            previous = each
            if public is not None and (every or quick or number == len(listed) - 1):
                checked += 1
                if not verify(public, each.signature, each.raw):
                    log.findings.append(
                        Finding("forged", None, f"the signature of checkpoint {each.number} ({name}) is wrong")
                    )
    by_number = {each.number: each for each in log.checkpoints}
    for each in sent:
        kept = by_number.get(each.number)
        if kept is not None and kept.raw != each.raw:
            log.findings.append(Finding("replayed", None, f"checkpoint {each.number} is not the one sent out"))
    newest = max(by_number, default=0)
    late = [each.number for each in sent if each.number > newest]
    if late and log.checkpoints:
        log.findings.append(
            Finding("truncated", None, f"checkpoints {late[0]} to {late[-1]} were sent out and are not kept")
        )
    _compare_roots(log, [*log.checkpoints, *sent])
    return checked


def _compare_roots(log, checkpoints):
    tree, at, good, head = Tree(), 0, 0, NOTHING
    sha256 = hashlib.sha256
    leaves = bytes(log.leaves)
    for each in sorted(checkpoints, key=lambda one: one.size):
        if each.size > log.size:
            log.findings.append(
                Finding(
                    "truncated",
                    log.size + 1,
                    f"checkpoint {each.number} has {each.size} entries, the log has {log.size}",
                )
            )
            return
        while at < each.size:
            leaf = leaves[at * 32 : at * 32 + 32]
            tree.add(leaf)
            head = sha256(head + leaf).digest()
            at += 1
        if tree.root() != each.root or head != each.head:
            if not any(found.position is not None and good < found.position <= each.size for found in log.findings):
                log.findings.append(
                    Finding(
                        "rewritten",
                        good + 1,
                        f"positions {good + 1} to {each.size} are not what checkpoint {each.number} says",
                    )
                )
            return
        good = each.size


def witness_of(sent):
    """The leaves that were sent out, from the first on; None if there are none."""
    leaves = bytearray()
    for each in sent:
        have = len(leaves) // 32
        if each.leaves and each.start <= have:
            leaves += each.leaves[(have - each.start) * 32 :]
    return bytes(leaves) if leaves else None


# --- evidence packs ---------------------------------------------------------------------------------------

_PACK_PURPOSE = b"erip evidence pack\n"
_MANIFEST, _SIGNATURE = "MANIFEST.json", "MANIFEST.sig"


class Pack:
    """What was found of an evidence pack: the manifest, the audit log's part, and whatever is wrong."""

    def __init__(self):
        self.manifest = {}
        self.findings = []
        self.files = 0
        self.entries = 0
        self.checkpoints = 0
        self.signed = False

    def wrong(self, kind, text, position=None):
        self.findings.append(Finding(kind, position, text))


def check_pack(path, public):
    """Check an evidence pack: its signature, each of its files, and the chain of its part of the audit log. Raises
    Unreadable."""
    found = Pack()
    try:
        with zipfile.ZipFile(path) as archive:
            names = [one.filename for one in archive.infolist()]
            if _MANIFEST not in names or _SIGNATURE not in names:
                raise Unreadable("it is no evidence pack: it has no manifest, or no signature")
            raw = archive.read(_MANIFEST)
            try:
                found.manifest = json.loads(raw)
                listed = {
                    str(name): (str(of["sha256"]), int(of["size"])) for name, of in found.manifest["files"].items()
                }
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise Unreadable(f"its manifest cannot be read: {error}") from error
            if public is not None:
                found.signed = True
                try:
                    signature = base64.b64decode(archive.read(_SIGNATURE).strip(), validate=True)
                except (ValueError, binascii.Error):
                    signature = b""
                if not _verifier()[0](public, signature, _PACK_PURPOSE + raw):
                    found.wrong("forged", "the manifest was not signed with this key")
            _check_files(found, archive, names, listed)
            if "audit.jsonl" in listed and "audit.jsonl" in names:
                with archive.open("audit.jsonl") as lines:
                    _check_trail(found, lines, public)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, zlib.error, RuntimeError) as error:
        raise Unreadable(f"it is damaged: {error}") from error
    return found


def _check_files(found, archive, names, listed):
    for name in sorted(set(names)):
        if names.count(name) > 1:
            found.wrong("inserted", f"{name} is in it more than once")
        if name not in listed and name not in (_MANIFEST, _SIGNATURE):
            found.wrong("inserted", f"{name} is not in the manifest")
    for name, (digest, size) in sorted(listed.items()):
        if name not in names:
            found.wrong("removed", f"{name} is missing")
            continue
        found.files += 1
        real, length = hashlib.sha256(), 0
        try:
            with archive.open(name) as file:
                for part in iter(lambda: file.read(1 << 20), b""):
                    real.update(part)
                    length += len(part)
        except (zipfile.BadZipFile, zlib.error, EOFError):
            found.wrong("edited", f"{name} is damaged")
            continue
        if (real.hexdigest(), length) != (digest, size):
            found.wrong("edited", f"{name} is not what the manifest says")


def _check_trail(found, lines, public):
    """The entries between the checkpoint before the period and the last one in it."""
    verify_signature, _ = _verifier()
    head, size, before, heads, points, first = NOTHING, 0, None, {0: NOTHING}, [], True
    for line in lines:
        line = line.rstrip(b"\r\n")
        entry = _entry(line) if line.startswith(_HEAD) else None
        if entry is not None:
            position, stored, record = entry
            leaf = bytes.fromhex(stored.decode("ascii", "replace")) if _is_hex(stored) else NOTHING
            if position != size + 1:
                found.wrong("removed" if position > size + 1 else "inserted", "positions do not follow", size + 1)
                return
            if record is not None and leaf_of(record) != leaf:
                found.wrong("edited", "its bytes are not those that were sealed", position)
            size, head = position, hashlib.sha256(head + leaf).digest()
            found.entries += 1
        elif line.startswith(b'{"checkpoint":'):
            point = Checkpoint.of(line)
            found.checkpoints += 1
            if public is not None and not verify_signature(public, point.signature, point.raw):
                found.wrong("forged", f"the signature of checkpoint {point.number} is wrong")
            if first:
                before, size, head = point, point.size, point.head
                heads = {size: head}
            else:
                points.append(point)
        elif line.startswith(b'{"block":'):
            heads[size] = head
        elif line.strip():
            found.wrong("edited", "a line after this position cannot be read", size)
        first = False
    heads[size] = head
    if before is not None and not found.entries and not points:
        return
    if before is not None and before.size == 0 and before.number != 1 and found.entries and not points:
        found.wrong("truncated", "no checkpoint covers the entries")
    _check_points(found, before, points, heads, size)


def _check_points(found, before, points, heads, size):
    previous = before
    for point in points:
        if previous is not None and (
            point.number != previous.number + 1 or hashlib.sha256(previous.raw).digest() != point.previous
        ):
            found.wrong("replayed", f"checkpoint {point.number} does not follow from {previous.number}")
        if point.size not in heads:
            found.wrong("removed", f"checkpoint {point.number} covers {point.size} entries, which are not all here")
        elif heads[point.size] != point.head:
            found.wrong("rewritten", f"the chain is not the one that checkpoint {point.number} signs")
        previous = point
    covered = previous.size if previous is not None else 0
    if size > covered:
        found.wrong("inserted", f"no checkpoint covers the entries after position {covered}", covered + 1)


def _print_pack(found):
    told = found.manifest
    period = told.get("period") if isinstance(told.get("period"), dict) else {}
    print("evidence for {}, {} to {}".format(told.get("framework"), period.get("since"), period.get("until")))
    print(f"{found.files} files, {found.entries} entries of the audit log, {found.checkpoints} checkpoints")
    if not told.get("complete"):
        print("the period had not ended when the pack was made")
    if not found.signed:
        print("signatures were not checked: give --key")
    for finding in found.findings[:20]:
        print(f"WRONG: {finding}")
    if not found.findings:
        print("the pack is whole")
    return 1 if found.findings else 0


# --- the command ------------------------------------------------------------------------------------------


def prove(log, position):
    """A proof that the entry at this position is in the newest checkpoint that covers it."""
    covering = [each for each in log.checkpoints if each.size >= position]
    if not 0 < position <= log.size or not covering:
        raise Unreadable(f"no checkpoint covers position {position}")
    point = covering[0]
    leaves = [bytes(log.leaves[at * 32 : at * 32 + 32]) for at in range(point.size)]
    return {
        "position": position,
        "record": log.records[position].decode() if position in log.records else None,
        "path": [each.hex() for each in path_of(leaves, position - 1)],
        "checkpoint": point.raw.decode(),
        "signature": base64.b64encode(point.signature).decode(),
    }


def check_proof(proof, public):
    """What is wrong with a proof; None if it holds."""
    try:
        point = Checkpoint(proof["checkpoint"].encode(), base64.b64decode(proof["signature"]))
        leaf = leaf_of(proof["record"].encode())
        path = [bytes.fromhex(each) for each in proof["path"]]
        root = root_by_path(leaf, int(proof["position"]) - 1, point.size, path)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return f"it cannot be read: {error}"
    if public is not None and not _verifier()[0](public, point.signature, point.raw):
        return "the signature of its checkpoint is wrong"
    return None if root == point.root else "the record is not in the log that the checkpoint signs"


def _key_of(text):
    try:
        key = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if len(key) != 32:
        raise Unreadable("--key takes 32 bytes in base64, as `manage.py audit key` prints them")
    return key


def verify(lines, witness_lines=(), public=None, every=True, keep=None):
    """Read and check a log. Returns (log, signatures checked). Raises Unreadable."""
    log = Log()
    log.keep = keep
    log.read(lines)
    sent = log.sent = [Checkpoint.of(line.rstrip(b"\r\n")) for line in witness_lines if line.strip()]
    log.settle(witness_of(sent))
    checked = check_checkpoints(log, sent, public, every)
    log.findings.sort(key=lambda each: (each.position is None, each.position or 0))
    return log, checked


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="erip-verify", description=__doc__.split("\n\n")[0])
    parser.add_argument("log", nargs="?", help="the lines of the log; - reads standard input")
    parser.add_argument("--key", help="the public key that checkpoints are signed with, base64")
    parser.add_argument("--witness", help="the file to which checkpoints were sent")
    parser.add_argument("--fresh", type=float, metavar="SECONDS", help="the newest checkpoints may be this old")
    parser.add_argument("--prove", type=int, metavar="POSITION", help="print a proof that this entry is in")
    parser.add_argument("--proof", metavar="FILE", help="check a proof instead of a log")
    parser.add_argument("--pack", metavar="FILE", help="check an evidence pack instead of a log")
    parser.add_argument("--newest-signature", action="store_true", help="check only the newest signature")
    options = parser.parse_args(arguments)
    try:
        public = _key_of(options.key) if options.key else None
        if options.proof:
            wrong = check_proof(json.loads(Path(options.proof).read_bytes()), public)
            print("the proof holds" if wrong is None else "NOT PROVEN: " + wrong)
            return 0 if wrong is None else 1
        if options.pack:
            return _print_pack(check_pack(options.pack, public))
        if not options.log:
            parser.error("a log, --proof or --pack is needed")
        began = time.monotonic()
        witness = Path(options.witness).read_bytes().splitlines() if options.witness else []
        if options.witness and not any(line.strip() for line in witness):
            raise Unreadable("there is no checkpoint in the file of --witness")
        with sys.stdin.buffer if options.log == "-" else Path(options.log).open("rb") as source:
            log, checked = verify(source, witness, public, not options.newest_signature, options.prove)
        if options.prove:
            print(json.dumps(prove(log, options.prove)))
            return 0
    except (Unreadable, OSError, ValueError) as error:
        said = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)
        print(f"cannot be read: {said}", file=sys.stderr)
        return 2
    if options.fresh is not None:
        for what, listed in (("", log.checkpoints), (" that was sent out", log.sent)):
            newest = max([each.at for each in listed], default=0)
            if (listed or not what) and time.time() - newest / 1e6 > options.fresh:
                text = f"the newest checkpoint{what} is older than {options.fresh} s"
                log.findings.append(Finding("stale", None, text))
    return _print(log, checked, public, time.monotonic() - began)


def _print(log, checked, public, seconds):
    if not log.size and not log.checkpoints:
        print("cannot be read: there is no entry and no checkpoint in it", file=sys.stderr)
        return 2
    print(f"{log.size} entries, {len(log.checkpoints)} checkpoints, {log.unsealed} not sealed yet; {seconds:.1f} s")
    if public is None:
        print("signatures were not checked: give --key")
    else:
        print(f"{checked} signatures were checked")
    covered = max([each.size for each in log.checkpoints], default=0)
    if covered < log.size:
        print("the last %s entries are chained, but in no checkpoint yet" % (log.size - covered))
    last = max(log.sent, key=lambda each: each.number, default=None)
    newest = max([each.number for each in log.checkpoints], default=0)
    if last is not None and last.number < newest:
        print(f"what was sent out ends with checkpoint {last.number}, at position {last.size}; the newest is {newest}")
    for finding in log.findings[:20]:
        print(f"WRONG: {finding}")
    if len(log.findings) > 20:
        print("… and %s more" % (len(log.findings) - 20))
    if not log.findings:
        print("the log is whole")
    return 1 if log.findings else 0


if __name__ == "__main__":
    sys.exit(main())
