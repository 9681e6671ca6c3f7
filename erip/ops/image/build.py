"""Builds the image of a commit, without a daemon: mmdebstrap makes the Debian to build in, buildah does the rest.

The same commit, packages of Debian and buildah give the same digest, meant for whoever builds it, when and where: what
is built is git's archive of the commit, files have the commit's time, and compilers are kept from saying where
they ran. What of it was seen stands in docs/how-to/image.md.
Debian's own archive moves on; a snapshot of it (`snapshot.debian.org`) keeps the packages the same. Another buildah
may pack the same layers into other bytes.
"""

# ruff: noqa: S603 (programs are started from lists; no word of them comes from a request)

import io
import json
import os
import shutil
import subprocess
import tarfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from erip.ops import release
from erip.ops.image import archive, bill, holds
from erip.ops.image.errors import ImageError
from erip.ops.image.workplace import workplace
from erip.ops.stack import bom

SUITE: Final = "bookworm"
CONTAINERFILE: Final = "deploy/image/Containerfile"
SNAPSHOTS: Final = "http://snapshot.debian.org/archive"
PROGRAMS: Final = ("git", "mmdebstrap", "buildah")
#: variables of the caller that name a file for the build, and what the build calls it; neither gets into the image
SECRETS: Final = {"PIP_CERT": "ca", "PIP_CONFIG_FILE": "pip"}
#: nobody signs what is made and read on this machine alone
_POLICY: Final = '{"default": [{"type": "insecureAcceptAnything"}]}'


@dataclass(frozen=True, slots=True)
class Built:
    """packed, bill: the files. seconds: what each part took. files: how many the image has; bytes: of them all."""

    packed: Path
    bill: Path
    image: archive.Image
    files: int
    bytes: int
    seconds: dict[str, float] = field(default_factory=dict)


def build(root: Path, out: Path, *, ref: str = "HEAD", base: str = "", snapshot: str = "") -> Built:
    """The image of a commit, as an OCI archive with a bill of materials beside it.

    base: an image with apt to build in, in place of one that is made here. snapshot: like 20261101T000000Z.
    Raises ImageError, and leaves nothing half made.
    """
    if lacking := [one for one in PROGRAMS if shutil.which(one) is None]:
        raise ImageError(f"not installed: {', '.join(lacking)} (Debian's packages are called the same)")
    try:
        commit = release.git(root, "rev-parse", "--verify", "--end-of-options", f"{ref}^{{commit}}").decode().strip()
        when = int(release.git(root, "show", "-s", "--format=%ct", commit))
        tree = release.git(root, "-c", "tar.umask=0022", "archive", "--format=tar", commit)
        version = release.version_of(tree)
    except release.ReleaseError as error:
        raise ImageError(*error.faults) from None
    out.mkdir(parents=True, exist_ok=True)
    took: dict[str, float] = {}
    with workplace(out) as work:
        context = work / "context"
        context.mkdir()
        subprocess.run(["tar", "-x", "-C", str(context)], input=tree, check=True)  # noqa: S607
        tools = _Buildah(work, when)
        began = time.monotonic()
        if not base:
            base = tools.base(snapshot)
        took["base"], began = time.monotonic() - began, time.monotonic()
        created = datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        tools.bud(context, base, {"VERSION": version, "REVISION": commit, "CREATED": created})
        took["build"], began = time.monotonic() - began, time.monotonic()
        packed = work / "image.tar"
        tools.run("push", "-q", "--format", "oci", _NAME, f"oci-archive:{packed}:{version}")
        files = work / "root"
        files.mkdir()
        image = archive.unpack(packed, files)
        if wrong := list(holds.faults(files, contents(tree), image.config)):
            raise ImageError(*wrong)
        made = bill.document(files, bom.pins(context), version=version)
        listed = work / "bill.json"
        listed.write_text(json.dumps(made, indent=2) + "\n")
        took["look"] = time.monotonic() - began
        sizes = [path.lstat().st_size for path in files.rglob("*") if path.is_file() and not path.is_symlink()]
        targets = out / f"erip-{version}.oci.tar", out / f"erip-{version}.image.cdx.json"
        os.replace(packed, targets[0])
        os.replace(listed, targets[1])
    return Built(*targets, image, len(sizes), sum(sizes), took)


def contents(tree: bytes) -> dict[str, bytes]:
    """The files of git's archive by path."""
    with tarfile.open(fileobj=io.BytesIO(tree)) as given:
        return {one.name: file.read() for one in given if one.isreg() and (file := given.extractfile(one))}


_NAME: Final = "localhost/erip:built"


class _Buildah:
    """buildah with a storage of its own, which goes with the folder."""

    def __init__(self, work: Path, when: int) -> None:
        self._work, self._when = work, when
        (work / "policy.json").write_text(_POLICY)
        driver = os.environ.get("STORAGE_DRIVER") or "overlay"
        self._where = ["--root", str(work / "storage"), "--runroot", str(work / "run"), "--storage-driver", driver]

    def run(self, command: str, *words: str) -> str:
        """What it prints. Raises ImageError."""
        policy = ["--signature-policy", str(self._work / "policy.json")] if command in _TRUSTING else []
        return self._started(["buildah", *self._where, command, *policy, *words])

    def base(self, snapshot: str) -> str:
        """The name of an image with a Debian that has apt and nothing else."""
        tar = self._work / "base.tar"
        sources = _sources(snapshot)
        dated = ["--aptopt=Acquire::Check-Valid-Until false"] if snapshot else []
        # It is thrown away: nothing in it has to survive a loss of power.
        quick = ["--dpkgopt=force-unsafe-io"]
        self._started(["mmdebstrap", "--quiet", "--variant=apt", *dated, *quick, SUITE, str(tar), *sources])
        container = self.run("from", "scratch").strip()
        self.run("add", "-q", container, str(tar), "/")
        self.run("commit", "-q", "--format", "oci", container, "localhost/erip:base")
        self.run("rm", container)
        tar.unlink()
        return "localhost/erip:base"

    def bud(self, context: Path, base: str, arguments: Mapping[str, str]) -> None:
        """Carry out the Containerfile."""
        given = [f"--build-arg={name}={value}" for name, value in {"BASE": base, **arguments}.items()]
        secrets = [f"--secret=id={id_},src={os.environ[name]}" for name, id_ in SECRETS.items() if os.environ.get(name)]
        options = ["--isolation", "chroot", "--format", "oci", "--layers", "--no-cache"]
        same = ["--timestamp", str(self._when), "--identity-label=false"]
        what = ["-t", _NAME, "-f", str(context / CONTAINERFILE), str(context)]
        self.run("bud", *options, *same, *given, *secrets, *what)

    def _started(self, words: Sequence[str]) -> str:
        env = {**os.environ, "SOURCE_DATE_EPOCH": str(self._when), "TMPDIR": str(self._work)}
        done = subprocess.run(words, capture_output=True, text=True, errors="replace", check=False, env=env)
        if done.returncode:
            end = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
            raise ImageError(f"{words[0]} failed with status {done.returncode}:\n{end}")
        return done.stdout


#: the commands that read or write images
_TRUSTING: Final = frozenset({"from", "commit", "bud", "push"})


def _sources(snapshot: str) -> list[str]:
    """Lines of sources.list; none: mmdebstrap's own, which are those of today with security and updates."""
    if not snapshot:
        return []
    return [
        f"deb {SNAPSHOTS}/debian/{snapshot} {SUITE} main",
        f"deb {SNAPSHOTS}/debian/{snapshot} {SUITE}-updates main",
        f"deb {SNAPSHOTS}/debian-security/{snapshot} {SUITE}-security main",
    ]
