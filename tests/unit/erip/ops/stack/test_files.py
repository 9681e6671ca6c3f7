"""The stack's files, ports and errors."""

import errno
import os
import socket
import stat

import pytest

from erip.ops.stack import ports, setup, state
from erip.ops.stack.errors import PortTaken, StackError, from_os_error
from erip.ops.stack.rotation import LOGS_KEPT, rotate
from erip.ops.stack.services import env_file, webhook_secret


@pytest.fixture
def listener():
    """A program that has a port of loopback."""
    with socket.socket() as server:
        server.bind((ports.LOOPBACK, 0))
        server.listen()
        yield server.getsockname()[1]


def test_secrets_are_private_and_stay_the_same(tmp_path):
    path = tmp_path / "secrets.json"
    first = state.make_secrets(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert state.make_secrets(path) == first
    assert len(set(first.values())) == len(first)


def test_a_secret_that_is_missing_is_added_and_the_others_are_kept(tmp_path):
    path = tmp_path / "secrets.json"
    first = state.make_secrets(path)
    state.write_json(path, {name: value for name, value in first.items() if name != "flower"})
    again = state.make_secrets(path)
    assert again.keys() == first.keys()
    assert again["redis"] == first["redis"]


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path):
    path = tmp_path / "env"
    state.write_private(path, "old")
    with pytest.raises(UnicodeEncodeError):
        state.write_private(path, "\ud800")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["env"]


def test_a_cut_off_json_file_reads_as_empty(tmp_path):
    path = tmp_path / "ports.json"
    path.write_text('{"web": 80')
    assert state.read_json(path) == {}
    assert state.read_json(tmp_path / "none.json") == {}


def test_a_full_disk_says_what_to_do():
    with pytest.raises(OSError, match="No space left") as caught, open("/dev/full", "w") as full:
        full.write("x")
    assert caught.value.errno == errno.ENOSPC
    assert "free some space, or set ERIP_STATE_DIR" in str(from_os_error(caught.value, "/data"))


def test_a_disk_with_little_room_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(state, "NEEDED_BYTES", 2**70)
    with pytest.raises(StackError, match="is full: free some space"):
        state.State(tmp_path / "x").make()


def test_a_port_is_remembered_and_replaced_only_when_taken(tmp_path, monkeypatch, listener):
    monkeypatch.delenv("ERIP_WEB_PORT", raising=False)
    remembered = tmp_path / "ports.json"
    first = ports.choose("redis", remembered)
    assert ports.choose("redis", remembered) == first
    state.write_json(remembered, {"redis": listener})
    assert ports.choose("redis", remembered) != listener
    assert state.read_json(remembered)["redis"] != listener


def test_a_taken_port_that_was_asked_for_is_an_error_that_names_the_setting(tmp_path, monkeypatch, listener):
    monkeypatch.setenv("ERIP_WEB_PORT", str(listener))
    with pytest.raises(PortTaken, match=rf"Port {listener} \(ERIP_WEB_PORT\) is taken"):
        ports.choose("web", tmp_path / "ports.json")
    monkeypatch.setenv("ERIP_WEB_PORT", "http")
    with pytest.raises(StackError, match="ERIP_WEB_PORT is not a port number"):
        ports.choose("web", tmp_path / "ports.json")


def test_the_env_file_reads_back_as_it_was_written(tmp_path, monkeypatch):
    import environ

    values = {"STACK_TEST_URL": "postgres://a:b%40c@h/d?x=1#2", "STACK_TEST_KEY": "a$b \\n"}
    path = tmp_path / "env"
    path.write_text(env_file(values))
    for name in values:
        monkeypatch.delenv(name, raising=False)
    environ.Env.read_env(str(path))
    assert os.environ.pop("STACK_TEST_URL") == values["STACK_TEST_URL"]
    assert "STACK_TEST_KEY" in os.environ
    os.environ.pop("STACK_TEST_KEY")
    with pytest.raises(StackError, match="line break"):
        env_file({"A": "x\ny"})


def test_the_webhook_secret_is_one_that_standard_webhooks_takes(tmp_path):
    from standardwebhooks import Webhook

    for _ in range(20):
        made = state.make_secrets(tmp_path / "secrets.json")["webhook"]
        (tmp_path / "secrets.json").unlink()
        assert Webhook(webhook_secret(made))


def test_the_fingerprint_changes_with_a_migration_and_not_otherwise(tmp_path):
    (tmp_path / "workflows" / "migrations").mkdir(parents=True)
    (tmp_path / "requirements.txt").write_text("a==1\n")
    (tmp_path / "workflows" / "engine.py").write_text("1\n")
    first = setup.fingerprint(tmp_path)
    (tmp_path / "workflows" / "engine.py").write_text("2\n")
    assert setup.fingerprint(tmp_path) == first
    (tmp_path / "workflows" / "migrations" / "0001_initial.py").write_text("\n")
    assert setup.fingerprint(tmp_path) != first


def test_rotation_empties_a_log_that_its_writer_goes_on_appending_to(tmp_path):
    log = tmp_path / "web.log"
    with log.open("a") as writer:
        for number in range(LOGS_KEPT + 2):
            print(number, file=writer, flush=True)
            rotate(log)
            assert log.read_text() == ""
        print("last", file=writer, flush=True)
    assert log.read_text() == "last\n"
    assert sorted(os.listdir(tmp_path)) == ["web.log", "web.log.1", "web.log.2", "web.log.3"]
    assert (tmp_path / "web.log.1").read_text() == "4\n"
