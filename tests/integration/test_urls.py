"""No byte in any address causes a server error, and a refusal names the part that cannot be read.

The sweep goes over every operation of the OpenAPI document and every page of the admin, so it also checks new ones.
"""

import itertools
import random
import re

import orjson
import pytest
from django.contrib.auth import get_user_model
from django.db import transaction
from django.test import Client

from erip.access.scopes import Scope
from erip.foundation.http.documents import _document
from schedules import stored as schedules
from tests.fuzz import hostile
from tests.support.admin_pages import all_pages
from tests.support.api import INPUT, Api, key, publish
from workflows import engine
from workflows.decisions import stored as decisions

pytestmark = pytest.mark.django_db
DOCUMENT = orjson.loads(_document())
READS = [(path, item["get"]) for path, item in DOCUMENT["paths"].items() if "get" in item and "/stream" not in path]
#: the lists, each with the query parameters that it accepts
LISTS = [
    (path, [each["name"] for each in operation.get("parameters", []) if each["in"] == "query"])
    for path, operation in READS
    if any(each["in"] == "query" for each in operation.get("parameters", []))
]
#: how many addresses are tried for each operation and each page: the fuzz tries more
ADDRESSES, ADMIN_ADDRESSES = 30, 10
TEXTS = [
    "%00",
    "a%00b",
    "%ED%A0%80",
    "%F0%9F%BF%BE",
    "%FF",
    "%C0%80",
    "%",
    "%zz",
    "%EF%BF%BE",
    "a" * 3000,
    "'",
    "%22",
    "",
]
NUMBERS = [
    "-1",
    "0",
    "1.5",
    "1e2",
    "x",
    "",
    "%20",
    "1_0",
    "%EF%BC%95",
    "%D9%A3",
    "%2B5",
    "9" * 25,
    "9" * 5000,
    "0x10",
    "NaN",
]
TIMES = [
    "0000-01-01T00:00:00Z", "99999-01-01T00:00:00Z", "10000-01-01T00:00:00Z", "0001-01-01T00:00:00%2B14:00",
    "9999-12-31T23:59:59-23:59", "2026-02-30T00:00:00Z", "2026-11-25T23:59:60Z", "2026-11-25T24:00:00Z", "2026-11-25",
    "2026-11-25T08:00:00", "2026-11-25T08:00:00+01:00", "2026-W48-3", "now", "", "%00", "1764057600", "2026-11-25T08:00:00%2B24:00",
]  # fmt: skip
GOOD_TIMES = ["2026-11-25T08:00:00Z", "2026-11-25t08:00:00.5z", "2026-11-25T08:00:00%2B01:00", "2026-06-30T23:59:60Z"]
CURSORS = [
    "made-up", "%00", "AA", "==", "OTk5OS0xMi0zMVQyMzo1OTo1OS0yMzo1OSAxIDE", "MjAyNi0xMS0yNVQwODowMDowMFogMSAx", "0x1", "-5",
    "urn:uuid:0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b", "{0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b}", "0190a1b2c3d47e5f8a9b0c1d2e3f4a5b",
    "9" * 30, "x" * 513, "%F0%9F%98%80", "1%20",
]  # fmt: skip


@pytest.fixture
def api() -> Api:
    publish()
    return Api(key(Scope.ADMIN))


@pytest.fixture
def places() -> dict[str, str]:
    publish()
    hourly = {"workflow": "look-up", "input": INPUT, "every": "1h", "catch_up": "none", "overlap": "allow"}
    schedules.put("look-up", document=hourly, author="test")
    table = {"inputs": [{"name": "n"}], "outputs": [{"name": "o"}], "rules": [{"then": {"o": 1}}]}
    decisions.publish("look-up", table, author="test")
    run = engine.start_runs("look-up", [engine.StartRequest(INPUT)], principal="test")[0].id
    return {
        "name": "look-up",
        "lane": "bulk",
        "id": run,
        "step": "enrich",
        "signal": "go",
        "number": "1",
        "clock": "1",
        "type": "x",
        "position": "0-0",
    }


def fill(path: str, places: dict[str, str]) -> str:
    path = path.removeprefix("/api/v1")
    if "/dead-letters/" in path or "/deliveries/{" in path or path.startswith(("/alerts/", "/errors/")):
        places = {**places, "id": "1"}
    if path.startswith("/secrets/"):
        # in expressions: ${secrets.look_up}
        places = {**places, "name": "look_up"}
    return re.sub(r"\{([^}]+)\}", lambda found: places[found[1]], path)


def get(api: Api, path: str) -> object:
    return api.client.get(f"/api/v1{path}", headers=api.headers)


def refused(answer: object, name: str) -> bool:
    """400, with the path of the fault; or 404 if the view answers before it reads the query."""
    if answer.status_code == 404:
        return True
    return answer.status_code == 400 and name in {fault["path"] for fault in answer.json()["faults"]}


@pytest.mark.parametrize(("path", "names"), LISTS, ids=[path for path, _ in LISTS])
def test_a_query_that_cannot_be_read_is_refused_by_name(api, places, path, names):
    address = fill(path, places)
    wrong = {"limit": NUMBERS, "cursor": CURSORS, "after": TIMES, "before": TIMES, "created_after": TIMES}
    silent = []
    for name in names:
        for text in wrong.get(name, []):
            answer = get(api, f"{address}?{name}={text}")
            assert answer.status_code < 500, (name, text, answer.content)
            if not refused(answer, name):
                silent.append((name, text, answer.status_code))
        for text in TEXTS:
            assert get(api, f"{address}?{name}={text}").status_code < 500, (name, text)
        twice = get(api, f"{address}?{name}=1&{name}=2")
        if not refused(twice, name):
            silent.append((name, "twice", twice.status_code))
    unknown = get(api, f"{address}?no-such-filter=1")
    assert refused(unknown, "no-such-filter")
    assert silent == []


@pytest.mark.parametrize(
    ("path", "names"), [(path, names) for path, names in LISTS if {"after", "created_after"} & {*names}]
)
def test_a_moment_of_rfc_3339_is_read_a_leap_second_too(api, places, path, names):
    name = "after" if "after" in names else "created_after"

    for text in GOOD_TIMES:
        assert get(api, f"{fill(path, places)}?{name}={text}").status_code == 200, text


@pytest.mark.parametrize("path", sorted(DOCUMENT["paths"]))
def test_no_address_fails_whatever_stands_in_its_places(api, path):
    names = re.findall(r"\{([^}]+)\}", path)
    for text in random.Random(path).sample([*hostile.URL_TEXTS, *hostile.IDS, *hostile.NUMBERS], ADDRESSES):
        address = path.removeprefix("/api/v1")
        for name in names:
            address = address.replace(f"{{{name}}}", text)
        for method in ("GET", "HEAD", "OPTIONS"):
            if "/stream" in path and method != "OPTIONS":
                continue
            answer = api.client.generic(method, f"/api/v1{address}", headers=api.headers)
            assert answer.status_code < 500, (method, address, answer.content)
        if not names:
            break


@pytest.mark.parametrize("path", sorted(DOCUMENT["paths"]))
def test_options_and_head_are_answered_everywhere(api, places, path):
    address = fill(path, places)
    item = DOCUMENT["paths"][path]

    options = api.client.options(f"/api/v1{address}", headers=api.headers)
    head = api.client.head(f"/api/v1{address}", headers=api.headers)

    allowed = set(options.headers["Allow"].split(", "))
    assert {method.upper() for method in item if method in ("get", "post", "put", "patch", "delete")} <= allowed
    assert options.status_code < 500
    if "/stream" in path:
        assert (head.status_code, head.content) == (200, b"")
    elif "get" in item:
        assert head.status_code == get(api, address).status_code
    else:
        assert head.status_code == 405


@pytest.mark.parametrize("tail", ["", "/events"])
def test_ids_are_read_in_any_case_and_written_in_small_letters(api, places, tail):
    answer = api.get(f"/runs/{places['id'].upper()}{tail}")

    assert answer.status_code == 200
    if not tail:
        assert answer.json()["id"] == places["id"]


# --- the admin --------------------------------------------------------------------------------------------


@pytest.fixture
def staff() -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(get_user_model().objects.create_superuser("root", "root@example.com", "x"))
    return client


def status_apart(client: Client, address: str) -> int:
    """In a savepoint: otherwise an error of PostgreSQL would end the test's transaction, too."""
    with transaction.atomic():
        status = client.get(address).status_code
        transaction.set_rollback(True)
    return status


MODELS = [f"{model._meta.app_label}/{model._meta.model_name}" for model in all_pages()]


@pytest.mark.parametrize("model", MODELS)
def test_no_address_of_the_admin_fails(staff, model):
    page = f"/admin/{model}/"
    chance = random.Random(model)
    texts = ["%00", "0", "-1", "9" * 30, "%ED%A0%80", "%FF", "99999", "x", "", "%F0%9F%BF%BE", "a" * 2000]
    found = next(each for each in all_pages() if f"{each._meta.app_label}/{each._meta.model_name}" == model)
    fields = [field.name for field in found._meta.get_fields() if hasattr(field, "attname")]
    lookups = ["", "__exact", "__year", "__gte", "__in", "__isnull", "__regex"]
    queries = ["o", "e", "all", "_to_field", "_popup", "_changelist_filters", "pk__in", "no__such"]
    queries += [f"{name}{lookup}" for name in fields for lookup in lookups]
    pairs = [("q", "%00"), ("p", "-1"), ("p", "9" * 30), *itertools.product(queries, texts)]
    addresses = [f"{page}?{name}={text}" for name, text in [*pairs[:3], *chance.sample(pairs, ADMIN_ADDRESSES)]]
    inner = list(itertools.product([*hostile.URL_TEXTS, *hostile.IDS], ["/change/", "/delete/", "/history/", "/"]))
    addresses += [f"{page}{text}{tail}" for text, tail in chance.sample(inner, ADMIN_ADDRESSES)]
    addresses += [f"{page}x/change/?_to_field", f"{page}add/?_to_field=x"]

    failed = [address for address in addresses if status_apart(staff, address) >= 500]

    assert failed == []
    assert staff.head(page).status_code < 500
    assert staff.options(page).status_code < 500
