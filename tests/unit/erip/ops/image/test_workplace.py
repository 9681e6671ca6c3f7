"""The folder that an image is built in goes, with whatever the builder has mounted below it."""

import os
import subprocess
from pathlib import Path

import pytest

from erip.ops.image.errors import ImageError
from erip.ops.image.workplace import mounted, workplace
from tests.support.namespaces import refused
from tests.support.programs import needs

FORBIDDEN = refused(("unshare", "--mount", "mount", "--bind", "/usr", "/mnt"))


def mount(what: Path, at: Path) -> None:
    at.mkdir(parents=True)
    subprocess.run(["mount", "--bind", str(what), str(at)], check=True)


@needs("unshare", "mount", "umount")
@pytest.mark.skipif(bool(FORBIDDEN), reason=f"nothing may be mounted here: {FORBIDDEN}")
def test_what_is_mounted_below_it_is_unmounted_first_also_after_a_fault(tmp_path: Path) -> None:
    kept = a_folder(tmp_path / "kept")
    out = tmp_path / "out \\ put"
    out.mkdir()
    with pytest.raises(ImageError, match="as it was"):
        build_and_fail(out, kept)
    assert list(out.iterdir()) == []
    assert (kept / "file").is_file()


@needs("unshare", "mount", "umount")
@pytest.mark.skipif(bool(FORBIDDEN), reason=f"nothing may be mounted here: {FORBIDDEN}")
def test_nothing_is_removed_while_something_stays_mounted(tmp_path: Path) -> None:
    kept = a_folder(tmp_path / "kept")
    in_use: list[int] = []
    with pytest.raises(ImageError, match="still mounted") as raised:
        build_and_keep(tmp_path, kept, in_use)
    assert (kept / "file").is_file()
    (work,) = tmp_path.glob(".image-*")
    assert raised.value.faults == (f"{work}/one: still mounted; unmount it and remove {work}",)
    os.close(in_use.pop())
    subprocess.run(["umount", str(work / "one")], check=True)
    assert mounted(work) == []


def a_folder(path: Path) -> Path:
    path.mkdir()
    (path / "file").touch()
    return path


def build_and_fail(out: Path, kept: Path) -> None:
    with workplace(out) as work:
        mount(kept, work / "storage" / "one")
        mount(kept, work / "storage" / "two")
        mount(work / "storage", work / "storage two")
        mount(kept, work / "storage two" / "three")
        assert set(mounted(work)) >= {str(work / name) for name in ("storage/one", "storage/two", "storage two/three")}
        raise ImageError("as it was")


def build_and_keep(out: Path, kept: Path, in_use: list[int]) -> None:
    with workplace(out) as work:
        mount(kept, work / "one")
        in_use.append(os.open(work / "one", os.O_RDONLY))


def test_its_path_is_full_whatever_the_caller_s_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Builders take a relative one for another folder's."""
    monkeypatch.chdir(tmp_path)
    Path("dist").mkdir()
    with workplace(Path("dist")) as work:
        assert work.is_absolute()
        assert work.parent == tmp_path / "dist"
    assert list(Path("dist").iterdir()) == []
