import io
from datetime import timedelta

import orjson
import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from erip.access import keys
from erip.access.catalog import permissions_of
from erip.access.models import ApiKey
from erip.access.scopes import Scope

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _cold_cache():
    keys.forget_cached()


def test_a_key_opens_what_its_scope_says():
    made = keys.create(name="ci", scope=Scope.OPERATOR)

    principal = keys.authenticate(made.token)

    assert principal is not None
    assert (principal.name, principal.permissions) == ("key:ci", permissions_of("operator"))


def test_the_secret_is_not_in_the_database():
    made = keys.create(name="ci", scope=Scope.VIEWER)

    with connection.cursor() as cursor:
        cursor.execute("SELECT access_apikey::text FROM access_apikey")
        stored = cursor.fetchone()[0]

    assert made.token.rpartition("_")[2] not in stored


@pytest.mark.parametrize(
    "spoil",
    [
        lambda token: token[:-1] + ("a" if token[-1] != "a" else "b"),
        lambda token: token + "a",
        lambda token: "",
        lambda token: token.upper(),
        lambda token: token.replace("erip_", "erap_"),
        lambda token: "erip_00000000_" + token.rpartition("_")[2],
        lambda token: "erip_\x00\x00\x00\x00\x00\x00\x00\x00_" + token.rpartition("_")[2],
        lambda token: "erip_" + "ä" * 8 + "_" + token.rpartition("_")[2],
    ],
)
def test_what_is_not_the_key_opens_nothing(spoil):
    made = keys.create(name="ci", scope=Scope.ADMIN)

    assert keys.authenticate(spoil(made.token)) is None


def test_an_expired_key_opens_nothing_even_if_it_is_cached():
    made = keys.create(name="ci", scope=Scope.ADMIN, expires_at=timezone.now() + timedelta(hours=1))
    assert keys.authenticate(made.token)

    ApiKey.objects.update(expires_at=timezone.now())
    keys.forget_cached()

    assert keys.authenticate(made.token) is None


def test_a_revoked_key_opens_nothing_and_is_revoked_once():
    made = keys.create(name="ci", scope=Scope.ADMIN)
    assert keys.authenticate(made.token)

    assert keys.revoke(made.row.prefix) is True
    assert keys.authenticate(made.token) is None
    assert keys.revoke(made.row.prefix) is False


def test_a_busy_key_costs_one_query_and_one_write(django_assert_num_queries):
    made = keys.create(name="ci", scope=Scope.ADMIN)

    with django_assert_num_queries(2):
        for _ in range(50):
            assert keys.authenticate(made.token)

    assert ApiKey.objects.get().last_used_at is not None


def test_the_last_use_is_written_again_only_after_minutes(django_assert_num_queries):
    made = keys.create(name="ci", scope=Scope.ADMIN)
    keys.authenticate(made.token)
    keys.forget_cached()
    with django_assert_num_queries(1):
        keys.authenticate(made.token)

    ApiKey.objects.update(last_used_at=timezone.now() - timedelta(hours=1))
    keys.forget_cached()
    keys.authenticate(made.token)

    assert timezone.now() - ApiKey.objects.get().last_used_at < timedelta(minutes=1)


def test_the_database_refuses_an_unknown_scope():
    made = keys.create(name="ci", scope=Scope.VIEWER)

    with pytest.raises(IntegrityError), transaction.atomic():
        ApiKey.objects.filter(pk=made.row.pk).update(scope="root")


def test_the_command_prints_a_key_that_works():
    out = io.StringIO()
    get_user_model().objects.create_user("ola")

    call_command(
        "create_api_key", "--owner=ola", "--name=ci", "--scope=author", "--expires-days=30", "--json", stdout=out
    )

    answer = orjson.loads(out.getvalue())
    assert keys.authenticate(answer["key"]).permissions == permissions_of("author")
    assert timedelta(days=29) < ApiKey.objects.get().expires_at - timezone.now() < timedelta(days=31)


def test_the_command_says_that_a_name_is_taken():
    keys.create(name="ci", scope=Scope.VIEWER)
    get_user_model().objects.create_user("ola")

    with pytest.raises(CommandError, match='named "ci" already'):
        call_command("create_api_key", "--name=ci", "--owner=ola", "--scope=viewer")


def test_the_administrator_is_made_and_then_kept(monkeypatch):
    for password in ("first-password-1", "second-password", "second-password"):
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{password}\n"))
        call_command("ensure_admin", "--username=admin", "--password-stdin", stdout=io.StringIO())

    user = get_user_model().objects.get()
    assert user.is_superuser
    assert user.check_password("second-password")


def test_a_short_administrators_password_is_refused(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("short\n"))

    with pytest.raises(CommandError, match="12 characters"):
        call_command("ensure_admin", "--username=admin", "--password-stdin")
    assert not get_user_model().objects.exists()
