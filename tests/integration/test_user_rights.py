"""Rights in the admin: no users can give themselves or others more rights than they hold."""

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.urls import reverse

pytestmark = pytest.mark.django_db
BACKEND = "django.contrib.auth.backends.ModelBackend"


@pytest.fixture
def clerk() -> User:
    """A member of staff with every permission that there is."""
    made = User.objects.create_user("clerk", password="a-long-password", is_staff=True)
    made.user_permissions.set(Permission.objects.all())
    return made


@pytest.fixture
def client(clerk: User) -> Client:
    made = Client()
    made.force_login(clerk, backend=BACKEND)
    return made


def page(name: str, *arguments: object) -> str:
    return reverse(f"admin:auth_{name}", args=arguments)


def changes(user: User, **values: str) -> dict[str, str]:
    joined = {"date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}
    return {"username": user.username, "is_active": "on", **joined, **values}


def test_nobody_makes_themselves_or_others_a_superuser(client: Client, clerk: User) -> None:
    other = User.objects.create_user("other", password="a-long-password")
    group = Group.objects.create(name="all")
    rights = {"is_superuser": "on", "is_staff": "on", "groups": str(group.pk)}
    for user in (clerk, other):
        answer = client.post(page("user_change", user.pk), changes(user, first_name="Ada", **rights))
        assert answer.status_code == 302

    other.refresh_from_db()
    assert other.first_name == "Ada"
    assert not User.objects.filter(is_superuser=True).exists()
    assert not other.is_staff
    assert not group.user_set.exists()


def test_nobody_touches_a_superuser_but_a_superuser(client: Client) -> None:
    root = User.objects.create_superuser("root", password="a-long-password")
    new = {"password1": "another-long-one", "password2": "another-long-one", "usable_password": "true"}

    assert client.post(page("user_change", root.pk), changes(root, email="x@example.com")).status_code == 403
    assert client.post(page("user_password_change", root.pk), new).status_code == 403
    assert client.post(page("user_delete", root.pk), {"post": "yes"}).status_code == 403
    chosen = {"action": "delete_selected", "_selected_action": [str(root.pk)], "post": "yes"}
    client.post(page("user_changelist"), chosen)

    root.refresh_from_db()
    assert root.check_password("a-long-password")
    assert root.email == ""


def test_groups_are_changed_by_superusers_alone(client: Client, clerk: User) -> None:
    group = Group.objects.create(name="all")

    assert client.post(page("group_add"), {"name": "mine"}).status_code == 403
    assert client.post(page("group_change", group.pk), {"name": "mine"}).status_code == 403
    assert client.post(page("group_delete", group.pk), {"post": "yes"}).status_code == 403
    User.objects.filter(pk=clerk.pk).update(is_superuser=True)
    assert client.post(page("group_add"), {"name": "mine"}).status_code == 302


def test_who_did_something_in_the_admin_is_not_deleted(client: Client) -> None:
    group = Group.objects.create(name="all")
    acted, idle = (User.objects.create_user(name, password="a-long-password") for name in ("acted", "idle"))
    LogEntry.objects.log_actions(acted.pk, [group], CHANGE, change_message="renamed")

    for user in (acted, idle):
        shown = client.post(page("user_delete", user.pk), {"post": "yes"})
        assert shown.status_code == (200 if user == acted else 302)
    chosen = {"action": "delete_selected", "_selected_action": [str(acted.pk)], "post": "yes"}
    client.post(page("user_changelist"), chosen)

    assert list(User.objects.exclude(username="clerk")) == [acted]
    assert LogEntry.objects.filter(user=acted).count() == 1
