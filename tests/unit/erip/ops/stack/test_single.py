"""The ordinary layout with servers that the user names: none is started."""

from pathlib import Path

import pytest

from erip.ops.stack import services
from erip.ops.stack.errors import StackError
from erip.ops.stack.single import SingleLayout
from erip.ops.stack.state import State


def brokers(state: Path) -> dict[str, str]:
    """ERIP_BROKER_URL of each of the platform's processes."""
    layout = SingleLayout(State(state), services.DEMO)
    assert list(layout.servers()) == [], "all are named"
    return {service.name: service.env["ERIP_BROKER_URL"] for service in layout.services(layout.settings())}


@pytest.fixture(autouse=True)
def named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ERIP_BROKER_URL", "ERIP_WORKER_BROKER_URL", "ERIP_FLOWER_BROKER_URL", "DATABASE_OWNER_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATABASE_URL", "postgres://erip:p@db/erip")
    monkeypatch.setenv("ERIP_WEB_PORT", "0")


def test_workers_use_their_own_login_to_a_broker_of_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ERIP_BROKER_URL", "redis://leader:l@broker/0")
    assert set(brokers(tmp_path).values()) == {"redis://leader:l@broker/0"}
    monkeypatch.setenv("ERIP_WORKER_BROKER_URL", "redis://worker:w@broker/0")
    assert brokers(tmp_path) == {
        "web": "redis://leader:l@broker/0",
        "worker-critical": "redis://worker:w@broker/0",
        "worker-general": "redis://worker:w@broker/0",
        "leader": "redis://leader:l@broker/0",
    }


def test_a_login_of_workers_to_no_broker_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ERIP_WORKER_BROKER_URL", "redis://worker:w@broker/0")
    with pytest.raises(StackError, match="set ERIP_BROKER_URL too, or unset it"):
        brokers(tmp_path)
