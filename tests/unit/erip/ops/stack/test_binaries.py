"""Which server programs are taken, by what they say of themselves."""

from pathlib import Path

import pytest

from erip.ops.stack.binaries import Binary, find_postgres, find_redis, parse_version, probe
from erip.ops.stack.errors import MissingServer, StackError


def program(folder: Path, name: str, says: str) -> Path:
    """A program that answers every call with `says`."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def only_path(tmp_path, monkeypatch):
    """A machine whose PATH holds one folder, and no wheels."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("ERIP_STACK_SERVERS", "path")
    monkeypatch.setattr("erip.ops.stack.binaries.POSTGRES_FOLDERS", ())
    monkeypatch.setattr("erip.ops.stack.binaries.REDIS_FOLDERS", str(folder))
    return folder


@pytest.mark.parametrize(
    ("says", "kind", "version", "major"),
    [
        ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", "postgres", "15.18", 15),
        ("postgres (PostgreSQL) 18beta1", "postgres", "18", 18),
        ("Redis server v=7.2.5 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64", "redis", "7.2.5", 7),
        ("Valkey server v=9.1.2 sha=00000000:0 malloc=libc bits=64", "valkey", "9.1.2", 9),
    ],
)
def test_a_server_is_known_by_its_version_line(says, kind, version, major):
    found = parse_version(Path("/x"), says)
    assert found == Binary(kind, Path("/x"), version)
    assert found.major == major


def test_a_program_that_says_something_else_or_fails_is_no_server(tmp_path):
    assert probe(program(tmp_path, "postgres", "usage: postgres"), None) is None
    broken = program(tmp_path, "redis-server", "")
    broken.write_text("#!/bin/sh\nexit 1\n")
    assert probe(broken, None) is None
    assert probe(tmp_path / "missing", None) is None


def test_postgres_needs_version_15_and_its_initdb_beside_it(only_path, tmp_path):
    program(only_path, "postgres", "postgres (PostgreSQL) 14.2")
    program(only_path, "initdb", "")
    with pytest.raises(MissingServer, match="No PostgreSQL 15 or newer here: install it"):
        find_postgres(tmp_path / "wheels", None)
    program(only_path, "postgres", "postgres (PostgreSQL) 16.1")
    assert find_postgres(tmp_path / "wheels", None).version == "16.1"
    (only_path / "initdb").unlink()
    with pytest.raises(MissingServer):
        find_postgres(tmp_path / "wheels", None)


def test_data_of_another_major_version_is_not_given_to_a_server_that_cannot_read_it(only_path, tmp_path):
    program(only_path, "postgres", "postgres (PostgreSQL) 16.1")
    program(only_path, "initdb", "")
    with pytest.raises(MissingServer, match="was made by PostgreSQL 15"):
        find_postgres(tmp_path / "wheels", None, data_major=15)
    assert find_postgres(tmp_path / "wheels", None, data_major=16).major == 16


def test_an_old_redis_of_the_machine_is_not_taken(only_path, tmp_path):
    program(only_path, "redis-server", "Redis server v=6.0.16 sha=0")
    with pytest.raises(MissingServer, match="No Redis or Valkey 7 or newer"):
        find_redis(tmp_path / "wheels", None)
    program(only_path, "redis-server", "Redis server v=7.0.15 sha=0")
    assert find_redis(tmp_path / "wheels", None).title == "Redis 7.0.15"


def test_a_wrong_setting_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("ERIP_STACK_SERVERS", "docker")
    with pytest.raises(StackError, match="'docker'; it may be auto, path, wheels"):
        find_redis(tmp_path, None)
