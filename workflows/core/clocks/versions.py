"""The versions of the data that a deadline hangs on: holidays, and the time zones of this machine."""

import re
import zoneinfo
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from workflows.core.clocks.calendars import holidays_version


@lru_cache(maxsize=1)
def tzdata_version() -> str:
    """As 2026a. Python reads the machine's own data first, and the package `tzdata` where there is none."""
    for folder in zoneinfo.TZPATH:
        try:
            head = (Path(folder) / "tzdata.zi").open(encoding="ascii", errors="replace").read(80)
        except OSError:
            continue
        if found := re.match(r"# version (\S+)", head):
            return found[1]
    try:
        return version("tzdata")
    except PackageNotFoundError:
        return "unknown"


def data_versions() -> dict[str, str]:
    return {"holidays": holidays_version(), "tzdata": tzdata_version()}
