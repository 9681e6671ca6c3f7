"""A compiled module that is not what its source gives is named, whatever it says of itself."""

import importlib.util
import marshal
from collections.abc import Callable
from pathlib import Path

import pytest

from erip.ops.image import compiled
from tests.support import oci

SOURCE = 'ONE = 1\n\n\ndef two(a, b=2.0):\n    """Two."""\n    return a in {"x", "y"} or [c for c in b]\n'


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "module.py"
    path.write_text(SOURCE)
    return path


def test_what_compiling_gives_is_right_also_through_a_link(source: Path) -> None:
    link = source.with_name("link.py")
    link.symlink_to(source.name)
    made = [oci.compiled(source), oci.compiled(link)]
    assert [compiled.source_of(path) for path in made] == [source, link]
    assert list(compiled.faults(source.parent)) == []


def code_of(text: str) -> Callable[[Path, Path], None]:
    """The header of the right one, with other code behind it."""

    def do(source: Path, made: Path) -> None:
        other = marshal.dumps(compile(text, source, "exec"))
        made.write_bytes(made.read_bytes()[:16] + other)

    return do


def patched(at: int) -> Callable[[Path, Path], None]:
    def do(_: Path, made: Path) -> None:
        content = bytearray(made.read_bytes())
        content[at] ^= 1
        made.write_bytes(content)

    return do


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (code_of(SOURCE.replace("1", "2")), "is not what module.py gives"),
        (code_of(SOURCE.replace("1", "True")), "is not what module.py gives"),
        (code_of(SOURCE.replace('"y"', '"z"')), "is not what module.py gives"),
        (code_of(SOURCE.replace("b=2.0", "b=3.0")), "is not what module.py gives"),
        (code_of("\n" + SOURCE), "is not what module.py gives"),
        (lambda _, made: made.write_bytes(made.read_bytes()[:-9]), "is not what module.py gives"),
        (lambda _, made: made.write_bytes(made.read_bytes()[:16] + marshal.dumps(7)), "is not what module.py gives"),
        (lambda source, _: source.write_text("ONE = 2\n"), "was made from another source"),
        (patched(0), "was made from another source"),
        (patched(4), "was made from another source"),
        (patched(9), "was made from another source"),
        (lambda _, made: made.write_bytes(b""), "was made from another source"),
        (lambda source, _: source.unlink(), "has no source"),
        (lambda _, made: made.rename(made.with_name("module.cpython-311.opt-1.pyc")), "has no source"),
        (lambda _, made: made.rename(made.parent.with_name("module.pyc")), "has no source"),
    ],
)
def test_another_one_is_named(source: Path, change: Callable[[Path, Path], object], said: str) -> None:
    change(source, oci.compiled(source))
    (fault,) = compiled.faults(source.parent)
    assert said in fault


def test_a_module_from_elsewhere_is_named(source: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / "module.py"
    other.parent.mkdir()
    other.write_text(SOURCE)
    oci.compiled(source).write_bytes(oci.compiled(other).read_bytes())
    (fault,) = compiled.faults(tmp_path)
    assert fault == f"{importlib.util.cache_from_source(str(source))}: is not what module.py gives"
