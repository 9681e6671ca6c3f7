"""Files in one encrypted archive: what stands beside PostgreSQL, such as reports.

Format: MAGIC, a salt, then chunks: four bytes with the length of each, and its ciphertext. The key follows from the
pass by scrypt (RFC 7914). Each chunk is AES-GCM with a nonce of its own: a random part, its number, and whether it
is the last one (STREAM: Hoang, Reyhanitabar, Rogaway, Vizár 2015). So an archive that was cut off, or whose chunks were
changed or moved, is not opened. Inside is a gzipped tar whose names are the files' absolute paths.
"""

import hashlib
import os
import struct
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MAGIC: Final = b"ERIP sealed 1\n"
_SALT, _PREFIX, _CHUNK, _TAG = 16, 7, 1 << 20, 16
#: a pass that is shorter could be guessed
SHORTEST: Final = 16


class SealError(Exception):
    """The archive cannot be made or opened; the message says why."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """What went in. skipped: links, sockets, and files that were gone before they were read."""

    files: int
    bytes: int
    skipped: int


def seal(paths: Iterable[Path], to: Path, passphrase: str) -> Sealed:
    """Make the archive; it gets its name only when it is complete. Folders are taken whole. Raises SealError,
    OSError."""
    partial = to.with_name(f".{to.name}.partial")
    files = size = skipped = 0
    try:
        with open(partial, "xb", opener=_private) as file:
            writer = _Writer(file, passphrase)
            with tarfile.open(fileobj=writer, mode="w|gz") as archive:  # type: ignore[call-overload]
                for path in _files(paths):
                    try:
                        with open(path, "rb", opener=_no_links) as opened:
                            info = archive.gettarinfo(arcname=str(path).lstrip("/"), fileobj=opened)
                            if not info.isreg():
                                skipped += 1
                                continue
                            archive.addfile(info, _Exactly(opened, info.size))
                    except FileNotFoundError:
                        skipped += 1
                        continue
                    except OSError as error:
                        if error.filename is None:
                            raise
                        skipped += 1
                        continue
                    files, size = files + 1, size + info.size
            writer.close()
            file.flush()
            os.fsync(file.fileno())
        partial.rename(to)
    except FileExistsError:
        raise SealError(f"{partial} is there: another backup is under way, or one was cut off; remove it") from None
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return Sealed(files, size, skipped)


def unseal(archive: Path, into: Path, passphrase: str) -> Sealed:
    """Put the files below `into`, each at its path. None is replaced. Raises SealError, OSError."""
    files = size = 0
    with archive.open("rb") as file:
        try:
            with tarfile.open(fileobj=_Reader(file, passphrase), mode="r|gz") as found:  # type: ignore[call-overload]
                for member in found:
                    place = PurePosixPath(member.name)
                    if not member.isreg() or place.is_absolute() or ".." in place.parts:
                        raise SealError(f"{member.name!r} is no file that was sealed here")
                    source = found.extractfile(member)
                    assert source is not None
                    target = into / place
                    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                    with open(target, "xb", opener=_private) as out:
                        while part := source.read(_CHUNK):
                            out.write(part)
                            size += len(part)
                    files += 1
        except tarfile.TarError as error:
            raise SealError(f"{archive}: {error}") from error
    return Sealed(files, size, 0)


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if not path.is_absolute():
            raise SealError(f"{path}: name it by its absolute path")
        if path.is_dir():
            for folder, inner, names in os.walk(path):
                inner.sort()
                yield from (Path(folder, name) for name in sorted(names))
        elif path.exists():
            yield path
        else:
            raise SealError(f"{path}: there is no such file")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _no_links(path: str, flags: int) -> int:
    # Not blocking: a pipe without a writer would be waited for.
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


class _Exactly:
    """The first bytes of a file, which may grow meanwhile; zeros for what was cut off."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file, self._left = file, size

    def read(self, size: int = -1) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        found = self._file.read(wanted)
        self._left -= wanted
        return found.ljust(wanted, b"\0")


def _key(passphrase: str, salt: bytes) -> AESGCM:
    if len(passphrase) < SHORTEST:
        raise SealError(f"the pass has fewer than {SHORTEST} characters")
    return AESGCM(hashlib.scrypt(passphrase.encode(), salt=salt, n=1 << 14, r=8, p=1, dklen=32))


def _nonce(prefix: bytes, number: int, last: bool) -> bytes:
    return prefix + struct.pack(">IB", number, last)


class _Writer:
    def __init__(self, file: IO[bytes], passphrase: str) -> None:
        salt, self._prefix = os.urandom(_SALT), os.urandom(_PREFIX)
        self._key, self._file, self._number, self._kept = _key(passphrase, salt), file, 0, bytearray()
        file.write(MAGIC + salt + self._prefix)

    def write(self, data: bytes) -> int:
        self._kept += data
        while len(self._kept) > _CHUNK:
            self._put(bytes(self._kept[:_CHUNK]), last=False)
            del self._kept[:_CHUNK]
        return len(data)

    def close(self) -> None:
        self._put(bytes(self._kept), last=True)

    def _put(self, data: bytes, *, last: bool) -> None:
        sealed = self._key.encrypt(_nonce(self._prefix, self._number, last), data, None)
        self._file.write(struct.pack(">I", len(sealed)) + sealed)
        self._number += 1


class _Reader:
    def __init__(self, file: IO[bytes], passphrase: str) -> None:
        head = file.read(len(MAGIC) + _SALT + _PREFIX)
        if not head.startswith(MAGIC) or len(head) != len(MAGIC) + _SALT + _PREFIX:
            raise SealError("it is no sealed archive")
        salt, self._prefix = head[len(MAGIC) : -_PREFIX], head[-_PREFIX:]
        self._key, self._file, self._number, self._over, self._kept = _key(passphrase, salt), file, 0, False, b""

    def read(self, size: int) -> bytes:
        while len(self._kept) < size and not self._over:
            self._kept += self._next()
        found, self._kept = self._kept[:size], self._kept[size:]
        return found

    def _next(self) -> bytes:
        head = self._file.read(4)
        size = struct.unpack(">I", head)[0] if len(head) == 4 else 0
        sealed = self._file.read(size) if _TAG <= size <= _CHUNK + _TAG else b""
        if not sealed or len(sealed) != size:
            raise SealError("the archive was cut off or damaged")
        for last in (False, True):
            try:
                plain = self._key.decrypt(_nonce(self._prefix, self._number, last), sealed, None)
            except InvalidTag:
                continue
            self._number, self._over = self._number + 1, last
            return plain
        raise SealError("the pass is another one, or the archive was changed")
