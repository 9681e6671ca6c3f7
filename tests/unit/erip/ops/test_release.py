"""Releases: the same bytes twice, and whatever is changed afterwards is named."""

import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from erip.ops import release
from erip.ops.release import IDENTITY, ReleaseError, make, verify
from tests.support.programs import needs

pytestmark = needs("git", "ssh-keygen")

STEM = "erip-1.2.3"
FILES = {f"{STEM}.tar.gz", f"{STEM}.cdx.json", "SHA256SUMS", "SHA256SUMS.sig"}


def git(root: Path, *words: str) -> None:
    who = ("-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(root), *who, *words], check=True, capture_output=True)


def a_key(folder: Path, name: str, kind: str = "ed25519") -> Path:
    path = folder / name
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(path)], check=True)
    return path


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return a_key(tmp_path, "key")


@pytest.fixture
def signers(tmp_path: Path, key: Path) -> Path:
    path = tmp_path / "signers"
    path.write_text(f"{IDENTITY} {key.with_suffix('.pub').read_text()}")
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    found = tmp_path / "root"
    (found / "erip").mkdir(parents=True)
    (found / "pyproject.toml").write_text('[project]\nname = "erip"\nversion = "1.2.3"\n')
    (found / "requirements.txt").write_text(f"django==5.2 \\\n    --hash=sha256:{'a' * 64}\n")
    (found / "erip" / "requirements.txt").write_text("this is no pin\n")
    (found / "run.sh").write_text("#!/bin/sh\n")
    (found / "run.sh").chmod(0o755)
    (found / "link").symlink_to("run.sh")
    git(found, "init", "-q")
    git(found, "add", "-A")
    git(found, "commit", "-q", "-m", "all")
    return found


def contents(folder: Path) -> dict[str, bytes]:
    return {one.name: one.read_bytes() for one in folder.iterdir()}


def test_the_same_commit_gives_the_same_bytes_whatever_is_lying_about(
    root: Path, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(root, key, tmp_path / "one")
    # Another clone with another umask and time zone, a changed file, one that is not committed, other times.
    other = tmp_path / "other"
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    before = os.umask(0o077)
    try:
        subprocess.run(["git", "clone", "-q", str(root), str(other)], check=True)
        (other / "requirements.txt").write_text("anything\n")
        (other / "new").write_text("not committed")
        git(other, "config", "tar.umask", "0")
        os.utime(other / "run.sh", (1, 1))
        make(other, key, tmp_path / "two")
    finally:
        os.umask(before)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert contents(tmp_path / "one").keys() == FILES


def test_it_holds_what_was_committed_and_the_bill_of_it(root: Path, key: Path, tmp_path: Path) -> None:
    make(root, key, tmp_path / "out")
    with tarfile.open(tmp_path / "out" / f"{STEM}.tar.gz") as archive:
        members = {one.name: one for one in archive}
    assert set(members) == {
        f"{STEM}/{name}" for name in ("pyproject.toml", "requirements.txt", "erip/requirements.txt", "run.sh", "link")
    }
    assert members[f"{STEM}/run.sh"].mode == 0o755
    assert members[f"{STEM}/link"].linkname == "run.sh"
    assert {(one.uid, one.gid, one.uname, one.gname) for one in members.values()} == {(0, 0, "", "")}
    bill = json.loads((tmp_path / "out" / f"{STEM}.cdx.json").read_text())
    assert [one["purl"] for one in bill["components"]] == ["pkg:pypi/django@5.2"]


def test_what_was_signed_is_whole_and_anybodys_own_programs_say_so_too(
    root: Path, key: Path, signers: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    make(root, key, out)
    assert verify(out, signers) == f"{STEM}.tar.gz"
    # As SECURITY.md has it, without ERIP.
    words = ["ssh-keygen", "-Y", "verify", "-f", str(signers), "-I", IDENTITY, "-n", "erip-release"]
    with (out / "SHA256SUMS").open() as sums:
        subprocess.run([*words, "-s", "SHA256SUMS.sig"], check=True, stdin=sums, cwd=out, capture_output=True)
    if shutil.which("sha256sum"):
        subprocess.run(["sha256sum", "--strict", "-c", "SHA256SUMS"], check=True, cwd=out, capture_output=True)


def test_each_byte_that_is_changed_and_each_file_that_is_added_or_taken_is_named(
    root: Path, key: Path, signers: Path, tmp_path: Path
) -> None:
    good = tmp_path / "good"
    make(root, key, good)
    for number, name in enumerate(sorted(FILES)):
        for at in (0, 0.5, 1):
            bad = tmp_path / f"bad-{number}-{at}"
            shutil.copytree(good, bad)
            content = bytearray((bad / name).read_bytes())
            content[int(at * (len(content) - 2))] ^= 1
            (bad / name).write_bytes(content)
            with pytest.raises(ReleaseError, match=name.removesuffix(".sig")):
                verify(bad, signers)
        gone = tmp_path / f"gone-{number}"
        shutil.copytree(good, gone)
        (gone / name).unlink()
        with pytest.raises(ReleaseError, match=f"{name} is missing"):
            verify(gone, signers)
    (good / "setup.sh").write_text("curl … | sh")
    with pytest.raises(ReleaseError, match=r"setup\.sh is not part of the release"):
        verify(good, signers)


def test_a_signature_of_another_key_or_for_something_else_is_none(
    root: Path, key: Path, signers: Path, tmp_path: Path
) -> None:
    foreign = tmp_path / "foreign"
    make(root, a_key(tmp_path, "other"), foreign)
    with pytest.raises(ReleaseError, match="not signed by one of"):
        verify(foreign, signers)
    good = tmp_path / "good"
    make(root, key, good)
    (good / "SHA256SUMS.sig").unlink()
    words = ["ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", "git", str(good / "SHA256SUMS")]
    subprocess.run(words, check=True, capture_output=True)
    with pytest.raises(ReleaseError, match="not signed by one of"):
        verify(good, signers)


def test_signed_sums_may_name_no_file_elsewhere(root: Path, key: Path, signers: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    make(root, key, out)
    (out / "SHA256SUMS").write_text(f"{'0' * 64}  ../key\n{(out / 'SHA256SUMS').read_text()}")
    (out / "SHA256SUMS.sig").unlink()
    words = ["ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", "erip-release", str(out / "SHA256SUMS")]
    subprocess.run(words, check=True, capture_output=True)
    with pytest.raises(ReleaseError, match="none of its format"):
        verify(out, signers)


@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_a_key_that_signs_with_something_random_is_refused(kind: str, root: Path, tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="is no Ed25519 key"):
        make(root, a_key(tmp_path, kind, kind), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_commit_that_cannot_be_released_is_refused(root: Path, key: Path, tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="git rev-parse"):
        make(root, key, tmp_path / "out", "no-such-tag")
    (root / "requirements.txt").write_text("django>=5\n")
    git(root, "commit", "-q", "-am", "unpinned")
    with pytest.raises(ReleaseError, match=r"not pinned by a hash: requirements\.txt: django"):
        make(root, key, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_this_repository_can_be_released(key: Path, signers: Path, tmp_path: Path) -> None:
    if not (release.ROOT / ".git").exists():
        pytest.skip("no clone: there is no commit to release")
    (words,) = [["--out", str(tmp_path / "out"), "--key", str(key)]]
    assert release.main(["make", *words]) == 0
    assert release.main(["verify", str(tmp_path / "out"), "--signers", str(signers)]) == 0
