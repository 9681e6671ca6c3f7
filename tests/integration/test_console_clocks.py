"""The console's pages of legal clocks: what is due next and why, and the forms, which work without scripts."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from console import pages, snapshots
from console.viewers import viewers
from tests.support.clocks import legal_clock
from workflows.clocks.models import LegalClock

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _cold() -> Iterator[None]:
    viewers.forget()
    snapshots.forget()
    pages.forget_rendered()
    yield
    viewers.forget()
    snapshots.forget()


def browser(*permissions: str) -> Client:
    user = User.objects.create_user("ada", password="a-long-password", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="clocks", codename__in=permissions))
    client = Client(raise_request_exception=False)
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def text(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


def test_the_list_says_what_is_due_next_and_whether_the_duty_is_verified() -> None:
    now = datetime.now(UTC)
    legal_clock(now - timedelta(hours=2), title="Later")
    legal_clock(now - timedelta(hours=80), title="First", verified=False)
    shown = text(browser("view_legalclock").get(reverse("console:clocks")))
    assert shown.index("GDPR: First") < shown.index("GDPR: Later")
    assert ("overdue" in shown, "not verified: check the law" in shown) == (True, True)


def test_a_clock_says_why_and_offers_forms_to_those_who_may_use_them() -> None:
    clock = legal_clock(datetime.now(UTC) - timedelta(hours=2))
    page = reverse("console:clock", args=[clock.pk])
    shown = text(browser("view_legalclock").get(page))
    assert "72 hours of elapsed time" in shown
    assert "the hour of the event is not counted" in shown
    assert reverse("console:file-clock", args=[clock.pk]) not in shown
    forbidden = Client(raise_request_exception=False)
    forbidden.force_login(User.objects.get(), backend="django.contrib.auth.backends.ModelBackend")
    assert forbidden.post(reverse("console:file-clock", args=[clock.pk]), {"reference": "x"}).status_code == 403


def test_a_person_stops_resumes_extends_and_files_with_forms() -> None:
    now = datetime.now(UTC)
    clock = legal_clock(now - timedelta(hours=2))
    client = browser("view_legalclock", "change_legalclock")
    page = reverse("console:clock", args=[clock.pk])

    def send(name: str, **fields: str) -> Any:
        return client.post(reverse(f"console:{name}-clock", args=[clock.pk]), fields)

    assert send("stop", reason="").status_code == 422
    refused = send("stop", reason="The police asked.", article="")
    assert (refused.status_code, "name the article" in text(refused)) == (422, True)
    assert 'value="The police asked."' in text(refused)
    assert send("stop", reason="The police asked.", article="§ 1").status_code == 303
    assert "is stopped" in text(client.get(page))
    assert send("stop", resume="1").status_code == 303
    assert send("extend", reason="granted", extended_until="soon").status_code == 422
    until = (now + timedelta(days=9)).strftime("%Y-%m-%dT%H:%M")
    assert send("extend", reason="granted", extended_until=until).status_code == 303
    assert send("file", reference="a\0b").status_code == 422
    assert send("file", reference="x" * 201).status_code == 422
    assert send("file", reference="BSI-17", at="2999-01-01T10:00").status_code == 422
    assert (
        send("file", reference="BSI-17", at=(now - timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M")).status_code == 303
    )
    row = LegalClock.objects.get()
    assert row.state == "FILED"
    assert [one["by"] for one in row.history] == ["user:ada"] * 4
    assert "was filed in time" in text(client.get(page))
    assert send("dismiss", reason="too late").status_code == 422
    assert client.get(reverse("console:clock", args=[clock.pk + 1])).status_code == 404
    assert client.post(reverse("console:file-clock", args=[clock.pk + 1]), {"reference": "x"}).status_code == 404
