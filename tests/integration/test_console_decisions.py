"""Decision tables in the console: the grid that people edit, on a real database and without a script."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from console.core.grid import changed, of_document
from erip.audit.models import Entry
from tests.integration.test_console import cold, read, staff
from tests.unit.console.core.test_grid import said
from workflows.decisions import stored
from workflows.decisions.models import DecisionVersion

pytestmark = pytest.mark.django_db
SEE, PUBLISH = "decisions.view_decisiontable", "decisions.add_decisionversion"
TABLE: dict[str, Any] = {
    "description": "Who approves",
    "inputs": [
        {"name": "severity", "type": "string", "values": ["low", "high"]},
        {"name": "loss", "type": "number", "optional": True},
    ],
    "outputs": [{"name": "level", "type": "string"}],
    "rules": [
        {"id": "dear", "when": {"loss": "> 5"}, "then": {"level": '"board"'}, "note": "<b>more</b> than we may carry"},
        {"id": "high", "when": {"severity": '"high"'}, "then": {"level": '"team"'}},
    ],
}


@pytest.fixture(autouse=True)
def a_table() -> None:
    cold()
    stored.publish("approval", TABLE, author="user:eve")


@pytest.fixture
def author() -> Client:
    return staff(SEE, PUBLISH)


def post(client: Client, what: str, fields: dict[str, str], name: str = "approval") -> Any:
    return client.post(reverse(f"console:{what}-decision", args=[name]), fields)


def form(**cells: str) -> dict[str, str]:
    return said(of_document(TABLE)) | {"base": "1"} | cells


def text(answer: Any) -> str:
    return str(answer.content.decode())


def test_a_page_shows_the_rules_and_what_they_leave_open(author: Client) -> None:
    page = text(author.get(reverse("console:decision", args=["approval"])))
    assert "&gt; 5" in page
    assert "&lt;b&gt;more&lt;/b&gt;" in page
    assert "<b>more" not in page
    assert "severity: &quot;low&quot;, loss: &lt;= 5, null" in page
    assert "clashes with high" in page
    assert 'href="/console/decisions/approval/edit"' in page
    assert author.get(reverse("console:decision", args=["nowhere"])).status_code == 404
    assert author.get(reverse("console:decision", args=["approval"]) + "?version=7").status_code == 404
    assert author.get(reverse("console:decision", args=["approval"]) + "?version=x").status_code == 200


def test_the_editor_has_a_field_for_all_that_the_table_says(author: Client) -> None:
    found = read(author.get(reverse("console:edit-decision", args=["approval"])))
    names = {one.get("name") for tag, one in found if tag in ("input", "select")}
    assert names >= {*form(), "csrfmiddlewaretoken", "i0.optional", "i1.optional"}
    unnamed = [one for tag, one in found if tag == "input" and one.get("type") not in ("hidden", "checkbox")
               and not one.get("aria-label") and not one.get("id")]  # fmt: skip
    assert unnamed == []


def test_what_was_changed_in_the_grid_becomes_the_next_version_and_is_audited(author: Client) -> None:
    answer = post(author, "publish", form(**{"r0.i1": "> 7", "r1.note": "a new note"}))
    assert (answer.status_code, answer["Location"]) == (303, "/console/decisions/approval")
    latest = stored.version("approval")
    assert (latest.number, latest.author) == (2, "user:ada")
    assert latest.document["rules"][0]["when"] == {"loss": "> 7"}
    assert latest.document["description"] == "Who approves"
    page = text(author.get(answer["Location"]))
    assert "What it changed of version 1" in page
    assert "rule dear, when loss" in page
    entry = Entry.objects.order_by("-pk")[0]
    assert (entry.principal, entry.action) == ("user:ada", "console:publish-decision")
    assert entry.object.endswith("approval")


def test_the_same_table_again_however_it_is_written_is_no_new_version(author: Client) -> None:
    answer = post(author, "publish", form())
    assert answer.status_code == 303
    assert stored.version("approval").number == 1
    assert "already: nothing was published" in text(author.get(answer["Location"]))


def test_faults_are_all_shown_at_their_cells_and_nothing_is_stored(author: Client) -> None:
    for what in ("draft", "publish"):
        answer = post(author, what, form(**{"r0.i1": "> (", "r1.o0": "team", "r1.i0": '"odd"'}))
        assert answer.status_code == 422
        invalid = {one["name"] for _, one in read(answer) if one.get("aria-invalid")}
        assert invalid == {"r0.i1", "r1.o0", "r1.i0"}
        # What was typed in is still there.
        assert {one.get("name"): one.get("value") for _, one in read(answer)}["r0.i1"] == "> ("
    assert DecisionVersion.objects.filter(table__name="approval").count() == 1


def test_a_check_says_what_is_open_and_what_would_change(author: Client) -> None:
    before = Entry.objects.count()
    page = text(post(author, "draft", form(**{"r1.i0": "", "do": "check"})))
    assert "The table is valid" in page
    assert "loss: &gt; 5" in page  # a clash
    assert "rule high, when severity" in page
    assert stored.version("approval").number == 1
    assert Entry.objects.count() == before


@pytest.mark.parametrize(
    ("do", "left"),
    [("add-rule", 3), ("add-rule-0", 3), ("drop-rule-0", 1), ("drop-rule-7", 2), ("nonsense", 2), ("up-rule-0", 2)],
)
def test_a_button_changes_the_grid_and_stores_nothing(author: Client, do: str, left: int) -> None:
    answer = post(author, "draft", form(do=do))
    fields = {one.get("name"): one.get("value") for _, one in read(answer)}
    assert fields["rules"] == str(left)
    assert stored.version("approval").number == 1


def test_a_case_is_tried_against_what_is_typed_and_against_a_version(author: Client) -> None:
    page = text(post(author, "draft", form(**{"r0.i1": "> 100", "do": "try", "t0": "high", "t1": "50"})))
    assert "&quot;team&quot;" in page
    seer = staff(SEE, name="seer")
    asked = post(seer, "try", {"version": "1", "t0": "low", "t1": "50"})
    assert "&quot;board&quot;" in text(asked)
    assert "Rule <strong>dear</strong>" in text(asked)
    assert "does not decide this case" in text(post(seer, "try", {"t0": "low", "t1": ""}))
    wrong = post(seer, "try", {"t0": "odd", "t1": "much"})
    assert wrong.status_code == 422
    assert "cannot be read as a number" in text(wrong)
    assert post(seer, "try", {"t0": "low"}, name="nowhere").status_code == 404


def test_who_may_only_see_publishes_nothing(author: Client) -> None:
    seer = staff(SEE, name="seer")
    assert "/edit" not in text(seer.get(reverse("console:decision", args=["approval"])))
    for what in ("draft", "publish"):
        assert post(seer, what, form(**{"r0.i1": "> 7"})).status_code == 403
        assert post(Client(), what, form())["Location"].startswith("/admin/login/")
    assert seer.get(reverse("console:edit-decision", args=["approval"])).status_code == 403
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = author.cookies
    assert post(strict, "publish", form(**{"r0.i1": "> 7"})).status_code == 403
    assert stored.version("approval").number == 1


def test_a_version_that_somebody_published_meanwhile_is_not_overwritten_unseen(author: Client) -> None:
    stored.publish("approval", {**TABLE, "description": "Theirs"}, author="user:bob")
    mine = form(**{"r0.i1": "> 7"})
    refused = post(author, "publish", mine)
    assert refused.status_code == 409
    assert "published meanwhile, by user:bob" in text(refused)
    assert "Theirs" in text(refused)
    assert stored.version("approval").number == 2
    again = {one["name"]: one.get("value") or "" for _, one in read(refused) if one.get("name") == "base"}
    assert post(author, "publish", mine | again).status_code == 303
    assert stored.version("approval").number == 3


def test_a_new_table_begins_empty(author: Client) -> None:
    assert author.get(reverse("console:new-decision")).status_code == 200
    page = text(author.get(reverse("console:new-decision") + "?name=brand-new"))
    assert 'href="/console/decisions/brand-new/edit"' in page
    assert "/edit" not in text(author.get(reverse("console:new-decision") + "?name=a/b"))
    assert author.get(reverse("console:edit-decision", args=["brand-new"])).status_code == 200
    answer = post(author, "publish", form(base="0"), name="brand-new")
    assert answer.status_code == 303
    assert stored.version("brand-new").document["rules"] == TABLE["rules"]


ONE = {"inputs": "1", "i0.name": "n", "outputs": "1", "o0.name": "o", "rules": "1", "r0.o0": "1"}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"inputs": "99999", "outputs": "99999", "rules": "99999"},
        {"inputs": "-1", "rules": "x" * 100},
        {**ONE, "i0.name": "a\0b"},
        {**ONE, "i0.name": "n" * 5_000},
        {**ONE, "i0.type": "nonsense", "hit_policy": "ALL", "aggregation": "MEAN"},
        {**ONE, "r0.i0": "[" * 4_000},
        {**ONE, "r0.i0": "1e999999999"},
        {**ONE, "r0.note": "\ud800"},
        {**ONE, "do": "drop-rule-99999999999999999999", "r0.o0": ""},
        {**ONE, "o0.name": ""},
    ],
    ids=range(11),
)
def test_a_hostile_form_is_answered_and_stores_nothing(author: Client, fields: dict[str, str]) -> None:
    sent = {key: value.encode("utf-8", "surrogatepass") for key, value in fields.items()}
    for what in ("draft", "publish", "try"):
        assert author.post(reverse(f"console:{what}-decision", args=["approval"]), sent).status_code < 500
    assert author.get(reverse("console:edit-decision", args=["approval"])).status_code == 200
    assert DecisionVersion.objects.filter(table__name="approval").count() == 1


def test_a_table_that_is_too_large_for_a_form_is_shown_and_points_to_files(author: Client) -> None:
    grid = of_document(TABLE)
    while grid.fits:
        changed(grid, "add-rule")
    rules = [{"when": {"loss": str(at)}, "then": {"level": '"x"'}} for at in range(len(grid.rows))]
    stored.publish("large", {**TABLE, "rules": rules}, author="test")
    assert author.get(reverse("console:decision", args=["large"])).status_code == 200
    assert "too large for this page" in text(author.get(reverse("console:edit-decision", args=["large"])))
