"""Stored decision tables: publish, read, ask, by the API, the command and the admin."""

import re
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.urls import reverse

from erip.access.scopes import Scope
from tests.support.api import Api, key
from tests.support.races import together
from workflows.core.tables.dmn import write_dmn
from workflows.core.tables.document import read
from workflows.core.tables.sheet import write_csv
from workflows.core.tables.workbook import write_xlsx
from workflows.decisions import stored
from workflows.decisions.files import MEDIA_TYPES, Language
from workflows.decisions.models import DecisionTable, DecisionVersion

pytestmark = pytest.mark.django_db(transaction=True)

TABLE: dict[str, Any] = {
    "description": "Who approves",
    "inputs": [
        {"name": "severity", "type": "string", "values": ["low", "high"]},
        {"name": "loss", "type": "number", "optional": True},
    ],
    "outputs": [{"name": "level", "type": "string"}, {"name": "within", "type": "days and time duration"}],
    "hit_policy": "FIRST",
    "rules": [
        {
            "id": "dear",
            "when": {"loss": ">= 1000000"},
            "then": {"level": '"board"', "within": '@"PT4H"'},
            "note": "much",
        },
        {"id": "high", "when": {"severity": '"high"'}, "then": {"level": '"team"', "within": '@"P1D"'}},
    ],
}  # fmt: skip


@pytest.fixture
def api() -> Api:
    return Api(key(Scope.AUTHOR))


def put(api: Api, document: Any, name: str = "levels", media: str = "application/json", query: str = "") -> Any:
    content = document if isinstance(document, bytes) else orjson.dumps(document)
    return api.send("PUT", f"/decisions/{name}{query}", content, Content_Type=media)


def test_a_changed_table_is_the_next_version_and_the_same_one_changes_nothing(api: Api) -> None:
    first, again = put(api, TABLE), put(api, dict(reversed(TABLE.items())))
    changed = put(api, {**TABLE, "hit_policy": "ANY"})
    assert [answer.status_code for answer in (first, again, changed)] == [201, 200, 201]
    assert [answer.json()["version"] for answer in (first, again, changed)] == [1, 1, 2]
    assert changed["Location"] == "/api/v1/decisions/levels/versions/2"
    shown = api.get("/decisions/levels").json()
    assert (shown["version"], shown["hit_policy"], shown["rules"]) == (2, "ANY", 2)
    assert [one["version"] for one in shown["versions"]] == [2, 1]
    assert api.get("/decisions/levels/versions/1").json()["table"] == TABLE
    assert [one["name"] for one in api.get("/decisions").json()["items"]] == ["levels"]


def test_the_page_shows_what_is_sent_and_answered(api: Api) -> None:
    page = Path("docs/how-to/decision-tables.md").read_text("utf-8")

    def blocks(language: str) -> list[str]:
        return re.findall(rf"^```{language}\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)

    assert "--data-binary @approval.yaml" in blocks("sh")[0]
    assert put(api, blocks("decision-table")[0].encode(), "approval", "application/yaml").status_code == 201
    head, _, body = blocks("http")[0].partition("\n")
    path = head.removeprefix("POST /api/v1")
    assert api.post(path, body.encode()).json() == orjson.loads(blocks("json")[0])
    assert put(api, blocks("csv")[0].encode(), "sheet", "text/csv").status_code == 201
    facts = {"severity": "low", "loss": 1e8}
    assert api.post("/decisions/sheet/evaluate", {"facts": facts}).json()["results"][0]["output"] == "board"


def test_the_list_is_read_page_by_page(api: Api) -> None:
    for name in ("a", "b", "c"):
        put(api, TABLE, name)
    first = api.get("/decisions", limit=2).json()
    rest = api.get("/decisions", limit=2, cursor=first["next_cursor"]).json()
    assert [one["name"] for page in (first, rest) for one in page["items"]] == ["a", "b", "c"]
    assert rest["next_cursor"] is None


@pytest.mark.parametrize(
    ("media", "made"),
    [
        ("application/yaml", lambda: yaml.safe_dump(TABLE).encode()),
        ("text/yaml", lambda: yaml.safe_dump(TABLE).encode()),
        ("application/json", lambda: orjson.dumps(TABLE)),
        ("application/xml", lambda: write_dmn("Levels of approval", TABLE)),
        ("text/xml", lambda: write_dmn("Levels of approval", TABLE)),
        ("text/csv", lambda: write_csv(TABLE)),
        (str(MEDIA_TYPES[Language.XLSX]), lambda: write_xlsx("levels", TABLE)),
    ],
)
def test_a_table_is_published_in_every_language_and_decides_the_same(api: Api, media: str, made: Any) -> None:
    assert put(api, made(), media=media).status_code == 201
    facts = {"severity": "high", "loss": 2e6}
    found = api.post("/decisions/levels/evaluate", {"facts": facts}).json()["results"][0]
    assert found["output"] == {"level": "board", "within": "PT4H"}


@pytest.mark.parametrize("suffix", ["yaml", "json", "dmn", "csv", "xlsx"])
def test_what_is_read_as_a_file_can_be_published_again(api: Api, suffix: str) -> None:
    media = str(MEDIA_TYPES[Language(suffix)])
    put(api, TABLE)
    file = api.get(f"/decisions/levels/versions/1.{suffix}")
    assert (file.status_code, file["Content-Type"]) == (200, media if suffix == "xlsx" else f"{media}; charset=utf-8")
    assert put(api, file.content, "again", media).status_code == 201
    before, after = read(TABLE), read(api.get("/decisions/again").json()["table"])
    for facts in ({"severity": "high", "loss": 5}, {"severity": "low", "loss": None}, {"severity": "low", "loss": 1e6}):
        assert before.decide(facts) == after.decide(facts)


def test_the_decision_of_a_dmn_file_with_several_is_named(api: Api) -> None:
    one, other = write_dmn("one", TABLE).decode(), write_dmn("other", {**TABLE, "hit_policy": "ANY"}).decode()
    part = other[other.index("<decision ") : other.index("</definitions>")].replace("_", "_b")
    both = one.replace("</definitions>", f"{part}</definitions>").encode()
    refused = put(api, both, media="application/xml")
    assert refused.status_code == 422
    assert "'one', 'other'" in refused.json()["faults"][0]["message"]
    assert put(api, both, media="application/xml", query="?decision=other").status_code == 201
    assert api.get("/decisions/levels").json()["hit_policy"] == "ANY"


def test_every_fault_of_a_table_is_answered_with_its_place(api: Api) -> None:
    wrong = {**TABLE, "rules": [{"when": {"colour": "1", "loss": '"x"'}, "then": {"level": "board"}}], "more": 1}
    answer = put(api, wrong)
    assert (answer.status_code, answer.json()["code"]) == (422, "table-not-valid")
    assert {one["path"] for one in answer.json()["faults"]} >= {"more"}
    del wrong["more"]
    paths = {one["path"] for one in put(api, wrong).json()["faults"]}
    assert paths == {"rules[0].when.colour", "rules[0].when.loss", "rules[0].then.level", "rules[0].then.within"}
    assert not DecisionTable.objects.exists()


@pytest.mark.parametrize(
    ("media", "body"),
    [
        ("application/yaml", b"a: ["),
        ("application/json", b"[]"),
        ("application/json", b"{"),
        ("application/xml", b"<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>"),
        ("text/csv", b"\xff"),
        ("text/csv", b"rule,when n,then o\nx,1,2\n" + b',,"' + b"0" * 300_000 + b'"\n'),
        ("application/json", orjson.dumps({**TABLE, "description": "x" * 300_000})),
        ("application/yaml", b""),
    ],
)
def test_what_is_no_table_is_refused_and_never_an_error(api: Api, media: str, body: bytes) -> None:
    for method, path in (("PUT", "/decisions/levels"), ("POST", "/decisions/levels/validate")):
        answer = api.send(method, path, body, Content_Type=media)
        assert (answer.status_code, answer.json()["code"]) == (422, "table-not-valid"), answer.content
        assert answer.json()["faults"]


def test_a_checked_table_is_not_stored_and_says_what_is_wrong_with_it(api: Api) -> None:
    answer = api.send("POST", "/decisions/levels/validate", write_csv(TABLE), Content_Type="text/csv").json()
    assert answer["table"]["inputs"][0]["name"] == "severity"
    assert [one["tests"] for one in answer["report"]["gaps"]] == [{"severity": '"low"', "loss": "< 1000000, null"}]
    assert answer["report"]["sound"] is False
    assert not DecisionTable.objects.exists()
    put(api, TABLE)
    assert api.get("/decisions/levels/versions/1/report").json() == answer["report"]


def test_a_decision_says_which_rules_matched_and_why(api: Api) -> None:
    put(api, TABLE)
    answer = api.post("/decisions/levels/evaluate", {"facts": {"severity": "high", "loss": 2e6}}).json()
    assert (answer["name"], answer["version"]) == ("levels", 1)
    assert answer["results"] == [
        {
            "output": {"level": "board", "within": "PT4H"},
            "decided": True,
            "rules": ["dear", "high"],
            "why": [
                {"rule": "dear", "note": "much",
                 "when": [{"input": "loss", "value": 2000000.0, "test": ">= 1000000"}]},
                {"rule": "high", "note": "", "when": [{"input": "severity", "value": "high", "test": '"high"'}]},
            ],
            "fault": None,
            "faults": [],
        }
    ]  # fmt: skip


def test_several_cases_are_decided_each_by_itself_and_by_the_version_that_is_asked_for(api: Api) -> None:
    put(api, TABLE)
    put(api, {**TABLE, "rules": TABLE["rules"][1:]})
    cases = [{"severity": "high", "loss": 1e7}, {"severity": "low"}, {"severity": "odd"}, {}]
    answer = api.post("/decisions/levels/evaluate", {"cases": cases, "version": 1}).json()
    assert [one["decided"] for one in answer["results"]] == [True, False, False, False]
    assert answer["results"][0]["output"]["level"] == "board"
    assert [one["path"] for one in answer["results"][2]["faults"]] == ["severity"]
    now = api.post("/decisions/levels/evaluate", {"cases": cases}).json()
    assert (now["version"], now["results"][0]["output"]["level"]) == (2, "team")


@pytest.mark.parametrize(
    ("body", "status", "code", "path"),
    [
        ({"facts": {"severity": "odd", "loss": "x"}}, 422, "facts-not-valid", "facts.severity"),
        ({"facts": {}, "cases": [{}]}, 422, "unprocessable", ""),
        ({}, 422, "unprocessable", ""),
        ({"cases": []}, 422, "unprocessable", "cases"),
        ({"cases": [{}] * 1001}, 422, "unprocessable", "cases"),
        ({"cases": [1]}, 422, "unprocessable", "cases[0]"),
        ({"facts": {"severity": "low"}, "version": 9}, 404, "unknown-table-version", None),
    ],
)
def test_a_question_that_cannot_be_answered_is_refused(api: Api, body: Any, status: int, code: str, path: Any) -> None:
    put(api, TABLE)
    answer = api.post("/decisions/levels/evaluate", body)
    assert answer.status_code == status, answer.content
    if path is not None:
        assert path in {one["path"] for one in answer.json()["faults"]}, answer.json()
    if code != "unprocessable":  # whose code is not ours
        assert answer.json()["code"] == code


def test_an_answer_that_would_be_too_large_is_refused(api: Api) -> None:
    rules = [{"then": {"out": '"' + "x" * 200 + '"'}} for _ in range(900)]
    put(api, {"inputs": [{"name": "n", "optional": True}], "outputs": [{"name": "out"}], "hit_policy": "COLLECT",
              "rules": rules})  # fmt: skip
    assert api.post("/decisions/levels/evaluate", {"cases": [{}]}).status_code == 200
    answer = api.post("/decisions/levels/evaluate", {"cases": [{}] * 1000})
    assert (answer.status_code, answer.json()["code"]) == (422, "too-much-asked")


def test_a_table_that_is_not_there_is_named(api: Api) -> None:
    for path in ("/decisions/none", "/decisions/none/versions/1", "/decisions/none/versions/1/report",
                 "/decisions/none/versions/1.csv"):  # fmt: skip
        assert (api.get(path).status_code, api.get(path).json()["code"]) == (404, "unknown-table")
    assert api.post("/decisions/none/evaluate", {"facts": {}}).json()["code"] == "unknown-table"


def test_a_version_never_changes_not_even_by_sql() -> None:
    stored.publish("levels", TABLE, author="test")
    for statement in ("UPDATE decisions_decisionversion SET author = 'x'", "DELETE FROM decisions_decisionversion"):
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
    with pytest.raises(DatabaseError), transaction.atomic():
        DecisionVersion.objects.create(table=DecisionTable.objects.get(), number=1, content_hash="", document={})


def test_publishers_at_once_take_turns() -> None:
    tables = [{**TABLE, "description": str(number)} for number in range(8)]
    done = together([lambda table=table: stored.publish("levels", table, author="test").number for table in tables])
    assert sorted(done) == list(range(1, 9))
    assert DecisionTable.objects.get().latest == 8


def test_the_command_publishes_all_files_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    Path("levels.yaml").write_text(yaml.safe_dump(TABLE))
    Path("other.csv").write_bytes(write_csv(TABLE))
    Path("wrong.json").write_text("{}")
    with pytest.raises(CommandError, match="wrong: inputs"):
        call_command("decisions", "publish", "levels.yaml", "other.csv", "wrong.json")
    assert not DecisionTable.objects.exists()
    call_command("decisions", "publish", "levels.yaml", "other.csv", "--author", "ada")
    call_command("decisions", "publish", "levels.yaml")
    assert capsys.readouterr().out.splitlines() == [
        "levels version 1 is published",
        "other version 1 is published",
        "levels version 1 says the same already; nothing changed",
    ]
    assert set(DecisionVersion.objects.values_list("author", flat=True)) == {"ada"}


def test_an_admin_checks_a_table_and_then_publishes_it() -> None:
    User.objects.create_superuser("ada", "ada@example.com", "a-long-password")
    client = Client()
    client.login(username="ada", password="a-long-password")
    page = reverse("admin:decisions_decisiontable_publish")
    form = {"name": "levels", "source": yaml.safe_dump(TABLE), "language": "yaml"}
    checked = client.post(page, {**form, "validate": "1"})
    assert "No rule decides severity: &quot;low&quot;" in checked.content.decode()
    assert not DecisionTable.objects.exists()
    wrong = client.post(page, {**form, "source": "inputs: 5", "publish": "1"})
    assert "must be a list that is not empty" in wrong.content.decode()
    done = client.post(page, {**form, "publish": "1"}, follow=True)
    assert "levels v1 is in force." in done.content.decode()
    assert "&gt;= 1000000" in done.content.decode()
    version = DecisionVersion.objects.get()
    assert version.author == "user:ada"
    assert client.get(f"/admin/decisions/decisionversion/{version.pk}/change/").status_code == 200
    assert client.get("/admin/decisions/decisiontable/").status_code == 200
