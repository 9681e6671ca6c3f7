"""`python -m erip.ops.image.whole`: whether each library that this Python may load finds all that it needs.

The image holds chosen packages of Debian without those that they depend on, so a library that is missing would be
noticed when somebody first uses it. The image's build runs this in the image.
"""

import ctypes
import os
import re
import sys
import sysconfig
from pathlib import Path
from typing import Final

from erip.foundation.os_errors import in_words

_LIBRARY: Final = re.compile(r".+\.so(?:\.\d+)*")


def libraries(*folders: Path) -> list[Path]:
    """Extension modules, and the libraries that packages bring."""
    found = {path for folder in folders for path in folder.rglob("*.so*") if _LIBRARY.fullmatch(path.name)}
    return sorted(path for path in found if path.is_file())


def faults(*folders: Path) -> list[str]:
    """A line for each library that does not load."""
    found = []
    for path in libraries(*folders):
        try:
            ctypes.CDLL(os.fspath(path), mode=os.RTLD_LAZY)
        except OSError as error:
            found.append(in_words(error, path))
    return found


def main() -> int:
    """Exit status 1, with a line for each that does not load."""
    folders = {Path(sysconfig.get_path(name)) for name in ("platstdlib", "stdlib", "platlib")}
    wrong = faults(*sorted(folders))
    for line in wrong:
        print(line, file=sys.stderr)
    if not wrong:
        print(f"{len(libraries(*folders))} libraries, each with all that it needs")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
