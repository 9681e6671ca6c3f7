"""What each process of the stack finds in its environment."""

import pytest

from erip.ops.stack import environment

GIVEN = {
    "PATH": "/bin",
    "DATABASE_URL": "postgres://erip:app@h/erip",
    "DATABASE_OWNER_URL": "postgres://erip_owner:owner@h/erip",
    "ERIP_SECRET_KEY": "s",
    "AWS_SECRET_ACCESS_KEY": "theirs",
}


def test_the_owners_login_is_for_migrations_alone() -> None:
    platform = environment.of_platform(GIVEN)
    assert "DATABASE_OWNER_URL" in platform, "what prepares the database has it"
    for kind in ("web", "worker", "leader"):
        assert sorted(environment.of_kind(platform, kind)) == ["DATABASE_URL", "ERIP_SECRET_KEY", "PATH"]


def test_a_file_with_a_secret_goes_where_the_secret_goes() -> None:
    """Whatever a process can read, it can leak: it does not even hear of the path."""
    given = {f"{name}_FILE": f"/run/{name}" for name in ("DATABASE_URL", "DATABASE_OWNER_URL", "ERIP_AUDIT_KEY")}
    platform = environment.of_platform(given)
    assert platform == given
    assert sorted(environment.of_kind(platform, "leader")) == ["DATABASE_URL_FILE", "ERIP_AUDIT_KEY_FILE"]
    assert sorted(environment.of_kind(platform, "web")) == ["DATABASE_URL_FILE"]


@pytest.mark.parametrize("name", list(GIVEN)[1:])
def test_a_server_gets_nothing_of_the_platform(name: str) -> None:
    assert name not in environment.base(GIVEN)


def test_only_further_workers_have_the_workers_login_to_the_broker() -> None:
    given = {"ERIP_BROKER_URL": "redis://leader:l@h/0", "ERIP_WORKER_BROKER_URL": "redis://worker:w@h/0"}
    for kind in ("web", "worker", "leader"):
        assert environment.of_kind(given, kind) == {"ERIP_BROKER_URL": "redis://leader:l@h/0"}
    assert environment.of_further_worker(given)["ERIP_BROKER_URL"] == "redis://worker:w@h/0"
    alone = {"ERIP_BROKER_URL": "redis://h/0"}
    assert environment.of_further_worker(alone) == alone
    assert environment.of_further_worker({**alone, "ERIP_WORKER_BROKER_URL": ""})["ERIP_BROKER_URL"] == "redis://h/0"


@pytest.mark.parametrize("of_all", ["ERIP_BROKER_URL", "ERIP_BROKER_URL_FILE"])
@pytest.mark.parametrize("end", ["", "_FILE"])
def test_further_workers_have_one_login_to_the_broker_by_a_file_or_not(of_all: str, end: str) -> None:
    """A secret that stands in the environment and in a file is refused as set twice."""
    given = {"PATH": "/bin", of_all: "of all", f"ERIP_WORKER_BROKER_URL{end}": "of workers"}
    assert environment.of_further_worker(given) == {"PATH": "/bin", f"ERIP_BROKER_URL{end}": "of workers"}
    assert sorted(environment.of_kind(given, "leader")) == sorted(["PATH", of_all])
