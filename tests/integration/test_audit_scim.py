"""What an identity provider does leaves one entry each in the audit log, in the transaction of its change; what it
reads leaves none, and what it is refused one.

The operations come from SCIM's own addresses: a new one without a request here fails.
"""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection

from erip.access import keys
from erip.access.scim.urls import urlpatterns
from erip.audit import exempt, refusals
from tests.integration.test_audit_doors import Statements, entries, newest
from tests.integration.test_scim import GROUP, PATCH, USER, Provider

pytestmark = pytest.mark.django_db(transaction=True)

#: (address, method, the operation's id), as they are served
OPERATIONS = [
    (str(pattern.pattern), method.upper(), handler.operation_id)
    for pattern in urlpatterns
    for method in pattern.callback.view_class.http_method_names
    if (handler := getattr(pattern.callback.view_class, method, None)) is not None and hasattr(handler, "operation_id")
]
CHANGING = {"scimCreate", "scimReplace", "scimPatch", "scimDelete"}
SEARCH = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], "filter": 'displayName eq "x"'}
#: what the document that is called so is found by
DOCUMENTS = {"ResourceTypes": "User", "Schemas": USER}


@pytest.fixture
def provider() -> Iterator[Provider]:
    keys.forget_cached()
    refusals._refusals.forget()
    yield Provider()
    keys.forget_cached()


def thing(kind: str, name: str) -> dict[str, Any]:
    return (
        {"schemas": [USER], "userName": name, "displayName": "x"}
        if kind == "Users"
        else {"schemas": [GROUP], "displayName": name}
    )


def request(provider: Provider, route: str, method: str) -> tuple[str, Any]:
    """A path and a body that are answered."""
    kind, name = route.partition("/")[0], f"of-{uuid4()}"
    path = f"/{route}"
    if "<" in route:
        if kind in DOCUMENTS:
            return f"/{kind}/{DOCUMENTS[kind]}", None
        made = provider.person(name) if kind == "Users" else provider.group(name)
        path = f"/{kind}/{made['id']}"
    bodies = {
        "POST": SEARCH if route.endswith(".search") else thing(kind, name),
        "PUT": thing(kind, name) | {"externalId": "put"},
        "PATCH": {"schemas": [PATCH], "Operations": [{"op": "replace", "path": "externalId", "value": "patched"}]},
    }
    return path, bodies.get(method)


def left(after: int) -> list[dict[str, Any]]:
    return [each for each in entries(after) if each["kind"] in ("operation", "effect")]


def test_the_walk_finds_what_scim_serves() -> None:
    assert {name for _, _, name in OPERATIONS} == CHANGING | {"scimDiscover", "scimList", "scimRead", "scimSearch"}
    assert {(route.partition("/")[0], name) for route, _, name in OPERATIONS if name in CHANGING} == {
        (kind, name) for kind in ("Users", "Groups") for name in CHANGING
    }


@pytest.mark.parametrize(("route", "method", "name"), OPERATIONS, ids=lambda value: str(value) or "root")
def test_each_operation_leaves_one_entry_if_it_changes_something_and_none_if_not(
    provider: Provider, route: str, method: str, name: str
) -> None:
    path, body = request(provider, route, method)
    last, statements = newest(), Statements()
    with connection.execute_wrapper(statements):
        answer = provider.send(method, path, body)
    # People and groups together are not searched: RFC 7644 has 501 for it.
    together = route in ("", ".search")
    assert answer.status_code == 501 if together else answer.status_code < 300, answer.content
    refusals.flush()
    found = left(last)
    if name not in CHANGING:
        assert method == "GET" or name in exempt.READING
        assert not [one for one in found if one.get("outcome") != "failed"]
        assert len(found) == (1 if together and method != "GET" else 0)
        return
    assert [(one["kind"], one["action"], one["door"], one["principal"]) for one in found] == [
        ("operation", name, "scim", f"key:{provider.name}")
    ]
    assert found[0].get("object", "") == ("" if name == "scimCreate" else path.removeprefix("/"))
    assert found[0]["changes"], "it says what was before and after"
    # Once, after all that was written, and in one transaction with it.
    assert statements.seen[-1] == "entry"
    assert statements.seen.count("entry") == 1
    assert statements.seen.count("alone") <= 1

    # The same once more: what is asked for again leaves an entry of its own, what fails leaves none.
    last = newest()
    again = provider.send(method, path, body)
    assert again.status_code == {"scimCreate": 409, "scimDelete": 404}.get(name, again.status_code)
    refusals.flush()
    assert [one["action"] for one in left(last)] == ([name] if again.status_code < 300 else [])


def test_each_operation_that_is_refused_leaves_one_entry(provider: Provider) -> None:
    asked = [(route, method, name, *request(provider, route, method)) for route, method, name in OPERATIONS]
    for role, status in (("viewer", 403), ("", 401)):
        stranger = Provider(role)
        if status == 401:
            stranger.token = stranger.token[:-1] + ("a" if stranger.token[-1] != "a" else "b")
        wrong = []
        for route, method, name, path, body in asked:
            refusals._refusals.forget()
            last = newest()
            answer = stranger.send(method, path, body)
            refusals.flush()
            told = [(one["action"], one["outcome"], one["status"], one.get("principal")) for one in left(last)]
            who = f"key:{stranger.name}" if status == 403 else None
            if answer.status_code != status or told != [(name, "refused", status, who)]:
                wrong.append((route, method, answer.status_code, told))
        assert not wrong
