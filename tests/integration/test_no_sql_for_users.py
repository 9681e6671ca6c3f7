"""No message of PostgreSQL reaches a user: not in a dead letter, a run's error, a problem document or a command."""

import io
import re
import subprocess
import sys

import psycopg2
import pytest
from django.db import DataError, IntegrityError, OperationalError, connection, transaction
from django.db.utils import Error

import manage
from erip.foundation.db.failures import said
from erip.foundation.http.problems import problem_of
from tests import workers
from tests.fuzz import files
from workflows.core.machine import StepSucceeded
from workflows.events.faults import Faults
from workflows.events.rounds import RoundFailed
from workflows.store import Report
from workflows.worker import bodies, executor, writer

pytestmark = pytest.mark.django_db

#: text that PostgreSQL's errors contain and ours do not
SQL = re.compile(
    r"LINE \d|DETAIL|HINT|CONTEXT|SELECT|INSERT|UPDATE|\brelation\b|column \"|syntax error|unnest|jsonb|psycopg"
)
#: statements that fail, each in its way
FAILING = [
    ("SELECT 'secret value'::int", []),
    ("SELECT 1/0", []),
    ("SELECT * FROM no_such_table_secret", []),
    ("SELECT no_such_column FROM workflows_workflowrun", []),
    ("SELECT nonsense nonsense nonsense", []),
    ("SELECT '\\u0000'::jsonb", []),
    ("SELECT 'infinity'::timestamptz - now() + interval '1e9 years'", []),
    ("SELECT 99999999999::int4", []),
    ("INSERT INTO workflows_workflowdefinition (name, latest, created_at) VALUES (%s, 0, now())", ["x" * 100]),
    ("INSERT INTO workflows_workflowdefinition (name, latest, created_at) VALUES (NULL, 0, now())", []),
    ("INSERT INTO workflows_workflowdefinition (name, latest, created_at) VALUES ('a', 0, now()), ('a', 0, now())", []),
]


def raised(statement: str, parameters: list[object]) -> Error:
    with pytest.raises(Error) as failure, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, parameters)
    return failure.value


@pytest.mark.parametrize(("statement", "parameters"), FAILING)
def test_of_the_databases_errors_the_code_is_told_and_what_it_means(statement, parameters):
    error = raised(statement, parameters)
    wrapped = ValueError("a step's own words")
    wrapped.__cause__ = error

    for each in (error, error.__cause__, wrapped):
        assert not SQL.search(said(each))
        assert "secret" not in said(each)
        assert "SQLSTATE" in said(each)


def test_of_other_errors_the_text_is_told():
    assert said(ValueError("no such breach")) == "no such breach"
    assert said(ValueError()) == "ValueError"
    assert said(OperationalError("could not connect to server: secret.host")) == "the database could not be reached"


def test_every_place_that_keeps_an_errors_text_keeps_none_of_postgresqls():
    error = raised(*FAILING[8])
    claim = type("Claim", (), {"step": "a", "attempt": 1, "item": -1, "run_id": "r"})()

    kept = [
        bodies._message(error, None),
        executor._not_begun(claim, error).error["message"],
        writer._unrecordable(Report("r", StepSucceeded("a", 1, {}, -1)), error).happening.error["message"],
        _dead_letter(error),
        problem_of(error).detail,
    ]

    assert not [text for text in kept if SQL.search(text) or "xxx" in text]


def _dead_letter(error: Exception) -> str:
    """The message of the dead letter that results from an effect's error."""
    faults = Faults(attempts=1, whole=1)
    faults.failed({0}, RoundFailed("triggers", error, {0: (1, 0)}, 1))
    faults._care[0].rest_until = 0.0
    ((_, given),) = faults._care[0].given_up.items()
    return given.message


def test_what_postgresql_cannot_keep_is_the_callers_fault():
    assert problem_of(raised(*FAILING[8])).status == 422
    assert problem_of(DataError("x")).status == 422
    assert problem_of(IntegrityError("x")) is None, "that is ours"
    assert said(psycopg2.OperationalError("x")) == "the database could not be reached"


@pytest.mark.parametrize(
    "arguments",
    [
        ["events", "retry", "9" * 30],
        ["events", "discard", "1"],
        ["events", "dead-letters", "--limit", "-5"],
        ["events", "dead-letters", "--limit", "9" * 30],
        ["events", "replay", "triggers", "--after", "0001-01-01T00:00:00+14:00"],
        ["events", "replay", "triggers", "--after", "2026-11-25T23:59:60Z"],
        ["events", "replay", "nothing"],
        ["events", "replay", "triggers", "--type", "\ud800"],
        ["archive_runs", "--older-than", "9" * 30 + "d", "--dry-run"],
        ["create_api_key", "--owner", "nobody", "--name", "x", "--scope", "viewer", "--expires-days", "9" * 30],
        ["create_api_key", "--owner", "nobody", "--name", "\x01", "--scope", "viewer"],
        ["create_api_key", "--owner", "nobody", "--name", "y", "--scope", "operator", "--source", "\ud800"],
        ["bind_api_key", "--name", "nobody", "--source", "/x"],
        ["forget_logins", "--username", "\ud800"],
        ["load_kev", "/"],
        ["load_kev", "/no/such/file"],
        ["load_kev", "-"],
        ["load_kev", "\n"],
        ["load_kev", "x" * 5000],
    ],
    ids=lambda arguments: " ".join(arguments)[:40].encode("ascii", "replace").decode(),
)
def test_a_command_that_cannot_do_it_says_so_in_a_line(arguments, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["manage.py", *arguments])
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    code = 0

    try:
        with transaction.atomic():
            manage.main()
    except SystemExit as ended:
        code = ended.code

    shown = "".join(capsys.readouterr())
    assert code in (0, 1, 2)
    assert "Traceback" not in shown
    assert not SQL.search(shown)
    assert code == 0 or shown.strip()


def test_a_database_that_is_away_is_one_line():
    environment = {**workers.environment(), "DATABASE_URL": "postgres://x:y@127.0.0.1:1/x"}

    done = subprocess.run(
        [sys.executable, "manage.py", "events", "status"],
        cwd=files.ROOT,
        env=environment,
        capture_output=True,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr.decode().strip().splitlines()[-1] == "the database could not be reached"
    assert b"Traceback" not in done.stderr
