"""What an image holds that it must not: files that nobody can explain, programs, rights, keys.

A file is explained by the package of Debian that brought it (MD5, as dpkg has it), by the RECORD of the package of
Python that did (SHA-256), by the commit (the bytes themselves), or by `MADE`. Compiled modules stand beside the source
that they were made from and have its hash; files for browsers are copies of explained ones. So whatever else was there
while the image was built, a key of it, a cache, an authority of the site, would be named.
"""

import base64
import csv
import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from erip.ops.image import compiled
from erip.ops.image.bill import ENVIRONMENT, STATUS, python

CODE: Final = Path("opt/erip")
STATIC: Final = CODE / "static"
#: whose the processes are, and what they may write to: its mode
USER: Final = 10001
WRITABLE: Final = {"run/erip": 0o700, "tmp": 0o1777}
#: what `deploy/image/debian.sh` and `venv` make, with no package's content
MADE: Final = frozenset(
    {
        *("etc/passwd", "etc/group", "etc/nsswitch.conf", "etc/timezone", "etc/ssl/certs/ca-certificates.crt"),
        str(ENVIRONMENT / "pyvenv.cfg"),
    }
)
#: programs with which somebody who has come in could go on
PROGRAMS: Final = re.compile(
    r"(?:.*/)?(?:sh|bash|dash|busybox|dpkg|apt|apt-get|pip3?(?:\.\d+)?|uv|gcc|cc|ld|curl|wget|nc|su|sudo|mount|perl)"
)
#: the beginning of a private key, with some of the key itself
KEY: Final = re.compile(rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----(?:\s|\\n)*[0-9A-Za-z+/]{40}")
SECRET: Final = re.compile(r"(?i)secret|password|token|database_url|broker_url")


def faults(root: Path, source: Mapping[str, bytes], config: Mapping[str, Any]) -> Iterator[str]:
    """A line for each. source: the content of the commit's files by path. config: the image's own."""
    yield from _settings(config)
    known = _explained(root, source)
    contents = {_sha256(root / path) for path in known}
    for path, at in _files(root):
        yield from _rights(path, at.lstat())
        if at.is_dir() and not at.is_symlink():
            continue
        if PROGRAMS.fullmatch(path):
            yield f"{path}: a program that nothing here needs"
        if at.is_symlink() or not at.is_file():
            continue
        if path not in known and not _compiled(root, path, known) and not _copied(path, at, contents):
            yield f"{path}: no package, and not the commit, has it"
        if KEY.search(at.read_bytes()):
            yield f"{path}: holds a private key"


def _settings(config: Mapping[str, Any]) -> Iterator[str]:
    for one in config.get("Env", ()):
        if SECRET.search(one.partition("=")[0]):
            yield f"its environment holds {one.partition('=')[0]}"
    if config.get("User") != f"{USER}:{USER}":
        yield f"its user is {config.get('User')!r}"
    if not str((config.get("Entrypoint") or [""])[0]).startswith("/"):
        yield "its entry point is no full path"


def _files(root: Path) -> Iterator[tuple[str, Path]]:
    for folder, folders, names in os.walk(root):
        for name in sorted([*folders, *names]):
            at = Path(folder, name)
            yield str(at.relative_to(root)), at


def _rights(path: str, found: os.stat_result) -> Iterator[str]:
    mode = stat.S_IMODE(found.st_mode)
    if path in WRITABLE:
        owner = USER if path.startswith("run/") else 0
        if mode != WRITABLE[path] or (found.st_uid != owner and os.geteuid() == 0):
            yield f"{path}: its mode is {mode:o}, and it is owned by {found.st_uid}"
        return
    if found.st_uid != 0 and os.geteuid() == 0:
        yield f"{path}: is owned by {found.st_uid}"
    if stat.S_ISLNK(found.st_mode):
        return
    if mode & (stat.S_ISUID | stat.S_ISGID):
        yield f"{path}: gives whoever starts it the rights of its owner"
    if mode & 0o022:
        yield f"{path}: others may write to it"
    if mode & 0o004 == 0:
        yield f"{path}: its user cannot read it"


def _explained(root: Path, source: Mapping[str, bytes]) -> set[str]:
    """The paths of files that are what a package or the commit says, and those in MADE."""
    found = {path for path in MADE if (root / path).is_file()}
    for sums in sorted((root / STATUS).glob("*.md5sums")):
        found |= {str(path.relative_to(root)) for path in (sums, sums.with_suffix(""))}
        for line in sums.read_text("utf-8").splitlines():
            digest, _, path = line.partition("  ")
            at = root / path
            if at.is_file() and hashlib.md5(at.read_bytes(), usedforsecurity=False).hexdigest() == digest:
                found.add(path)
    for *_, folder in python(root):
        found |= set(_recorded(root, folder))
    for path, content in source.items():
        at = root / CODE / path
        if at.is_file() and at.read_bytes() == content:
            found.add(str(CODE / path))
    return found


def _recorded(root: Path, folder: Path) -> Iterator[str]:
    with (folder / "RECORD").open(newline="", encoding="utf-8") as file:
        for name, digest, *_ in csv.reader(file):
            path = os.path.relpath(os.path.normpath(folder.parent / name), root)
            at = root / path
            if not at.is_file() or path.startswith(".."):
                continue
            if name == f"{folder.name}/RECORD" or digest == _recorded_digest(at):
                yield path


def _recorded_digest(path: Path) -> str:
    return f"sha256={base64.urlsafe_b64encode(_sha256(path)).rstrip(b'=').decode()}"


def _sha256(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _compiled(root: Path, path: str, known: set[str]) -> bool:
    """Whether it says that it is the compiled form of a source that is explained: `compiled` has seen, in the image,
    that it is."""
    source = compiled.source_of(root / path)
    if source is None or not source.is_file():
        return False
    # Debian has one source under two names.
    found = os.path.relpath(os.path.realpath(source), os.path.realpath(root))
    return found in known and compiled.says_it_is_of((root / path).read_bytes(), source.read_bytes())


def _copied(path: str, at: Path, contents: set[bytes]) -> bool:
    return path.startswith(f"{STATIC}/") and _sha256(at) in contents
