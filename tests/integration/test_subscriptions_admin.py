"""The pages of subscriptions and deliveries."""

from html import unescape

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from workflows.events import subscriptions
from workflows.events.models import Delivery, Subscription
from workflows.events.secrets import current_secret

pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> Client:
    made = Client()
    user = User.objects.create_superuser("root", password="a-long-password")
    made.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return made


def page(model: str, name: str, *arguments: object) -> str:
    return reverse(f"admin:events_{model}_{name}", args=arguments)


def subscription() -> Subscription:
    return subscriptions.subscribe(url="https://example.com/", types=["a.*"], principal="t").subscription


def test_a_subscription_is_made_and_its_secret_is_shown_once(client: Client) -> None:
    values = {"url": "https://example.com/hook", "types": "workflow.run.*,nexus.*", "enabled": "on"}

    answer = client.post(page("subscription", "add"), values, follow=True)

    made = Subscription.objects.get()
    assert (made.types, made.source, made.created_by) == (["workflow.run.*", "nexus.*"], None, "user:root")
    assert current_secret(made).replace("+", "+") in answer.content.decode().replace("&#x2B;", "+")
    again = client.get(page("subscription", "change", made.pk)).content.decode()
    assert "whsec_" not in again
    # Neither the browser nor the session keeps it.
    assert "no-store" in answer.headers["Cache-Control"]
    assert "messages" not in client.cookies
    assert "whsec_" not in str(dict(client.session))


def test_faults_are_shown_on_the_form(client: Client) -> None:
    answer = client.post(page("subscription", "add"), {"url": "http://10.0.0.1/", "types": "a*b"})

    assert not Subscription.objects.exists()
    assert "types[0]: may have" in answer.content.decode()


def test_a_change_a_test_a_new_secret_and_a_redelivery_go_through_the_operations(client: Client) -> None:
    each = subscription()
    client.post(page("subscription", "change", each.pk), {"url": each.url, "types": "b", "source": "/s"})
    for name in ("rotate", "send_test"):
        chosen = {"action": name, "_selected_action": [str(each.pk)]}
        Subscription.objects.update(enabled=True)
        answer = client.post(page("subscription", "changelist"), chosen)
        assert (current_secret(Subscription.objects.get()) in unescape(answer.content.decode())) == (name == "rotate")
    changed = Subscription.objects.get()
    assert (changed.types, changed.source, changed.secret_version) == (["b"], "/s", 2)
    delivery = Delivery.objects.get()
    Delivery.objects.update(tries=3)
    client.post(page("delivery", "changelist"), {"action": "again", "_selected_action": [str(delivery.pk)]})
    assert Delivery.objects.get().tries == 0


def test_every_page_opens_and_a_subscription_is_deleted_with_its_deliveries(client: Client) -> None:
    each = subscription()
    delivery = subscriptions.send_test(each.pk, principal="t")
    for address in (
        page("subscription", "changelist"),
        page("subscription", "change", each.pk),
        page("delivery", "changelist"),
        page("delivery", "change", delivery.pk),
    ):
        assert client.get(address).status_code == 200, address
    assert client.post(page("subscription", "delete", each.pk), {"post": "yes"}).status_code == 302
    assert not Subscription.objects.exists()
    assert not Delivery.objects.exists()
