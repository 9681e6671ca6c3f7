"""The audit log on a real PostgreSQL: entries in the transaction of the change, sealed, signed, and found out when a
superuser changes them."""

import csv
import io
import os
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, connections, transaction

from erip.access.scopes import Scope
from erip.audit import checkpoints, commands, entries, erip_verify, refusals, retention, sealer, store
from erip.audit.chain import NOTHING
from erip.audit.operation import Operation, describe, doing
from erip.foundation import hooks
from tests.support.api import Api, key
from tests.support.sealing import seal

pytestmark = pytest.mark.django_db(transaction=True)


def lines() -> list[bytes]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT line FROM audit_lines ORDER BY number, part")
        return [line.encode() for (line,) in cursor.fetchall()]


def bodies() -> list[dict]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT body FROM audit_entry ORDER BY id")
        return [orjson.loads(body) for (body,) in cursor.fetchall()]


def write(count: int, start: int = 0) -> None:
    for number in range(start, start + count):
        entries.write({"kind": "operation", "action": "test", "principal": "user:ada", "object": f"thing/{number}"})


def no_triggers(cursor) -> None:
    """Do as the owner of the tables can."""
    for table in ("audit_entry", "audit_block", "audit_checkpoint"):
        cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")


@pytest.fixture
def sent(tmp_path, settings):
    """The file that checkpoints are sent to."""
    settings.ERIP_AUDIT_FILE = str(tmp_path / "checkpoints.jsonl")
    return lambda: Path(settings.ERIP_AUDIT_FILE).read_bytes().splitlines()


def findings(told: list[bytes], witness: list[bytes]) -> list[str]:
    log, _ = erip_verify.verify(told, witness, checkpoints.public_key())
    return [str(finding) for finding in log.findings]


#: how many; ERIP_AUDIT_CHANGES=1000 makes a thousand
BY_SUPERUSER = int(os.environ.get("ERIP_AUDIT_CHANGES", "42"))
#: what a superuser does by hand: (statement, what is to be found at the position that it is about)
BY_HAND = [
    ("UPDATE audit_entry SET body = replace(body, 'ada', 'eve') WHERE id = %(id)s", "edited"),
    ("UPDATE audit_entry SET at = at + interval '1 s' WHERE id = %(id)s", "edited"),
    ("UPDATE audit_entry SET role = 'nobody' WHERE id = %(id)s", "edited"),
    ("UPDATE audit_entry SET body = body || chr(10) WHERE id = %(id)s", "edited"),
    ("DELETE FROM audit_entry WHERE id = %(id)s", "removed"),
    (
        "UPDATE audit_block SET entries = array_remove(entries, %(id)s), size = size - 1,"
        " leaves = substr(leaves, 1, (array_position(entries, %(id)s) - 1) * 32)"
        " || substr(leaves, array_position(entries, %(id)s) * 32 + 1) WHERE %(id)s = ANY (entries)",
        "removed",
    ),
    (
        "UPDATE audit_block SET leaves = overlay(leaves PLACING sha256('x') FROM (array_position(entries, %(id)s) - 1)"
        " * 32 + 1) WHERE %(id)s = ANY (entries)",
        "edited",
    ),
]


def _last_block() -> int:
    """How many entries the last block has: up to 12. A transaction beside this test may have split the twelve."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT cardinality(entries) FROM audit_block ORDER BY number DESC LIMIT 1")
        size: int = cursor.fetchone()[0]
    return size


def test_dozens_of_changes_by_a_superuser_are_each_named_at_the_right_entry(sent):
    for start in range(0, 60, 12):
        write(12, start)
        seal()
        checkpoints.sign()
    before, copy = lines(), sent()
    assert findings(before, copy) == []
    ids = [orjson.loads(line)["record"]["id"] for line in before if line.startswith(b'{"position"')]
    assert len(ids) == 60
    chance = random.Random(18)

    for number in range(BY_SUPERUSER):
        statement, kind = BY_HAND[number % len(BY_HAND)]
        # Once the last but one of its block: only one entry moves up.
        position = 47 if number == 5 else chance.randint(1, 60)
        with transaction.atomic(), connection.cursor() as cursor:
            no_triggers(cursor)
            cursor.execute(statement, {"id": ids[position - 1]})
            assert cursor.rowcount == 1
            told = lines()
            transaction.set_rollback(True)
        if position == 60 and statement.startswith("UPDATE audit_block SET entries"):
            kind = "truncated"  # nothing comes after it
        assert findings(told, copy)[0].startswith(f"{kind} at position {position}:"), (statement, position)

    for statement, kind in (
        (
            "DELETE FROM audit_block WHERE number = (SELECT max(number) FROM audit_block)",
            f"truncated at position {61 - _last_block()}",
        ),
        ("DELETE FROM audit_checkpoint WHERE number = 3", "checkpoint removed"),
        (
            "DELETE FROM audit_checkpoint WHERE number = (SELECT max(number) FROM audit_checkpoint)",
            "truncated: checkpoints",
        ),
        (
            "UPDATE audit_checkpoint SET (body, signature) ="
            " (SELECT body, signature FROM audit_checkpoint WHERE number = 2)"
            " WHERE number = (SELECT max(number) FROM audit_checkpoint)",
            "replayed: checkpoint 2",
        ),
        ("UPDATE audit_checkpoint SET signature = repeat('A', 86) || '==' WHERE number = 4", "forged"),
    ):
        with transaction.atomic(), connection.cursor() as cursor:
            no_triggers(cursor)
            cursor.execute(statement)
            told = lines()
            transaction.set_rollback(True)
        assert any(each.startswith(kind) for each in findings(told, copy)), statement

    assert findings(lines(), copy) == []


@pytest.mark.parametrize("table", ["audit_entry", "audit_block", "audit_checkpoint"])
def test_nobody_changes_the_log_by_mistake(table):
    write(2)
    seal()
    checkpoints.sign()
    for statement in (f"DELETE FROM {table}", f"UPDATE {table} SET at = now()"):
        with pytest.raises(DatabaseError, match="only ever added to"), connection.cursor() as cursor:
            cursor.execute(statement)


def test_an_entry_is_there_if_and_only_if_its_change_is():
    def operation(name: str) -> Operation:
        return Operation("api", name, lambda: "user:ada")

    with doing(operation("done")), transaction.atomic():
        describe(before={"state": "a"}, after={"state": "b"}, reason="because")
        store.add_checkpoint(1, 0, "{}", "")
    with doing(operation("read")), transaction.atomic():
        store.last_checkpoint()
    with doing(operation("undone")), transaction.atomic():
        store.add_checkpoint(2, 0, "{}", "")
        transaction.set_rollback(True)
    with doing(operation("twice")):
        for number in (3, 4):
            with transaction.atomic():
                store.add_checkpoint(number, 0, "{}", "")

    assert [each["action"] for each in bodies()] == ["done", "twice"]
    assert bodies()[0] == {
        "kind": "operation", "door": "api", "action": "done", "principal": "user:ada", "reason": "because",
        "before": {"state": "a"}, "after": {"state": "b"},
    }  # fmt: skip


def test_an_older_transaction_that_commits_later_is_sealed_later_and_not_forgotten():
    slow = connections["default"].copy()
    try:
        slow.set_autocommit(False)
        with slow.cursor() as cursor:
            cursor.execute(f"{entries.INSERT} VALUES (%s, '')", ['{"kind":"change","action":"slow"}'])
        write(1)
        while sealer.seal.do():
            pass
        assert store.sealed().log.size == 0
        slow.commit()
    finally:
        slow.close()
    seal()

    told = [orjson.loads(line) for line in lines() if line.startswith(b'{"position"')]
    assert [each["record"]["entry"]["action"] for each in told] == ["slow", "test"]


def test_an_entry_that_no_process_of_the_platform_wrote_is_reported():
    write(1)
    with connection.cursor() as cursor:
        cursor.execute(
            f"{entries.INSERT} VALUES (%s, 'guessed')", ['{"kind":"operation","action":"x","principal":"user:eve"}']
        )
    seal()
    seal()

    assert [each["action"] for each in bodies()] == ["test", "x", "audit.forged"]
    assert bodies()[2]["count"] == 1


def test_a_log_that_was_restored_from_a_dump_goes_on():
    write(3)
    seal()
    with transaction.atomic(), connection.cursor() as cursor:
        # As in a new cluster, whose transactions are counted from the beginning.
        no_triggers(cursor)
        cursor.execute("UPDATE audit_block SET last_xid = last_xid + 4000000000")
        cursor.execute("UPDATE audit_entry SET xid = xid + 4000000000")
        for table in ("audit_entry", "audit_block", "audit_checkpoint"):
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
    write(2, 3)
    seal()
    write(1, 5)
    seal()

    assert store.sealed().log.size == 6
    objects = [orjson.loads(line)["record"]["entry"]["object"] for line in lines() if line.startswith(b'{"position"')]
    assert objects == [f"thing/{number}" for number in range(6)]


def test_a_flood_of_refusals_costs_few_entries():
    flood = refusals.Refusals(window=3600.0)
    for number in range(5_000):
        flood.note({"kind": "operation", "action": f"a{number % 1000}", "from": "192.0.2.7", "status": 401})
    flood.flush()

    left = bodies()
    assert len(left) <= 2 * (refusals.KINDS["strangers"] + 1)
    assert sum(each.get("times", 1) for each in left if "times" in each or each) >= 5_000 - refusals.KINDS["strangers"]


def test_a_flood_of_strangers_hides_neither_known_callers_nor_sign_ins_that_fail():
    flood = refusals.Refusals(window=3600.0)
    for number in range(5_000):
        flood.note({"kind": "operation", "action": "GET", "from": f"2001:db8:{number:x}::1", "status": 401})
    flood.note({"kind": "operation", "action": "startRun", "principal": "key:ci", "status": 403})
    flood.note({"kind": "operation", "action": "sign-in", "from": "192.0.2.9", "status": 200, "outcome": "refused"})
    flood.flush()

    left = bodies()
    assert len(left) <= 2 * (refusals.KINDS["strangers"] + 1) + 2
    assert {"startRun", "sign-in", "others: strangers"} <= {each["action"] for each in left}


def test_commands_leave_an_entry_without_secrets(monkeypatch):
    monkeypatch.setenv("ERIP_REASON", "rotation")
    User.objects.create_user("ola")
    with commands.audited(["manage.py", "create_api_key", "--name", "ci", "--password", "hunter2", "--token=t0p"]):
        call_command("create_api_key", name="ci", owner="ola", scope="viewer", stdout=io.StringIO())
    with commands.audited(["manage.py", "validate", "x.yaml"]):
        pass

    (left,) = bodies()
    assert (left["action"], left["reason"]) == ("command:create_api_key", "rotation")
    assert left["arguments"] == "--name ci --password … --token=…"
    assert left["principal"].startswith("os:")


def test_the_command_exports_what_the_verifier_reads(tmp_path, sent, capsys):
    write(3)
    seal()
    checkpoints.sign()
    call_command("audit", "export", "--output", str(tmp_path / "log.jsonl"))
    key, program = io.StringIO(), io.StringIO()
    call_command("audit", "key", stdout=key)
    call_command("audit", "verifier", stdout=program)

    arguments = [str(tmp_path / "log.jsonl"), "--key", key.getvalue().strip(), "--fresh", "600"]
    witness = str(tmp_path / "checkpoints.jsonl")
    assert erip_verify.main([*arguments, "--witness", witness]) == 0
    assert "the log is whole" in capsys.readouterr().out
    assert program.getvalue() == Path(erip_verify.__file__).read_text()
    assert NOTHING.hex() not in (tmp_path / "log.jsonl").read_text()


def test_a_hold_that_is_put_while_entries_are_removed_keeps_what_is_left(sent, monkeypatch):
    write(2)
    seal()
    write(2)
    seal()
    checkpoints.sign()
    late = datetime.now(UTC) + timedelta(hours=1)
    monkeypatch.setattr(retention, "BLOCKS", 1)
    asked: list[bool] = []

    def put_after_the_first_portion() -> list[retention.Hold]:
        asked.append(True)
        hold = retention.Hold("case 8", late - timedelta(days=2), late, "litigation")
        return [hold] if len(asked) > 1 else []

    with hooks.audit_holds.only(put_after_the_first_portion):
        assert retention.retire(late, reason="policy", dry_run=False) == 2
    assert [each["action"] for each in bodies()] == ["test", "test", "audit.retired"]


def test_old_entries_are_removed_except_what_a_legal_hold_keeps_and_the_log_verifies(sent):
    write(6)
    seal()
    checkpoints.sign()
    with connection.cursor() as cursor:
        cursor.execute("SELECT at FROM audit_entry ORDER BY id")
        times = [at for (at,) in cursor.fetchall()]
    retention.hold("case 7", since=times[2], until=times[4], reason="litigation")
    late = times[-1] + timedelta(hours=1)

    assert retention.retire(late, reason="policy", dry_run=True) == 4
    assert len(bodies()) == 7
    assert retention.retire(late, reason="policy", dry_run=False) == 4
    retention.release("case 7", reason="settled")
    assert retention.retire(late, reason="policy", dry_run=False) == 2
    with pytest.raises(retention.NoSuchHold):
        retention.release("case 7", reason="again")
    seal()
    checkpoints.sign()

    assert [each["action"] for each in bodies()] == [
        "audit.hold", "audit.retired", "audit.release", "audit.retired",
    ]  # fmt: skip
    assert findings(lines(), sent()) == []
    # What is not named is missed.
    with transaction.atomic(), connection.cursor() as cursor:
        no_triggers(cursor)
        cursor.execute("DELETE FROM audit_entry WHERE action = 'audit.hold'")
        told = lines()
        transaction.set_rollback(True)
    assert findings(told, sent())[0].startswith("removed at position 7")


def test_a_table_for_a_spreadsheet_holds_no_formula_and_one_for_a_siem_no_second_line(tmp_path):
    for reason in ('=HYPERLINK("http://evil")', "+1", "@SUM(A1)", "-2", "\tx", "a=b|c\\d\nnext", "plain"):
        entries.write({"kind": "operation", "action": "x|y", "principal": "user:=ada", "reason": reason})
    for format in ("csv", "cef", "ocsf"):
        call_command("audit", "export", "--format", format, "--output", str(tmp_path / format))

    rows = list(csv.reader((tmp_path / "csv").open(newline="")))
    assert len(rows) == 8
    assert [row[10] for row in rows[1:]] == [
        '\'=HYPERLINK("http://evil")', "'+1", "'@SUM(A1)", "'-2", "'\tx", "a=b|c\\d\nnext", "plain",
    ]  # fmt: skip
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for row in rows for cell in row)
    events = (tmp_path / "cef").read_text().splitlines()
    assert len(events) == 7
    assert events[5].startswith(r"CEF:0|ERIP|ERIP|1|x\|y|x\|y|3|")
    assert r"reason=a\=b|c\\d\nnext" in events[5]
    told = [orjson.loads(line) for line in (tmp_path / "ocsf").read_text().splitlines()]
    assert [each["message"] for each in told][-2:] == ["a=b|c\\d\nnext", "plain"]
    with pytest.raises(CommandError, match="whole log"):
        call_command("audit", "export", "--principal", "user:=ada")


def test_the_log_is_searched_by_those_alone_who_may_and_that_is_recorded():
    write(5)
    api = Api(key(Scope.ADMIN))

    page = api.get("/audit", principal="user:ada", limit=3).json()
    rest = api.get("/audit", principal="user:ada", limit=3, cursor=page["next_cursor"]).json()
    one = api.get("/audit", object="thing/2").json()

    assert [each["entry"]["object"] for each in page["items"] + rest["items"]] == [
        f"thing/{n}" for n in (4, 3, 2, 1, 0)
    ]
    assert rest["next_cursor"] is None
    assert [each["entry"]["object"] for each in one["items"]] == ["thing/2"]
    searched = api.get("/audit", action="searchAudit").json()["items"]
    assert [each["entry"]["principal"] for each in searched] == ["key:test admin"] * 3
    assert searched[0]["entry"]["searched"] == {"object": "thing/2"}
    assert Api(key(Scope.AUTHOR)).get("/audit").status_code == 403
    assert api.get("/audit", since="yesterday", limit=0).status_code == 400
