"""A release that anybody can make again and check: `make release`, `make verify-release`.

    python -m erip.ops.release make --key KEY --out FOLDER [--ref REF]
    python -m erip.ops.release verify FOLDER --signers FILE

`make` writes four files for one commit (HEAD): the source as `erip-VERSION.tar.gz`, a bill of materials
`erip-VERSION.cdx.json` (CycloneDX 1.6, `erip.ops.stack.bom`), `SHA256SUMS` of both, and `SHA256SUMS.sig`. What is not
committed is not in it. The same commit gives the same bytes, whoever makes it, when and where: members of the archive
are sorted and have no owner, their time is the commit's, and an Ed25519 signature holds nothing random (RFC 8032). One
assumption: zlib compresses alike; where another version of it does not, the archive's content is still the same.

The signature is ssh-keygen's (`ssh-keygen -Y sign`, OpenSSH 8.1 or newer), in the namespace `erip-release`, so nobody
needs a program that is not there already, and a signature for something else is none of a release. Needs git,
ssh-keygen, and Python's standard library alone.
"""

# ruff: noqa: S603 (programs are started from lists; no word of them comes from a request)

import argparse
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from erip.ops.stack import bom

ROOT = Path(__file__).resolve().parents[2]
SUMS: Final = "SHA256SUMS"
NAMESPACE: Final = "erip-release"
#: who signs, in the file of signers that `verify` gets
IDENTITY: Final = "release@erip"
_LINE = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9][A-Za-z0-9._-]{0,200})")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,60}")
#: bytes of an archive when it is unpacked, at most
_MOST = 1 << 30


class ReleaseError(Exception):
    """It cannot be made, or is not what its signer made; one line for each fault."""

    def __init__(self, *faults: str) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


def make(root: Path, key: Path, out: Path, ref: str = "HEAD") -> list[Path]:
    """The four files, in `out`. Raises ReleaseError, and leaves nothing half made."""
    _require_ed25519(key)
    commit = git(root, "rev-parse", "--verify", "--end-of-options", f"{ref}^{{commit}}").decode().strip()
    when = int(git(root, "show", "-s", "--format=%ct", commit))
    tree = git(root, "-c", "tar.umask=0022", "archive", "--format=tar", commit)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        version = version_of(tree)
        stem = f"erip-{version}"
        archive = folder / f"{stem}.tar.gz"
        archive.write_bytes(gzip.compress(_pack(tree, stem, when), 9, mtime=0))
        bill = folder / f"{stem}.cdx.json"
        bill.write_text(_bill(tree))
        sums = folder / SUMS
        sums.write_text("".join(f"{_digest(one)}  {one.name}\n" for one in (bill, archive)))
        words = ["-Y", "sign", "-f", str(key.absolute()), "-n", NAMESPACE, str(sums)]
        done = _ssh_keygen(words)
        if done.returncode != 0:
            raise ReleaseError(f"{key}: ssh-keygen does not sign with it: {_said(done)}")
        out.mkdir(parents=True, exist_ok=True)
        made = [out / one.name for one in (archive, bill, sums, folder / f"{SUMS}.sig")]
        for one in made:
            shutil.copyfile(folder / one.name, one)
    return made


def verify(folder: Path, signers: Path) -> str:
    """The name of the archive that may be trusted. Raises ReleaseError, with every fault.

    signers: lines `release@erip ssh-ed25519 …`, as ssh-keygen's ALLOWED SIGNERS; not from the release itself.
    """
    sums, signature = folder / SUMS, folder / f"{SUMS}.sig"
    missing = [f"{one} is missing" for one in (sums, signature, signers) if not one.is_file()]
    if missing:
        raise ReleaseError(*missing)
    content = sums.read_bytes()
    words = ["-Y", "verify", "-f", str(signers), "-I", IDENTITY, "-n", NAMESPACE, "-s", str(signature)]
    done = _ssh_keygen(words, content)
    if done.returncode != 0:
        # Nothing else is looked at: whoever wrote it may have written all of it.
        raise ReleaseError(f"{SUMS}: not signed by one of {signers}: {_said(done)}")
    faults: list[str] = []
    lines = [_LINE.fullmatch(line) for line in content.decode("ascii", "replace").splitlines()]
    named = {line[2]: line[1] for line in lines if line}
    if not all(lines) or len(named) != len(lines):
        faults.append(f"{SUMS} holds a line that is none of its format, or one file twice")
    for name, digest in sorted(named.items()):
        if not (folder / name).is_file():
            faults.append(f"{name} is missing")
        elif _digest(folder / name) != digest:
            faults.append(f"{name} is not what was signed")
    here = {one.name for one in folder.iterdir()} - {SUMS, f"{SUMS}.sig"}
    faults += [f"{name} is not part of the release" for name in sorted(here - named.keys())]
    archives = [name for name in named if name.endswith(".tar.gz")]
    if len(archives) != 1:
        faults.append(f"{SUMS} does not name one archive")
    if faults:
        raise ReleaseError(*faults)
    _require_bill(folder, archives[0])
    return archives[0]


def _require_bill(folder: Path, archive: str) -> None:
    """The bill of materials says what the archive pins. Raises ReleaseError."""
    with gzip.open(folder / archive) as file:
        content = file.read(_MOST + 1)
    if len(content) > _MOST:
        raise ReleaseError(f"{archive} has more than {_MOST:,} bytes when it is unpacked")
    stem = archive.removesuffix(".tar.gz")
    bill = folder / f"{stem}.cdx.json"
    if not bill.is_file() or bill.read_text() != _bill(content, f"{stem}/"):
        raise ReleaseError(f"{bill.name} is missing, or does not say what {archive} pins")


def _pack(tree: bytes, stem: str, when: int) -> bytes:
    """git's archive once more, with nothing in it that differs from one machine or version of git to another."""
    packed = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(tree)) as given,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as made,
    ):
        for one in sorted((one for one in given if not one.isdir()), key=lambda one: one.name):
            new = tarfile.TarInfo(f"{stem}/{one.name}")
            new.mtime, new.type, new.linkname, new.size = when, one.type, one.linkname, one.size
            new.mode = 0o755 if one.mode & 0o100 else 0o644
            made.addfile(new, given.extractfile(one) if one.isreg() else None)
    return packed.getvalue()


def version_of(tree: bytes) -> str:
    """What pyproject.toml says in git's archive of a commit. Raises ReleaseError."""
    with tarfile.open(fileobj=io.BytesIO(tree)) as archive:
        try:
            file = archive.extractfile("pyproject.toml")
            assert file is not None
            found = str(tomllib.loads(file.read().decode())["project"]["version"])
        except (KeyError, AssertionError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ReleaseError(f"pyproject.toml of this commit names no version: {error}") from None
    if not _VERSION.fullmatch(found):
        raise ReleaseError(f"{found!r} is no version")
    return found


def _bill(tree: bytes, prefix: str = "") -> str:
    """Of the pins in an archive, not of those that are checked out here. Raises ReleaseError."""
    with tempfile.TemporaryDirectory() as name, tarfile.open(fileobj=io.BytesIO(tree)) as archive:
        for one in archive:
            path = one.name.removeprefix(prefix)
            if one.isreg() and any(
                Path(path).match(pattern) and path.count("/") == pattern.count("/") for pattern in bom.PINS
            ):
                target = Path(name) / path
                target.parent.mkdir(parents=True, exist_ok=True)
                file = archive.extractfile(one)
                target.write_bytes(file.read() if file else b"")
        try:
            document: dict[str, Any] = bom.document(Path(name))
        except bom.Unpinned as error:
            raise ReleaseError(f"not pinned by a hash: {error}") from None
    return json.dumps(document, indent=2) + "\n"


def _require_ed25519(key: Path) -> None:
    """Raises ReleaseError. Other kinds of keys sign with something random: the same release would have other bytes."""
    if not key.is_file():
        raise ReleaseError(f"{key}: there is no such key (ssh-keygen -t ed25519 -f {key} makes one)")
    done = _ssh_keygen(["-l", "-f", str(key)])
    if done.returncode != 0 or not done.stdout.decode().rstrip().endswith("(ED25519)"):
        raise ReleaseError(f"{key}: is no Ed25519 key of OpenSSH: {_said(done)}")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def git(root: Path, *words: str) -> bytes:
    """What git says. Raises ReleaseError."""
    done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, check=False)  # noqa: S607
    if done.returncode != 0:
        raise ReleaseError(f"git {' '.join(words[:2])}: {_said(done)}")
    return done.stdout


def _ssh_keygen(words: Sequence[str], given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(["ssh-keygen", *words], input=given, capture_output=True, check=False)  # noqa: S607
    except FileNotFoundError:
        raise ReleaseError("ssh-keygen is not installed: OpenSSH has it") from None


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    text = (done.stderr or done.stdout).decode(errors="replace").strip()
    return text.splitlines()[-1][:200] if text else f"status {done.returncode}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0; 1 with a line for each fault."""
    parser = argparse.ArgumentParser(prog="erip.ops.release")
    commands = parser.add_subparsers(required=True, dest="command")
    making = commands.add_parser("make", help="make and sign a release of a commit")
    making.add_argument("--key", type=Path, required=True, help="an Ed25519 key of OpenSSH")
    making.add_argument("--out", type=Path, required=True)
    making.add_argument("--ref", default="HEAD")
    checking = commands.add_parser("verify", help="check one before it is used")
    checking.add_argument("folder", type=Path)
    checking.add_argument(
        "--signers", type=Path, required=True, help=f"a file with the line: {IDENTITY} ssh-ed25519 AAAA…"
    )
    given = parser.parse_args(arguments)
    try:
        if given.command == "make":
            for one in make(ROOT, given.key.expanduser(), given.out, given.ref):
                print(f"{_digest(one)}  {os.fspath(one)}")
        else:
            print(f"{verify(given.folder, given.signers)}: signed by {IDENTITY}, and whole")
    except ReleaseError as error:
        for fault in error.faults:
            print(f"erip.ops.release: {fault}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
