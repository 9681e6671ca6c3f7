"""Secrets for steps: who has them, who may use them, and that nobody reads one."""

import base64
import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson
import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.test import Client

from erip.access.models import Space
from erip.access.scopes import Scope
from erip.foundation import keyring
from erip.ops.stack.state import ROOT
from tests.definitions import publish
from tests.integration.test_chunks import work_off
from tests.support.api import Api, key
from tests.unit.docs.blocks import blocks_of
from workflows import engine, queries
from workflows.conf import conf
from workflows.core.secrets import resolve
from workflows.engine.spaces import move
from workflows.errors import DefinitionInvalid, StepError
from workflows.models import Chunk, WorkflowRun
from workflows.secrets import stored
from workflows.secrets.errors import SecretInvalid
from workflows.secrets.models import Secret
from workflows.secrets.providers import vault
from workflows.starts import chunks as starting
from workflows.worker import chunks as working

pytestmark = pytest.mark.django_db
TOKEN = "n0t-a-real-token"
PAGE = ROOT / "docs/how-to/secrets.md"
LEAKS = """\
name: leaks
steps:
  a: {uses: USES, with: {token: "${{ secrets.token }}", other: "${{ input.other }}"}}
output: ${{ steps.a.output }}
"""


def put(name: str = "token", provider: str = "database", **more: Any) -> Secret:
    value = TOKEN if provider == "database" else None
    return stored.put(name, stored.Wanted(**{"provider": provider, "value": value, "spaces": [""], **more}), by="test")[
        0
    ]


def value(name: str = "token", workflow: str = "w") -> str:
    return resolve(workflow, [name])[name]


def refused(name: str = "token", workflow: str = "w") -> StepError:
    with pytest.raises(StepError) as error:
        resolve(workflow, [name])
    return error.value


# --- the doors


def test_a_value_goes_in_and_never_comes_out() -> None:
    api = Api(key())
    body = {"provider": "database", "value": TOKEN, "spaces": [""], "description": "of the mailer"}

    new = api.send("PUT", "/secrets/mail_token", orjson.dumps(body))
    again = api.send(
        "PUT", "/secrets/mail_token", orjson.dumps({**body, "value": None, "everywhere": True, "spaces": []})
    )
    one, page = api.get("/secrets/mail_token"), api.get("/secrets")

    assert (new.status_code, again.status_code) == (201, 200)
    assert (one.json()["version"], one.json()["everywhere"]) == (2, True)
    assert one.json() == page.json()["items"][0]
    for answer in (new, again, one, page):
        assert "value" not in answer.json()
        assert TOKEN not in answer.content.decode()
    assert value("mail_token") == TOKEN
    assert api.send("DELETE", "/secrets/mail_token", b"").status_code == 204
    assert api.get("/secrets/mail_token").status_code == 404


def test_everything_that_is_wrong_is_said_at_once_and_no_value_is_quoted() -> None:
    body = {"provider": "database", "value": "sh0rt", "reference": "x", "spaces": ["none-such"], "everywhere": True}

    answer = Api(key()).send("PUT", "/secrets/token", orjson.dumps(body))

    assert answer.status_code == 422
    assert {fault["path"] for fault in answer.json()["faults"]} == {"value", "reference", "spaces", "spaces[0]"}
    assert "sh0rt" not in answer.content.decode()


@pytest.mark.parametrize("scope", [Scope.VIEWER, Scope.OPERATOR, Scope.AUTHOR])
def test_who_may_not_store_secrets_does_not(scope: Scope) -> None:
    api = Api(key(scope))
    put()

    assert api.send("PUT", "/secrets/token", orjson.dumps({"provider": "files"})).status_code == 403
    assert api.send("DELETE", "/secrets/token", b"").status_code == 403
    assert api.get("/secrets").status_code == (200 if scope is Scope.AUTHOR else 403)


def test_the_audit_log_says_who_stored_it_and_not_what() -> None:
    Api(key(name="ops")).send(
        "PUT", "/secrets/token", orjson.dumps({"provider": "database", "value": TOKEN, "spaces": [""]})
    )

    with connection.cursor() as cursor:
        cursor.execute("SELECT body FROM audit_entry ORDER BY id DESC LIMIT 1")
        body = cursor.fetchone()[0]
    entry = orjson.loads(body)
    assert (entry["principal"], entry["action"], entry["object"]) == ("key:ops", "putSecret", "secret:token")
    assert entry["after"]["value"] == "changed"
    assert TOKEN not in str(body)


def test_the_admin_stores_lists_and_removes_and_shows_no_value(admin_client: Client) -> None:
    form = {"name": "token", "provider": "database", "value": TOKEN, "spaces": [" "]}

    stored_ = admin_client.post("/admin/secrets/secret/put/", form, follow=True)
    wrong = admin_client.post("/admin/secrets/secret/put/", {**form, "value": "sh0rt"})
    page = admin_client.get(f"/admin/secrets/secret/{Secret.objects.get().pk}/change/")

    assert value() == TOKEN
    for answer in (stored_, wrong, page, admin_client.get("/admin/secrets/secret/")):
        assert answer.status_code == 200
        assert TOKEN not in answer.content.decode()
    assert "sh0rt" not in wrong.content.decode()
    chosen = {"action": "remove", "_selected_action": [Secret.objects.get().pk]}
    admin_client.post("/admin/secrets/secret/", chosen)
    assert not Secret.objects.exists()


def test_the_command_reads_values_from_its_input_alone(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{TOKEN}\n"))
    call_command("secrets", "put", "token", "--space", "none")
    call_command("secrets", "put", "other", "--provider", "files", "--everywhere")
    call_command("secrets", "list")
    with pytest.raises(CommandError, match="1 cannot be read"):
        call_command("secrets", "check")
    call_command("secrets", "delete", "other")
    with pytest.raises(CommandError, match="no secret"):
        call_command("secrets", "delete", "other")

    assert value() == TOKEN
    told = capsys.readouterr().out
    assert "workflow" in told
    assert "without a space" in told
    assert TOKEN not in told


def test_the_commands_of_the_documentation_run(monkeypatch, settings, tmp_path, capsys) -> None:
    settings.ERIP_SECRETS_DIRECTORY = str(tmp_path)
    (tmp_path / "mail_password").write_text("c0rrect-horse")
    monkeypatch.setattr("sys.stdin", io.StringIO(TOKEN))
    told = [block.text.splitlines() for block in blocks_of(PAGE) if block.language == "sh"]

    for line in [line for lines in told for line in lines]:
        call_command(*line.removeprefix("manage.py ").split())

    assert (value("vendor_token"), value("mail_password")) == (TOKEN, "c0rrect-horse")
    assert TOKEN not in capsys.readouterr().out


# --- who has them


def test_a_value_in_the_database_is_encrypted_for_its_row() -> None:
    put("a")
    put("b", value="an0ther-token")

    with connection.cursor() as cursor:
        cursor.execute("SELECT t::text FROM secrets_secret t")
        assert all(TOKEN not in row and TOKEN.encode().hex() not in row for (row,) in cursor.fetchall())
    of_a = Secret.objects.get(name="a")
    Secret.objects.filter(name="b").update(value=of_a.value, data_key=of_a.data_key)
    assert value("a") == TOKEN
    assert "cannot be decrypted" in refused("b").message


def test_keys_are_rotated_without_the_values(settings, tmp_path, capsys) -> None:
    lines = [f"k-{n}:{base64.b64encode(bytes([n]) * 32).decode()}" for n in (1, 2)]
    file = tmp_path / "keys"
    settings.ERIP_ENCRYPTION_KEYS_FILE = str(file)
    file.write_text(lines[0])
    put("a")
    put("b")
    before = bytes(Secret.objects.get(name="a").value)

    file.write_text("\n".join(reversed(lines)))
    put("c")
    call_command("secrets", "rotate")
    assert "2 data keys" in capsys.readouterr().out
    file.write_text(lines[1])

    assert [value(name) for name in "abc"] == [TOKEN] * 3
    assert bytes(Secret.objects.get(name="a").value) == before
    file.write_text(lines[0])
    error = refused("a")
    assert error.retryable
    assert "k-2" in error.message
    with pytest.raises(CommandError, match="k-2"):
        call_command("secrets", "rotate")


def test_a_new_key_is_one_that_is_read(settings, tmp_path, capsys) -> None:
    call_command("secrets", "new-key", "k-2027")
    file = tmp_path / "keys"
    file.write_text(capsys.readouterr().out)
    settings.ERIP_ENCRYPTION_KEYS_FILE = str(file)

    assert keyring.in_force() == "k-2027"


def test_a_file_is_read_each_time(settings, tmp_path) -> None:
    settings.ERIP_SECRETS_DIRECTORY = str(tmp_path)
    put(provider="files")
    put("named", provider="files", reference="other.txt")

    assert "cannot be read" in refused().message
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    assert value() == TOKEN
    (tmp_path / "token").write_text("an0ther-token")
    assert value() == "an0ther-token"
    (tmp_path / "other.txt").write_bytes(b"\xff" * 20)
    assert "UTF-8" in refused("named").message
    (tmp_path / "other.txt").write_text("x" * 70_000)
    assert "at most" in refused("named").message
    (tmp_path / "other.txt").write_text("\n")
    assert "at least 8" in refused("named").message
    settings.ERIP_SECRETS_DIRECTORY = ""
    assert "ERIP_SECRETS_DIRECTORY" in refused().message


@pytest.mark.parametrize(
    ("provider", "reference"),
    [
        ("files", "../keys"),
        ("files", "/etc/passwd"),
        ("files", ".hidden"),
        ("files", "a\0b"),
        ("environment", "A B"),
        ("environment", "é"),
        ("vault", "../../sys/raw/x"),
        ("vault", "a/./b"),
        ("vault", "/a"),
        ("vault", "a?b"),
        ("vault", "a#b#c"),
        ("vault", "a//b"),
        ("database", "x"),
    ],
)
def test_a_reference_leads_out_of_nothing(provider: str, reference: str) -> None:
    with pytest.raises(SecretInvalid) as error:
        put(provider=provider, reference=reference)

    assert [fault.path for fault in error.value.faults] == ["reference"]


def test_of_the_environment_only_what_is_meant_for_steps_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ERIP_STEP_SECRET_TOKEN", TOKEN)
    monkeypatch.setenv("ERIP_SECRET_KEY", "that-of-the-platform")
    put(provider="environment")
    put("key", provider="environment", reference="KEY")

    assert value() == TOKEN
    assert "ERIP_STEP_SECRET_KEY" in refused("key").message


@pytest.mark.parametrize(
    "wrong", [{"value": b"x"}, {"data_key": b"x"}, {"provider": "database"}], ids=["value", "key", "provider"]
)
def test_the_database_refuses_a_value_that_does_not_belong_there(wrong: dict[str, Any]) -> None:
    put(provider="files")

    with pytest.raises(IntegrityError), transaction.atomic():
        Secret.objects.update(**wrong)


class FakeVault(ThreadingHTTPServer):
    """Speaks what HashiCorp documents of the KV engine, version 2: it is no Vault, which these tests do not start."""

    data: dict[str, Any]
    token = "root-token"
    asked: list[str]


@pytest.fixture
def kv(settings) -> Iterator[FakeVault]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server: Any = self.server
            path = self.path.partition("?")[0]
            server.asked.append(path)
            status, answer = 200, server.data.get(path)
            if self.headers.get("X-Vault-Token") != server.token:
                status, answer = 403, {"errors": ["permission denied"]}
            elif answer is None:
                status, answer = 404, {"errors": []}
            text = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *arguments: Any) -> None: ...

    server = FakeVault(("127.0.0.1", 0), Handler)
    server.data, server.asked = {}, []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings.ERIP_VAULT_URL = f"http://127.0.0.1:{server.server_address[1]}"
    settings.ERIP_VAULT_MOUNT, settings.ERIP_VAULT_TOKEN = "kv", server.token
    vault.forget()
    yield server
    vault.forget()
    server.shutdown()
    server.server_close()


def in_vault(data: Any) -> dict[str, Any]:
    return {"request_id": "x", "data": {"data": data, "metadata": {"version": 1, "destroyed": False}}}


def test_vault_is_asked_once_in_a_while(kv: FakeVault) -> None:
    kv.data["/v1/kv/data/billing/stripe"] = in_vault({"token": TOKEN, "value": "an0ther-token", "n": 1})
    put(provider="vault", reference="billing/stripe#token")
    put("other", provider="vault", reference="billing/stripe")
    put("number", provider="vault", reference="billing/stripe#n")

    assert [value(), value("other"), value()] == [TOKEN, "an0ther-token", TOKEN]
    assert kv.asked == ["/v1/kv/data/billing/stripe"]
    assert not refused("number").retryable


def test_what_vault_refuses_or_does_not_answer_is_told_apart(kv: FakeVault, settings, tmp_path) -> None:
    put(provider="vault")

    gone = refused()
    kv.data["/v1/kv/data/token"] = b"<html>"
    strange = refused()
    kv.token = "a-new-one"
    forbidden = refused()
    (tmp_path / "token").write_text("a-new-one\n")
    settings.ERIP_VAULT_TOKEN_FILE = str(tmp_path / "token")
    kv.data["/v1/kv/data/token"] = in_vault({"value": TOKEN})
    assert value() == TOKEN
    vault.forget()
    settings.ERIP_VAULT_URL = "http://127.0.0.1:1"
    away = refused()

    assert (gone.retryable, forbidden.retryable, away.retryable) == (False, True, True)
    for error in (gone, strange, forbidden, away):
        assert "root-token" not in error.message
        assert "a-new-one" not in error.message


# --- who may use them


def leaks(uses: str = "sample.leak") -> str:
    return LEAKS.replace("USES", uses)


def test_a_definition_is_refused_that_names_what_its_space_may_not_use() -> None:
    Space.objects.create(name="emea")
    put("token", spaces=["emea"])
    put("tokens")

    with pytest.raises(DefinitionInvalid) as error:
        engine.publish(None, leaks(), "yaml", author="ann")
    answer = Api(key(Scope.AUTHOR)).send(
        "POST", "/workflows/leaks/validate", leaks().encode(), **{"Content-Type": "application/yaml"}
    )

    said = 'there is no secret "token" that workflows without a space may use (did you mean "tokens"?)'
    assert [str(fault) for fault in error.value.faults] == [f"steps.a.with.token: {said}"]
    assert answer.json()["faults"] == [{"path": "steps.a.with.token", "message": said}]
    stored.put("token", stored.Wanted("database", spaces=["emea", ""]), by="test")
    publish(leaks())
    move("leaks", "emea")
    publish(leaks().replace("name: leaks", "name: leaks\ndescription: another"))


def test_a_secret_that_was_taken_away_is_gone_for_runs_under_way(executor) -> None:
    secret = put(everywhere=True, spaces=[])
    publish(leaks())
    run = engine.start_runs("leaks", [engine.StartRequest({"other": ""})], principal="t")[0].id
    stored.put(secret.name, stored.Wanted("database", spaces=[]), by="test")

    executor.execute([run])

    step = queries.run_detail(run)["steps"][0]
    assert WorkflowRun.objects.get(pk=run).state == "FAILED"
    assert step["error"]["code"] == "secret_not_there"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("uses", ["sample.leak", "sample.leak_async", "sample.leak_booked"])
@pytest.mark.parametrize("fail", [False, True])
def test_a_step_is_given_it_and_leaves_nothing_of_it(run_to_end, uses: str, fail: bool) -> None:
    put()
    source = leaks(uses).replace(
        'other: "${{ input.other }}"', f'other: "${{{{ input.other }}}}", fail: {str(fail).lower()}'
    )
    publish(source.replace("{uses", "{heartbeat: 20s, uses"))

    run = run_to_end("leaks", {"other": "${{ secrets.token }}"})

    assert run.state == ("FAILED" if fail else "SUCCEEDED")
    if not fail:
        assert run.output["length"] == len(TOKEN)
        assert run.output["texts"][-1] == "${{ secrets.token }}"
    assert everywhere(TOKEN) == set()
    assert "workflows_steprun" in everywhere("secrets.token")


@pytest.mark.django_db(transaction=True)
def test_runs_that_are_recorded_together_leave_nothing_of_it_either(executor, settings, monkeypatch) -> None:
    """The short way of many runs (Note [Chunks]) gives secrets, and keeps none."""
    monkeypatch.setattr(working, "LEAVE_AFTER", 60.0)
    settings.ERIP_CHUNK_RUNS = 100
    conf.cache_clear()
    starting.forget()
    put()
    publish(leaks())
    runs = [engine.StartRequest({"other": "${{ secrets.token }}"}) for _ in range(starting.FEWEST)]
    engine.start_runs("leaks", runs, principal="t")
    assert Chunk.objects.exists()

    work_off(executor)

    assert set(WorkflowRun.objects.values_list("state", flat=True)) == {"SUCCEEDED"}
    assert {run.output["length"] for run in WorkflowRun.objects.all()} == {len(TOKEN)}
    assert {run.output["texts"][-1] for run in WorkflowRun.objects.all()} == {"${{ secrets.token }}"}
    assert everywhere(TOKEN) == set()


def everywhere(text: str) -> set[str]:
    """The tables in which a text stands, as it is, in base64 or in hexadecimal."""
    forms = [text, base64.b64encode(text.encode()).decode().rstrip("=")[:-1], text.encode().hex()]
    found = set()
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            for form in forms:
                name = connection.ops.quote_name(table)
                cursor.execute(f"SELECT 1 FROM {name} t WHERE position(%s in t::text) > 0 LIMIT 1", [form])
                if cursor.fetchone():
                    found.add(table)
    return found
