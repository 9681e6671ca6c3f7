"""A library that lacks another is named when the image is built, not when somebody first needs it."""

import shutil
import sysconfig
from pathlib import Path

from erip.ops.image import whole


def test_a_library_that_does_not_load_is_named(tmp_path: Path) -> None:
    good = sorted(Path(sysconfig.get_path("platstdlib")).rglob("_json*.so"))[:1]
    for path in good:
        shutil.copy(path, tmp_path)
    (tmp_path / "alpine.sort.js").write_text("no library")
    assert whole.faults(tmp_path) == []
    (tmp_path / "broken.so").write_bytes(b"\x7fELF but not for long")
    (fault,) = whole.faults(tmp_path)
    assert fault.startswith(f"{tmp_path}/broken.so: ")
    assert [path.name for path in whole.libraries(tmp_path)] == sorted(["broken.so", *(path.name for path in good)])
