"""The configuration of a region: the example is one, and every fault is named at once."""

from pathlib import Path

import pytest

from erip.ops.deploy.templates import FOLDER
from erip.ops.region.configuration import BadRegion, read


def test_the_example_is_one_and_shows_no_secret() -> None:
    found = read(FOLDER / "region" / "region.example.toml")
    assert (found.region, found.node, found.hold, len(found.witness)) == ("west", "postgres-1", 10.0, 3)
    assert found.tls is not None
    assert "set-it" not in repr(found)


def test_every_fault_is_named(tmp_path: Path) -> None:
    file = tmp_path / "region.toml"
    file.write_text('name = "a/b"\nregion = ""\ndata = "here"\nhold_seconds = 0\nwitness = ["host"]\npromote = "now"\n')
    with pytest.raises(BadRegion) as refused:
        read(file)
    for part in ("name:", "region:", "node:", "data: an absolute path", "hold_seconds", "witness: 'host'", "promote"):
        assert part in str(refused.value)
    for text in ("", "= 1", "witness = [1]\n[tls]\n"):
        file.write_text(text)
        with pytest.raises(BadRegion):
            read(file)
    with pytest.raises(BadRegion, match=r"none\.toml"):
        read(tmp_path / "none.toml")
