"""Small images as OCI archives, and their files, made by hand."""

import base64
import gzip
import hashlib
import io
import json
import py_compile
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Member = tuple[tarfile.TarInfo, bytes]
CONFIG = {
    "User": "10001:10001",
    "Entrypoint": ["/opt/erip/.venv/bin/python"],
    "Env": ["PATH=/usr/bin"],
    "WorkingDir": "/",
}


def file(name: str, content: bytes = b"", mode: int = 0o644) -> Member:
    one = tarfile.TarInfo(name)
    one.size, one.mode = len(content), mode
    return one, content


def folder(name: str, mode: int = 0o755) -> Member:
    one = tarfile.TarInfo(name)
    one.type, one.mode = tarfile.DIRTYPE, mode
    return one, b""


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> Member:
    one = tarfile.TarInfo(name)
    one.type, one.linkname = kind, target
    return one, b""


def write(path: Path, *layers: Sequence[Member], config: dict[str, Any] = CONFIG, images: int = 1) -> Path:
    """An archive with these layers."""
    packed = [gzip.compress(_tar(layer), mtime=0) for layer in layers]
    blobs = list(packed)
    told = json.dumps({"config": config, "rootfs": {"type": "layers"}}).encode()
    manifest = json.dumps(
        {"config": _about(told), "layers": [_about(one) for one in packed], "schemaVersion": 2}
    ).encode()
    blobs += [told, manifest]
    index = json.dumps({"manifests": [_about(manifest)] * images, "schemaVersion": 2}).encode()
    members = [file(f"blobs/sha256/{hashlib.sha256(one).hexdigest()}", one) for one in blobs]
    path.write_bytes(_tar([file("index.json", index), *members]))
    return path


def root(at: Path) -> Path:
    """The files of an image as ours is: two packages of Debian, one of Python, some code, and what is made."""
    _put(at, "usr/lib/os-release", 'VERSION_ID="12"\n')
    _put(at, "lib/libc.so.6", "the library")
    _put(at, "usr/bin/python3.11", "the program")
    for name, source, files in (
        ("libc6", "glibc", ["lib/libc.so.6", "usr/lib/os-release"]),
        ("python3.11-minimal", "python3.11 (3.11.2-6)", ["usr/bin/python3.11"]),
    ):
        status = f"Package: {name}\nVersion: 1:2.36-9+deb12u1\nArchitecture: amd64\nSource: {source}\n"
        _put(at, f"var/lib/dpkg/status.d/{name}", status + "Description: one\n of them\n")
        sums = "".join(f"{hashlib.md5((at / each).read_bytes()).hexdigest()}  {each}\n" for each in files)
        _put(at, f"var/lib/dpkg/status.d/{name}.md5sums", sums)
    packages = "opt/erip/.venv/lib/python3.11/site-packages"
    _put(at, "opt/erip/.venv/pyvenv.cfg", "home = /usr/bin\n")
    _put(at, f"{packages}/django/one.py", "1\n")
    compiled(at / packages / "django" / "one.py")
    _put(at, f"{packages}/django-5.2.dist-info/METADATA", "Name: Django\nVersion: 5.2\n\nlong\n")
    recorded = []
    for name in ("django/one.py", "django-5.2.dist-info/METADATA"):
        digest = base64.urlsafe_b64encode(hashlib.sha256((at / packages / name).read_bytes()).digest()).rstrip(b"=")
        recorded.append(f"{name},sha256={digest.decode()},1\n")
    _put(at, f"{packages}/django-5.2.dist-info/RECORD", "".join(recorded) + "django-5.2.dist-info/RECORD,,\n")
    _put(at, "opt/erip/manage.py", "2\n")
    _put(at, "opt/erip/static/one.js", "1\n")
    _put(at, "etc/passwd", "root:x:0:0:root:/:/usr/sbin/nologin\n")
    for path, mode in (("run/erip", 0o700), ("tmp", 0o1777)):
        (at / path).mkdir(parents=True)
        (at / path).chmod(mode)
    return at


def compiled(source: Path) -> Path:
    """Compile it as the image's build does."""
    kind = py_compile.PycInvalidationMode.UNCHECKED_HASH
    return Path(str(py_compile.compile(str(source), doraise=True, invalidation_mode=kind)))


def _put(at: Path, path: str, content: str) -> None:
    (at / path).parent.mkdir(parents=True, exist_ok=True)
    (at / path).write_text(content)


def _about(blob: bytes) -> dict[str, Any]:
    return {"digest": f"sha256:{hashlib.sha256(blob).hexdigest()}", "size": len(blob)}


def _tar(members: Sequence[Member]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as made:
        for one, content in members:
            made.addfile(one, io.BytesIO(content) if content else None)
    return packed.getvalue()
