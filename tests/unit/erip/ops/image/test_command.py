"""`python -m erip.ops.image`."""

import sys
from collections.abc import Callable

import pytest

import benchmarks.image.__main__
from erip.ops.image.__main__ import main


def check(words: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["benchmarks.image", *words])
    return benchmarks.image.__main__.main()


Door = Callable[[list[str], pytest.MonkeyPatch], int]
#: `make image` and `make image-check`
DOORS: list[Door] = [
    lambda words, _: main(["build", *words]),
    check,
]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    "moment",
    [
        "20261101",
        "20261101T000000Z bookworm main",
        "2026-11-01T00:00:00Z",
        "x",
        "\N{ARABIC-INDIC DIGIT TWO}0261101T000000Z",
    ],
)
def test_a_moment_that_is_none_is_named(
    door: Door, moment: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit) as raised:
        door(["--out", "x", "--snapshot", moment], monkeypatch)
    assert raised.value.code == 2
    assert "is no moment like 20261101T000000Z" in capsys.readouterr().err


@pytest.mark.parametrize("door", DOORS)
def test_a_base_and_the_moment_of_its_packages_are_not_given_together(
    door: Door, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit) as raised:
        door(["--out", "x", "--base", "debian:12", "--snapshot", "20261101T000000Z"], monkeypatch)
    assert raised.value.code == 2
    assert "give one of --base and --snapshot" in capsys.readouterr().err
