"""An image as an archive: the OCI layout (opencontainers/image-spec, image-layout.md) in one tar file.

Whatever its bytes are, it is either read or refused with ImageError, and nothing is written outside of the folder that
it is unpacked into.
"""

import contextlib
import hashlib
import json
import os
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from erip.ops.image.errors import ImageError

#: bytes of an index, a manifest or a configuration
_MOST: Final = 4 << 20
#: bytes of all files together when they are unpacked
_MOST_UNPACKED: Final = 4 << 30
_ALGORITHM: Final = "sha256:"
#: what bytes that are no such archive may lead to
_UNREADABLE: Final = (
    *(OSError, EOFError, tarfile.TarError, zlib.error),
    *(ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError),
)


@dataclass(frozen=True, slots=True)
class Image:
    """digest: of the manifest, what a registry calls it. id: of the configuration, what `podman images` shows.
    config: the image's `config`, with Env, User, Entrypoint and so on. history: as the builder wrote it.
    layers: the digest and the compressed bytes of each, the lowest first."""

    digest: str
    id: str
    config: dict[str, Any]
    history: tuple[dict[str, Any], ...]
    layers: tuple[tuple[str, int], ...]

    @property
    def size(self) -> int:
        """Bytes that a registry sends for it, without manifest and configuration."""
        return sum(size for _, size in self.layers)


def read(archive: Path) -> Image:
    """What the archive says of its one image. Raises ImageError."""
    with _opened(archive) as tar:
        return _image(tar)


def unpack(archive: Path, folder: Path) -> Image:
    """Write the image's files into an empty folder, owned as in the image if root does it. Raises ImageError."""
    unpacked = 0
    with _opened(archive) as tar:
        image = _image(tar)
        for digest, _ in image.layers:
            _require(digest, tar)
            with tarfile.open(fileobj=_file(tar, digest)) as layer:
                # What may be written is said below; owners, modes and links to full paths are to be as in the image,
                # which is not what Python 3.14 does of itself.
                layer.extraction_filter = lambda member, _: member
                for one in layer:
                    unpacked += one.size
                    if unpacked > _MOST_UNPACKED:
                        raise ImageError(f"{archive.name}: more than {_MOST_UNPACKED >> 30} GB when it is unpacked")
                    _write(layer, one, folder)
    return image


@contextlib.contextmanager
def _opened(archive: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(archive) as tar:
            yield tar
    except _UNREADABLE as error:
        raise ImageError(f"{archive.name}: no image in an OCI archive that can be read: {error}") from None


def _image(tar: tarfile.TarFile) -> Image:
    manifests = json.loads(_bytes(tar, "index.json"))["manifests"]
    if len(manifests) != 1:
        raise ImageError(f"{len(manifests)} images in place of one")
    digest = str(manifests[0]["digest"])
    manifest = json.loads(_blob(tar, digest))
    id_ = str(manifest["config"]["digest"])
    config = json.loads(_blob(tar, id_))
    layers = tuple((str(one["digest"]), int(one["size"])) for one in manifest["layers"])
    return Image(digest, id_, dict(config["config"]), tuple(config.get("history", ())), layers)


def _path(digest: str) -> str:
    if not digest.startswith(_ALGORITHM) or not digest.removeprefix(_ALGORITHM).isalnum():
        raise ImageError(f"{digest[:80]!r} is no SHA-256 digest")
    return f"blobs/sha256/{digest.removeprefix(_ALGORITHM)}"


def _file(tar: tarfile.TarFile, digest: str) -> Any:
    file = tar.extractfile(_path(digest))
    if file is None:
        raise ImageError(f"{digest}: is no file")
    return file


def _require(digest: str, tar: tarfile.TarFile) -> None:
    """The content is that which its name says. Raises ImageError."""
    with _file(tar, digest) as file:
        if _ALGORITHM + hashlib.file_digest(file, "sha256").hexdigest() != digest:
            raise ImageError(f"{digest}: the content is another")


def _bytes(tar: tarfile.TarFile, name: str) -> bytes:
    file = tar.extractfile(name)
    if file is None:
        raise ImageError(f"{name}: is no file")
    with file:
        content = file.read(_MOST + 1)
    if len(content) > _MOST:
        raise ImageError(f"{name}: more than {_MOST >> 20} MB")
    return content


def _blob(tar: tarfile.TarFile, digest: str) -> bytes:
    content = _bytes(tar, _path(digest))
    if _ALGORITHM + hashlib.sha256(content).hexdigest() != digest:
        raise ImageError(f"{digest}: the content is another")
    return content


def _write(layer: tarfile.TarFile, one: tarfile.TarInfo, folder: Path) -> None:
    """Raises ImageError for what would be written elsewhere, a device, and the removal of a lower layer's file."""
    path = PurePosixPath(one.name)
    if path.is_absolute() or ".." in path.parts:
        raise ImageError(f"{one.name}: is outside of the image")
    if path.name.startswith(".wh."):
        raise ImageError(f"{one.name}: a layer that removes files of another is none of ours")
    if not (one.isreg() or one.isdir() or one.issym() or one.islnk()):
        raise ImageError(f"{one.name}: neither a file, a folder nor a link")
    root = os.path.realpath(folder)
    targets = [path.parent, *([PurePosixPath(one.linkname).parent] if one.islnk() else [])]
    # A folder of an earlier layer may be a link to elsewhere.
    if any(os.path.commonpath([root, os.path.realpath(os.path.join(root, each))]) != root for each in targets):
        raise ImageError(f"{one.name}: is outside of the image")
    target = os.path.join(root, path)
    if not one.isdir() and os.path.lexists(target):
        raise ImageError(f"{one.name}: two layers have it")
    if one.isdir() and os.path.islink(target):
        raise ImageError(f"{one.name}: a folder and a link")
    layer.extract(one, root, numeric_owner=True)
