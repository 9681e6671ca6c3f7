"""A folder to build in. Builders mount things below it; when it goes, so do these, however the building ended."""

# ruff: noqa: S603, S607 (umount gets paths that the kernel names, below a folder of ours)

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from erip.ops.image.errors import ImageError

_MOUNTS: Final = Path("/proc/self/mountinfo")
#: how the kernel writes blanks, line ends and backslashes in paths
_ESCAPED: Final = re.compile(r"\\([0-7]{3})")


@contextmanager
def workplace(out: Path) -> Iterator[Path]:
    """An empty folder below `out`, by its full path, until the block ends.

    Raises ImageError if something below it stays mounted: then nothing of it is removed, for what is mounted may be a
    folder of the machine.
    """
    # Programs that are given it may start in another folder.
    work = Path(tempfile.mkdtemp(dir=out.resolve(), prefix=".image-"))
    try:
        yield work
    finally:
        for path in mounted(work):
            subprocess.run(["umount", "--", path], check=False, capture_output=True)
        if left := mounted(work):
            raise ImageError(*(f"{path}: still mounted; unmount it and remove {work}" for path in left))
        shutil.rmtree(work)


def mounted(folder: Path) -> list[str]:
    """What is mounted below a folder, in the order in which it can be unmounted."""
    lines = _MOUNTS.read_text("utf-8", errors="surrogateescape").splitlines()
    paths = [_ESCAPED.sub(lambda one: chr(int(one[1], 8)), line.split(" ")[4]) for line in lines]
    return [path for path in reversed(paths) if path.startswith(f"{folder}/")]
