"""The console's page of persons' data: what may be asked for, by whom, and that it names nobody."""

from typing import Any
from uuid import uuid4

import orjson
import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from console import pages
from console.views import privacy
from erip.audit.models import Entry
from tests.definitions import publish
from tests.integration.test_privacy import GREETS, about
from workflows import engine
from workflows.privacy import holds
from workflows.privacy.models import Erasure

pytestmark = pytest.mark.django_db(transaction=True)
BACKEND = "django.contrib.auth.backends.ModelBackend"


@pytest.fixture(autouse=True)
def nothing_known() -> None:
    privacy.forget()
    pages.forget_rendered()


@pytest.fixture
def person(settings: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr("console.viewers.GOOD_FOR", 0.0)
    publish(GREETS)
    who = f"customer-{uuid4()}"
    engine.start_runs("greets", [engine.StartRequest(about(who, "Zebra"))], principal="t")
    return who


def signed_in(*permissions: str) -> Client:
    user = User.objects.create_user(f"u-{uuid4()}"[:20], password="a-long-password", is_staff=True)
    for one in permissions:
        app, _, name = one.partition(".")
        user.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=name))
    client = Client()
    client.force_login(user, backend=BACKEND)
    return client


def test_a_person_is_looked_at_and_then_erased_and_the_certificate_is_a_file(person: str) -> None:
    client = signed_in("privacy.erase_person", "privacy.view_register")
    given = {"subject": person, "reason": "asked for"}

    looked = client.post(reverse("console:look-person"), given)
    unsure = client.post(reverse("console:erase-person"), given)
    assert Erasure.objects.count() == 0
    done = client.post(reverse("console:erase-person"), {**given, "sure": "yes"})
    number = Erasure.objects.get().pk
    listed = client.get(reverse("console:privacy"))
    file = client.post(reverse("console:certificate", args=[number]))

    assert "1 run about this person" in looked.content.decode()
    assert (looked.status_code, unsure.status_code, done.status_code) == (200, 422, 200)
    assert f"The certificate has the number {number}" in done.content.decode()
    assert person not in done.content.decode() + listed.content.decode()
    assert orjson.loads(file.content) == {"number": number, **Erasure.objects.get().certificate}
    assert file["Content-Disposition"] == f'attachment; filename="certificate-{number}.json"'
    bodies = list(Entry.objects.values_list("body", flat=True))
    assert any("asked for" in body for body in bodies)
    assert not any(person in body for body in bodies)


def test_what_there_is_is_handed_over_as_a_file(person: str) -> None:
    client = signed_in("privacy.open_data")

    file = client.post(reverse("console:access-person"), {"subject": person, "reason": "asked for"})

    assert orjson.loads(file.content)["runs"][0]["input"]["name"] == "Zebra"
    assert client.post(reverse("console:access-person"), {"subject": "nobody", "reason": "r"}).status_code == 422
    assert client.post(reverse("console:erase-person"), {"subject": person, "reason": "r"}).status_code == 403


def test_who_only_sees_the_register_asks_for_nobody(person: str) -> None:
    client = signed_in("privacy.view_register")
    holds.put(holds.Wanted("case 12", workflow="greets"), by="law")

    page = client.get(reverse("console:privacy")).content.decode()

    assert "the workflow greets" in page
    assert "case 12" in page
    assert "A person asks" not in page
    for name in ("look-person", "erase-person", "access-person"):
        assert client.post(reverse(f"console:{name}"), {"subject": person, "reason": "r"}).status_code == 403
    assert signed_in().get(reverse("console:privacy")).status_code == 403
    assert client.post(reverse("console:certificate", args=[10**9])).status_code == 404


@pytest.mark.parametrize("given", [{}, {"subject": "a\0b", "reason": "r"}, {"subject": "a", "reason": "x" * 1_001}])
def test_forms_say_what_is_wrong(person: str, given: dict[str, str]) -> None:
    client = signed_in("privacy.erase_person", "privacy.open_data")

    for name in ("look-person", "erase-person", "access-person"):
        assert client.post(reverse(f"console:{name}"), given).status_code == 422


def test_a_hold_is_answered_for(person: str) -> None:
    holds.put(holds.Wanted("case", person=person), by="law")
    client = signed_in("privacy.erase_person")

    answer = client.post(reverse("console:erase-person"), {"subject": person, "reason": "r", "sure": "yes"})

    assert answer.status_code == 422
    assert "legal hold" in answer.content.decode()
    assert Erasure.objects.count() == 0


def test_a_second_factor_is_shown_once_more(person: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("erip.access.sign_in.factors.has", lambda user: True)
    client = signed_in("privacy.erase_person", "privacy.view_register")

    answer = client.post(reverse("console:erase-person"), {"subject": person, "reason": "r", "sure": "yes"})

    assert (answer.status_code, answer["Location"]) == (302, "/admin/security/prove/?next=%2Fconsole%2Fprivacy")
    assert client.post(reverse("console:certificate", args=[1])).status_code == 404, "reading is not asked for"
    assert Erasure.objects.count() == 0
