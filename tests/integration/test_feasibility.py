"""The example of the documentation: obligations that a definition names are compared with its longest way."""

import re
from pathlib import Path

import pytest
from django.core.management import call_command

from erip.access.scopes import Scope
from tests.support.api import Api, key

pytestmark = pytest.mark.django_db

DOCS = (Path(__file__).parents[2] / "docs" / "reference" / "definitions.md").read_text("utf-8")


def test_a_definition_that_may_miss_an_obligation_is_published_with_a_warning() -> None:
    call_command("bootstrap", "--json")
    found = re.search(r"```yaml\n(name: notify-authority\n.*?)```", DOCS, re.DOTALL)
    warned = re.search(r"The answer warns: `(.*?): (.*?)`", DOCS)
    assert found
    assert warned
    api = Api(key(Scope.AUTHOR))
    answer = api.send("PUT", "/workflows/notify-authority", found[1].encode(), Content_Type="application/yaml")
    assert answer.status_code == 201, answer.content
    assert answer.json()["warnings"] == [{"path": warned[1], "message": warned[2]}]
    checked = api.send(
        "POST", "/workflows/notify-authority/validate", found[1].encode(), Content_Type="application/yaml"
    )
    assert checked.json()["warnings"] == answer.json()["warnings"]
    unknown = found[1].replace("gdpr-33:", "gdpr-99:")
    checked = api.send(
        "POST", "/workflows/notify-authority/validate", unknown.encode(), Content_Type="application/yaml"
    )
    assert checked.json()["warnings"] == [
        {"path": "deadlines.gdpr-99", "message": "no obligation of this name leaves a fixed time: give within"}
    ]
