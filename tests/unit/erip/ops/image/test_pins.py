"""Which pins are in the image follows from requirements.in alone."""

import subprocess
import sys
from pathlib import Path

import pytest

from erip.ops.image import pins

WANTED = f"a\nb[x]\n\n{pins.END}, which the image does not run\nserver\n# tests\ntesting\n"
PINNED = """\
a==1 \\
    --hash=sha256:01
    # via
    #   -r requirements.in
    #   server
b-c==2 \\
    --hash=sha256:02 \\
    --hash=sha256:03
    # via b
B==3 ; python_version < '4' \\
    --hash=sha256:04
    # via -r requirements.in
b==4 ; python_version >= '4' \\
    --hash=sha256:05
    # via -r requirements.in
deep==1 \\
    --hash=sha256:06
    # via
    #   b-c
    #   testing
server==1 \\
    --hash=sha256:07
    # via -r requirements.in
testing==1 \\
    --hash=sha256:08
    # via -r requirements.in
only-for-tests==1 \\
    --hash=sha256:09
    # via testing
"""


def test_it_is_what_the_platform_leads_to_with_every_version_and_hash(tmp_path: Path) -> None:
    assert pins.runtime(pins.read(PINNED), pins.roots(WANTED)) == ["a", "b", "b-c", "deep"]
    (tmp_path / "requirements.in").write_text(WANTED)
    (tmp_path / "requirements.txt").write_text(PINNED)
    # As the image's build does it: the file alone, by a Python with nothing installed.
    words = [sys.executable, "-I", pins.__file__, "requirements.in", "requirements.txt"]
    said = subprocess.run(words, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    for text in ("B==3 ; python_version < '4'", "b==4 ; python_version >= '4'", "sha256:04", "sha256:05", "sha256:03"):
        assert text in said
    assert not [text for text in ("# via", "server", "tests") if text in said]


def test_a_requirement_without_a_pin_is_named() -> None:
    with pytest.raises(ValueError, match="does not pin z: run `make requirements`"):
        pins.runtime(pins.read(PINNED), frozenset({"a", "z"}))


def test_requirements_that_do_not_say_where_the_image_ends_are_refused() -> None:
    with pytest.raises(ValueError, match="has no line"):
        pins.roots("a\nb\n")
    with pytest.raises(ValueError, match="not part of a pin"):
        pins.read("    --hash=sha256:01\n")
