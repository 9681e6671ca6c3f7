"""What PostgreSQL's files say of how it ended. With PostgreSQL: tests/crash/test_regions.py."""

from pathlib import Path

from erip.ops.region.ends import End, end_of, left_at

HISTORY = "1\t0/3000148\tno recovery target specified\n\n2\tA/10\tno recovery target specified\n"


def test_the_place_where_a_timeline_was_left_is_that_of_the_newest(tmp_path: Path) -> None:
    assert left_at(tmp_path) is None
    wal = tmp_path / "pg_wal"
    wal.mkdir()
    assert left_at(tmp_path) is None
    (wal / "00000002.history").write_text(HISTORY.splitlines()[0])
    assert left_at(tmp_path) == 0x3000148
    (wal / "00000003.history").write_text(HISTORY)
    assert left_at(tmp_path) == (0xA << 32) + 0x10
    (wal / "00000004.history").write_bytes(b"\xff")
    assert left_at(tmp_path) is None


def test_where_no_postgresql_is_nothing_can_be_lost(tmp_path: Path) -> None:
    assert end_of(tmp_path, "global/pg_control", follows=False) == End("followed")
    (tmp_path / "global").mkdir()
    (tmp_path / "global" / "pg_control").write_bytes(b"short")
    assert end_of(tmp_path, "global/pg_control", follows=False) is None
    assert End("ended", 0x5_A000_0028).place == "5/A0000028"
