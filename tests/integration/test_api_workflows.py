from dataclasses import replace

import orjson
import pytest
from pydantic import BaseModel

from erip.access.scopes import Scope
from tests.support.api import DEFINITION, Api, key, publish
from workflows import engine, registry
from workflows.graphs import graph_of

pytestmark = pytest.mark.django_db
YAML = "application/yaml"


@pytest.fixture
def api() -> Api:
    return Api(key(Scope.AUTHOR))


def put(api: Api, source: str | bytes, media: str = YAML, name: str = "look-up"):
    content = source.encode() if isinstance(source, str) else source
    return api.send("PUT", f"/workflows/{name}", content, Content_Type=media)


def test_a_new_definition_is_version_one(api):
    answer = put(api, DEFINITION)

    assert answer.status_code == 201
    assert answer.headers["Location"] == "/api/v1/workflows/look-up/versions/1"
    body = answer.json()
    assert (body["name"], body["version"], len(body["hash"])) == ("look-up", 1, 64)


def test_the_same_content_again_changes_nothing(api):
    first = put(api, DEFINITION)
    again = put(api, DEFINITION + "# a comment\n")

    assert again.status_code == 200
    assert again.json() == first.json()


def test_changed_content_is_the_next_version(api):
    put(api, DEFINITION)

    answer = put(api, DEFINITION.replace("lane: high", "lane: bulk"))

    assert (answer.status_code, answer.json()["version"]) == (201, 2)


@pytest.mark.parametrize("media", [YAML, "application/x-yaml", "text/yaml", "application/yaml; charset=utf-8"])
def test_the_names_of_yaml_are_understood(api, media):
    assert put(api, DEFINITION, media).status_code == 201


def test_json_is_as_good_as_yaml(api):
    document = {"name": "look-up", "steps": {"a": {"uses": "test.look_up", "with": {"cves": []}}}}

    assert put(api, orjson.dumps(document), "application/json").status_code == 201


def test_every_fault_is_named_with_its_path(api):
    source = """\
name: look-up
lane: fast
steps:
  enrich: {uses: test.look_up, with: {cves: []}, needs: [nobody]}
  other: {uses: no.such_step}
surprise: 1
"""
    answer = put(api, source)

    assert answer.status_code == 422
    problem = answer.json()
    assert problem["code"] == "definition-invalid"
    assert {"steps.enrich.needs[0]", "steps.other.uses", "lane", "surprise"} <= {f["path"] for f in problem["faults"]}


def test_a_definition_under_another_name_is_refused(api):
    answer = put(api, DEFINITION, name="another")

    assert (answer.status_code, answer.json()["code"]) == (422, "name-mismatch")


@pytest.mark.parametrize(
    "source",
    [
        b"",
        b"\xff\xfe\x00",
        b"- a\n- b\n",
        b"just text",
        b"{",
        b"a: &x [*x]\n",
        b'name: "look-up\\0"\nsteps: {}\n',
        b"a: " + b"[" * 5000,
        b"!!python/object/apply:os.system [id]",
        b"a: 1\na: 2\n",
        b"name: look-up\nsteps: {a: {uses: test.look_up, with: {cves: [" + b"9" * 5000 + b"]}}}\n",
        b'name: look-up\ndescription: "a\\0b"\nsteps: {a: {uses: test.look_up, with: {cves: []}}}\n',
        b'name: look-up\nsteps: {a: {uses: test.look_up, with: {cves: ["\\0"]}}}\n',
        b"name: look-up\ninput: {maximum: .nan}\nsteps: {a: {uses: test.look_up, with: {cves: []}}}\n",
        b"x" * 300_000,
    ],
)
@pytest.mark.parametrize("media", [YAML, "application/json"])
def test_nonsense_is_refused_and_never_a_server_error(api, source, media):
    answer = put(api, source, media)

    assert 400 <= answer.status_code < 500, answer.content
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_too_large_a_body_is_refused(api):
    assert put(api, b"#" * (1024 * 1024 + 1)).status_code == 413


@pytest.mark.parametrize("media", ["text/plain", "multipart/form-data; boundary=x", "application/octet-stream"])
def test_other_media_types_are_refused(api, media):
    assert put(api, DEFINITION, media).status_code == 415


def test_validating_stores_nothing(api):
    answer = api.send("POST", "/workflows/look-up/validate", DEFINITION.encode(), Content_Type=YAML)

    assert answer.status_code == 200
    assert answer.json() == {"valid": True, "name": "look-up", "lane": "high", "steps": ["enrich"]}
    assert api.get("/workflows/look-up").status_code == 404


def test_a_workflow_is_shown_with_its_versions(api):
    put(api, DEFINITION)
    put(api, DEFINITION.replace("high", "bulk"))

    answer = api.get("/workflows/look-up").json()

    assert (answer["name"], answer["version"], answer["lane"]) == ("look-up", 2, "bulk")
    assert answer["description"] == "Look a list of vulnerabilities up."
    assert [version["version"] for version in answer["versions"]] == [2, 1]
    assert answer["versions"][0]["author"] == "key:test author"


def test_a_version_has_its_source_as_it_was_published(api):
    put(api, DEFINITION)

    answer = api.get("/workflows/look-up/versions/1").json()

    assert answer["source"] == DEFINITION
    assert answer["definition"]["lane"] == "high"


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/workflows/nobody", "unknown-workflow"),
        ("/workflows/nobody/versions/1", "unknown-workflow"),
        ("/workflows/look-up/versions/2", "unknown-version"),
        ("/workflows/look-up/versions/0", "not-found"),
        ("/workflows/look-up/versions/99999999999999999999", "not-found"),
        ("/workflows/LOOK_UP", "not-found"),
        ("/nowhere", "not-found"),
    ],
)
def test_what_is_not_there_is_named(api, path, code):
    publish()

    answer = api.get(path)

    assert (answer.status_code, answer.json()["code"]) == (404, code)
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_the_list_is_paged_by_name(api):
    for name in ("alpha", "beta", "gamma"):
        engine.publish(None, DEFINITION.replace("look-up", name), "yaml", author="test")

    first = api.get("/workflows", limit=2).json()
    second = api.get("/workflows", limit=2, cursor=first["next_cursor"]).json()

    assert [item["name"] for item in first["items"] + second["items"]] == ["alpha", "beta", "gamma"]
    assert second["next_cursor"] is None


@pytest.mark.parametrize("cursor", ["!", "a", "%00", "AA", "////", "é"])
def test_a_made_up_cursor_is_a_bad_request_or_an_honest_page(api, cursor):
    answer = api.get("/workflows", cursor=cursor)

    assert answer.status_code in (200, 400)


def test_the_definitions_schema_and_the_steps_are_served(api):
    assert api.get("/schemas/workflow").json()["type"] == "object"
    steps = {step["name"]: step for step in api.get("/schemas/steps").json()["items"]}
    assert steps["test.look_up"]["input"]["type"] == "object"


def test_a_method_that_there_is_not_is_405(api):
    answer = api.send("DELETE", "/workflows/look-up", b"")

    assert answer.status_code == 405
    assert answer.json()["code"] == "method-not-allowed"
    assert set(answer.headers["Allow"].split(", ")) >= {"GET", "PUT"}


def test_a_timeout_that_may_be_too_short_is_a_warning(api):
    source = b"name: slow\ntimeout: 72h\nsteps: {a: {wait: {for: 96h}}}\n"
    warnings = [{"path": "timeout", "message": "leaves 72h, but the steps may take up to 96h: a"}]
    checked = api.send("POST", "/workflows/slow/validate", source, Content_Type=YAML)
    assert checked.json()["warnings"] == warnings
    assert put(api, source, name="slow").json()["warnings"] == warnings
    assert put(api, source, name="slow").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_a_version_that_an_earlier_release_allowed_runs_on_and_is_not_published_again(api):
    source = 'name: older\nsteps: {a: {uses: sample.echo}}\noutput: "${{ steps.a.output.former }}"\n'
    spec = registry.withdraw("sample.echo")
    registry.restore(replace(spec, output_model=BaseModel))  # it said nothing of its output
    try:
        assert put(api, source, name="older").status_code == 201
    finally:
        registry.restore(spec)
    graph_of.cache_clear()

    again = put(api, source, name="older")
    assert again.status_code == 422
    assert [fault["path"] for fault in again.json()["faults"]] == ["output"]
    assert engine.start_runs("older", [engine.StartRequest({})], principal="t")[0].version == 1
