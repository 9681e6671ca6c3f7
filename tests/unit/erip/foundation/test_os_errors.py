"""What the operating system refused is said with its file and in words, wherever somebody reads it."""

import ast
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from erip.foundation.os_errors import in_words
from erip.ops.stack.state import ROOT

#: programs of one file, which are handed to somebody who has nothing of ours, and say it themselves
ALONE: Final = {"erip/audit/erip_bucket.py", "erip/audit/erip_verify.py"}
#: the folders of the platform
PACKAGES: Final = ("erip", "workflows", "monitoring", "people", "schedules", "console")
OF_FILES: Final = {"OSError", "FileNotFoundError", "PermissionError", "IsADirectoryError", "NotADirectoryError"}


def test_a_file_that_is_not_there_is_named_once(tmp_path: Path) -> None:
    with pytest.raises(OSError) as found:
        (tmp_path / "a.yaml").read_bytes()
    expected = f"{tmp_path}/a.yaml: no such file or directory"
    assert in_words(found.value) == in_words(found.value, tmp_path / "a.yaml") == expected
    with pytest.raises(OSError) as found:
        (tmp_path / "a").rename(tmp_path / "b")
    assert in_words(found.value) == f"{tmp_path}/a -> {tmp_path}/b: no such file or directory"


@pytest.mark.parametrize("number", sorted(errno.errorcode))
def test_no_error_of_the_system_begins_with_its_number(number: int) -> None:
    error = OSError(number, os.strerror(number))
    assert in_words(error).casefold() == os.strerror(number).casefold()
    assert in_words(error, "a").startswith("a: ")


def test_what_is_no_error_of_the_system_keeps_its_text() -> None:
    assert in_words(ValueError("Only this")) == "Only this"
    assert in_words(ValueError("Only this"), "a") == "a: Only this"
    assert in_words(TimeoutError()) == "TimeoutError"


def said(tree: ast.AST) -> Iterator[int]:
    """Lines in which an error that may be of the system is made a text as it is."""
    for handler in ast.walk(tree):
        if not isinstance(handler, ast.ExceptHandler) or not handler.name or handler.type is None:
            continue
        if not OF_FILES & {one.id for one in ast.walk(handler.type) if isinstance(one, ast.Name)}:
            continue
        for node in ast.walk(ast.Module(handler.body, [])):
            plain = isinstance(node, ast.FormattedValue) and node.conversion != ord("r") and ast.unparse(node.value)
            text = isinstance(node, ast.Call) and ast.unparse(node.func) == "str" and ast.unparse(node.args[0])
            if handler.name in (plain, text):
                yield node.lineno


def test_every_place_that_says_it_says_it_in_words() -> None:
    found = {
        f"{name}:{line}"
        for package in PACKAGES
        for file in sorted((ROOT / package).rglob("*.py"))
        if (name := str(file.relative_to(ROOT))) not in ALONE
        for line in said(ast.parse(file.read_text()))
    }
    # It comes with what was tried, and takes the text alone.
    assert found == {"workflows/management/commands/decisions.py:84"}


@pytest.mark.parametrize("text", ["f'{error}'", "f'{a}: {error}'", "str(error)", "f'{str(error)[:3]}'"])
def test_the_sweep_finds_each_way_to_say_it(text: str) -> None:
    assert list(said(ast.parse(f"try:\n    a()\nexcept (ValueError, OSError) as error:\n    print({text})"))) == [4]
    assert not list(said(ast.parse(f"try:\n    a()\nexcept ValueError as error:\n    print({text})")))
