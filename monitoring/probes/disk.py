"""The disk that the state directory is on, of the host where the leader runs."""

import os
from pathlib import Path

from monitoring.core.components import State
from monitoring.probes import Finding, Unanswered

#: shares of the disk that must be free: below the first it is worth a look, below the second writes are about to fail
_LITTLE, _NONE = 0.10, 0.02


class Disk:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self) -> Finding:
        try:
            found = os.statvfs(next(one for one in (self._folder, *self._folder.parents) if one.exists()))
        except OSError as error:
            raise Unanswered(f"The disk cannot be looked at: {error.strerror}") from error
        size, free = found.f_frsize * found.f_blocks, found.f_frsize * found.f_bavail
        inodes = found.f_favail / found.f_files if found.f_files else 1.0
        share = min(free / size if size else 1.0, inodes)
        measures = {"erip_disk_free_bytes": float(free), "erip_disk_size_bytes": float(size)}
        what = "inodes" if inodes < (free / size if size else 1.0) else "disk"
        sentence = f"{share:.0%} of the {what} is free ({free / 1e9:.1f} GB)."
        state = State.DOWN if share < _NONE else State.DEGRADED if share < _LITTLE else State.OK
        return Finding(state, sentence, "", measures)
