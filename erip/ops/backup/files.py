"""The sealed archives beside the backups: made with each, removed with the oldest."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from erip.ops.backup.sealed import Sealed, seal

_NAME: Final = "files-{:%Y%m%dT%H%M%SZ}.sealed"


def make(paths: Iterable[Path], folder: Path, passphrase: str) -> tuple[Path, Sealed]:
    """An archive of these in `folder`, which only its owner may enter. Paths that are not there are left out: a place
    for reports is made with the first of them. Raises SealError, OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    to = folder / _NAME.format(datetime.now(UTC))
    return to, seal([path for path in paths if path.exists()], to, passphrase)


def archives(folder: Path) -> list[Path]:
    """Oldest first."""
    return sorted(folder.glob("files-*.sealed"))


def prune(folder: Path, *, before: datetime) -> list[Path]:
    """Remove those from before the oldest backup that is kept, but never the newest. before: aware."""
    gone = [path for path in archives(folder)[:-1] if _made(path) < before]
    for path in gone:
        path.unlink(missing_ok=True)
    return gone


def _made(path: Path) -> datetime:
    try:
        return datetime.strptime(path.name, "files-%Y%m%dT%H%M%SZ.sealed").replace(tzinfo=UTC)
    except ValueError:
        # Not one of ours: it stays.
        return datetime.max.replace(tzinfo=UTC)
