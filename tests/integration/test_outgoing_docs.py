"""The webhook example of docs/reference/outgoing-events.md is accepted exactly as written there."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from erip.access import keys
from erip.access.scopes import Scope
from tests.support.api import Api, key
from workflows.events.models import Subscription

pytestmark = pytest.mark.django_db(transaction=True)

DOCS = (Path(__file__).parents[2] / "docs" / "reference" / "outgoing-events.md").read_text("utf-8")


def test_the_subscription_of_the_documentation_is_made_and_its_secret_verifies_what_it_signs() -> None:
    keys.forget_cached()
    example = re.search(r"curl -sS \$ERIP/api/v1(/\S+) .*? -d '(\{.*?\})'", DOCS, re.DOTALL)
    assert example

    answer = Api(key(Scope.OPERATOR)).send("POST", example[1], example[2].encode())

    assert answer.status_code == 201, answer.content
    made = Subscription.objects.get()
    assert made.types == ["workflow.run.*", "nexus.threat.detected"]
    webhook = Webhook(answer.json()["secret"])
    now = datetime.now(UTC)
    signed = {
        "webhook-id": "1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": webhook.sign("1", now, '{"specversion": "1.0"}'),
    }
    assert webhook.verify('{"specversion": "1.0"}', signed) == {"specversion": "1.0"}
