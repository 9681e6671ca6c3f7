"""Sealed archives: what comes out is what went in, and nothing else is opened."""

import os
import socket
from pathlib import Path

import pytest

from erip.ops.backup.sealed import MAGIC, SealError, seal, unseal

PASS = "a-pass-of-more-than-16"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    reports = tmp_path / "reports"
    (reports / "deep").mkdir(parents=True)
    (reports / "a.txt").write_text("words that nobody may read")
    # Longer than a chunk, and of random bytes: it does not become shorter.
    (reports / "deep" / "b.bin").write_bytes(os.urandom(3_000_000))
    (reports / "link").symlink_to("/etc/passwd")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(reports / "s"))
    to = tmp_path / "files.sealed"
    done = seal([reports], to, PASS)
    assert (done.files, done.skipped) == (2, 2)
    return to


def test_what_comes_out_is_what_went_in_and_is_private(archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert unseal(archive, out, PASS).files == 2
    reports = tmp_path / "reports"
    for name in ("a.txt", "deep/b.bin"):
        found = out / str(reports).lstrip("/") / name
        assert found.read_bytes() == (reports / name).read_bytes()
        assert found.stat().st_mode & 0o077 == 0
    assert archive.stat().st_mode & 0o077 == 0
    assert b"nobody may read" not in archive.read_bytes()
    # Nothing is replaced.
    with pytest.raises(FileExistsError):
        unseal(archive, out, PASS)


def test_another_pass_and_any_change_open_nothing(archive: Path, tmp_path: Path) -> None:
    with pytest.raises(SealError, match="pass is another"):
        unseal(archive, tmp_path / "1", "another-pass-of-16-or-more")
    whole = archive.read_bytes()
    first = len(MAGIC) + 16 + 7
    size = 4 + int.from_bytes(whole[first : first + 4], "big")
    second = 4 + int.from_bytes(whole[first + size : first + size + 4], "big")
    changes = {
        "a byte": whole[: first + 100] + bytes([whole[first + 100] ^ 1]) + whole[first + 101 :],
        "the end": whole[:-1],
        "the last chunk": whole[: first + size + second],
        "a chunk left out": whole[:first] + whole[first + size :],
        "two chunks in another order": whole[:first]
        + whole[first + size : first + size + second]
        + whole[first : first + size]
        + whole[first + size + second :],
        "a length": whole[:first] + b"\xff\xff\xff\xff" + whole[first + 4 :],
        "nothing but its head": whole[:first],
        "another file": b"PK\x03\x04" + whole,
        "nothing": b"",
    }
    for number, (what, content) in enumerate(changes.items()):
        archive.write_bytes(content)
        with pytest.raises((SealError, EOFError), match=r"cut off|changed|no sealed|ended") as refused:
            unseal(archive, tmp_path / f"c{number}", PASS)
        assert refused, what


def test_a_bad_order_is_refused_and_leaves_nothing_behind(tmp_path: Path) -> None:
    to = tmp_path / "files.sealed"
    for paths, passphrase, said in (
        ([Path("relative")], PASS, "absolute"),
        ([tmp_path / "none"], PASS, "no such file"),
        ([tmp_path], "short", "fewer than"),
    ):
        with pytest.raises(SealError, match=said):
            seal(paths, to, passphrase)
        assert list(tmp_path.iterdir()) == []
