"""`python -m erip.ops.image.compiled`: whether each compiled module is what compiling its source gives.

Python runs the compiled form without a look at the source, so what says that it is of a source must be. The image's
build runs this in the image, by the Python that will run it. Code is compared, not bytes: which of equal constants are
written once depends on what else the compiling process had in memory.
"""

import _imp  # what importlib.util.source_hash calls, which takes no other Python's number
import importlib.util
import marshal
import os
import re
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Final

#: bytes before the code: the number of Python's format, the kind, the hash of the source (PEP 552)
_HEADER: Final = 16
#: the kind that is never compared with the source again, so that times of files do not matter
_UNCHECKED: Final = (1).to_bytes(4, "little")
_NAME: Final = re.compile(r"(.+)\.cpython-\d+\.pyc")
CODE: Final = Path("/opt/erip")


def source_of(path: Path) -> Path | None:
    """Where the source of a compiled module is; None if Python would not look there for one."""
    name = _NAME.fullmatch(path.name)
    return path.parent.parent / f"{name[1]}.py" if name and path.parent.name == "__pycache__" else None


def says_it_is_of(packed: bytes, source: bytes) -> bool:
    """Whether a compiled module names this source by its hash, whichever Python (3.11 or newer) made it."""
    of = _imp.source_hash(int.from_bytes(packed[:4], "little"), source)
    return len(packed) > _HEADER and packed[4:_HEADER] == _UNCHECKED + of


def faults(*folders: Path) -> Iterator[str]:
    """A line for each module below these that is not what this Python makes of its source."""
    for path in _modules(*folders):
        source = source_of(path)
        if source is None or not source.is_file():
            yield f"{path}: has no source"
            continue
        content, packed = source.read_bytes(), path.read_bytes()
        if packed[:4] != importlib.util.MAGIC_NUMBER or not says_it_is_of(packed, content):
            yield f"{path}: was made from another source, or by another Python"
        elif not _same(packed, content, source):
            yield f"{path}: is not what {source.name} gives"


def _modules(*folders: Path) -> list[Path]:
    return sorted({path for folder in folders for path in folder.rglob("*.pyc")})


def _same(packed: bytes, content: bytes, source: Path) -> bool:
    try:
        code = marshal.loads(packed[_HEADER:])  # noqa: S302  # nosec B302: the build made it; nothing of it is run
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = compile(content, source, "exec", dont_inherit=True)
    except (EOFError, ValueError, TypeError, SyntaxError):
        return False
    # Where code is from is not part of its equality.
    return isinstance(code, CodeType) and code == expected and code.co_filename == os.fspath(source)


def main() -> int:
    """Exit status 1, with a line for each fault."""
    folders = Path(sysconfig.get_path("stdlib")), CODE
    wrong = list(faults(*folders))
    for line in wrong:
        print(line, file=sys.stderr)
    if not wrong:
        print(f"{len(_modules(*folders))} compiled modules, each of its source")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
