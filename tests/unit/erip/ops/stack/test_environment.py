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
