"""The files of a rehearsal, and a fleet that ends before its time."""

import asyncio
from pathlib import Path
from random import Random

import pytest

from benchmarks.errors import Missing
from benchmarks.upgrade import own_app
from benchmarks.upgrade.tree import Tree
from benchmarks.uptime.fleet import put_on
from benchmarks.uptime.samples import Sample, Try


def test_the_own_app_goes_forward_and_back(tmp_path: Path) -> None:
    def files() -> dict[str, str]:
        return {str(one.relative_to(tmp_path)): one.read_text() for one in tmp_path.rglob("*.py")}

    own_app.write(tmp_path, newer=False)
    before = files()
    assert "size" not in before["rehearsed/models.py"]
    own_app.write(tmp_path, newer=True)
    assert "size" in files()["rehearsed/models.py"]
    assert "rehearsed/migrations/0002_sizes.py" in files()
    own_app.write(tmp_path, newer=False)
    assert files() == before
    for name, text in files().items():
        compile(text, name, "exec")


def test_a_release_that_is_not_here_is_said(tmp_path: Path) -> None:
    try:
        tree = Tree(tmp_path)
    except Missing as why:
        pytest.skip(str(why))
    with pytest.raises(Missing, match="There is no v0-none here"):
        tree.commit("v0-none")
    assert tree.lacking(tree.commit("HEAD")) == []


def test_the_fleet_ends_when_it_is_over() -> None:
    class Ask:
        name = "ask"

        def ready(self) -> bool:
            return True

        async def ask(self) -> tuple[Try, ...]:
            return (Try(0.0, 0.0, None),)

    samples: list[Sample] = []
    asyncio.run(
        put_on(
            {Ask(): 1},
            rate=1000,
            seconds=3600,
            random=Random(1),
            samples=samples,
            done=lambda _: None,
            over=lambda: len(samples) >= 20,
        )
    )
    assert 20 <= len(samples) <= 22
