"""Settings: declared once, documented from that, and refused all at once when they are wrong."""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from io import StringIO
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from django.core.management import CommandError, call_command

from erip.management import configuration, settings_pages
from erip.management.configuration import BadSettings
from erip.ops.deploy.inventory import BACKUP_SECRETS, LOGINS, SECRETS
from erip.settings.declared import DECLARED, NUMBERS
from erip.settings.sources import BY_FILE

ROOT = Path(__file__).resolve().parents[5]

#: 40 values that are wrong, each with what must be said about it
BAD = {
    "ERIP_WORKER_THREADS": ("many", "is not a whole number: 'many'"),
    "ERIP_LEASE_SECONDS": ("3s", "is not a number"),
    "ERIP_DB_PREPARE": ("maybe", "is neither true nor false"),
    "ERIP_EVENT_PARTITIONS": ("1e3", "is not a whole number"),
    "DATABASE_URL": ("postgres://a:hunter2@h:xx/y", "is not a database URL"),
    "DATABASE_OWNER_URL": ("mysql://a:hunter2@h/y", "is not a database URL of PostgreSQL"),
    "ERIP_DB_DIRECT_URL": ("postgres://a:hunter2@h:xx/y", "is not a database URL"),
    "ERIP_REPLICA_URLS": ("postgres://a@h/y,postgres://a:hunter2@h:xx/y", "is not a database URL"),
    "ERIP_EMAIL_URL": ("smtp://h:xx", "is not an e-mail URL"),
    "ERIP_WORKER_NICE": ("20", "must be from -20 to 19"),
    "ERIP_HEARTBEAT_SECONDS": ("0", "must be above 0 and 60 at the most"),
    "ERIP_STALE_READY_SECONDS": ("nan", "is not a number"),
    "ERIP_SHUTDOWN_GRACE_SECONDS": ("-1", "must be from 0 to 86400"),
    "ERIP_MAX_LOST_ATTEMPTS": ("\uff11\uff16", "is not a whole number"),
    "ERIP_LANE_BOUNDS": ("critical=x", "holds 'critical=x', whose value is not a number"),
    "ERIP_AGEING_AT": ("1", "must be above 0 and 0.999 at the most"),
    "ERIP_ADMISSION_MIN_RATE": ("inf", "is not a number"),
    "ERIP_KEEP_ARCHIVE_MONTHS": ("0", "must be 1 or more"),
    "ERIP_PUBLIC_URL": ("erip.example.org", "is not a URL with a scheme"),
    "ERIP_BROKER_URL": ("amqp://hunter2@h", "must be redis://, rediss:// or sentinel://"),
    "ERIP_WEBHOOK_SECRET": ("whsec_", "is not whsec_ and base64"),
    "ERIP_LOG_LEVEL": ("LOUD", "is none of DEBUG, INFO"),
    "ERIP_REPLICA_POLICY": ("random", "is none of round-robin, least-lag"),
    "ERIP_REPLICA_READS": ("some", "is none of token, all"),
    "ERIP_EVENT_BATCH_LIMIT": ("100001", "must be from 1 to 100000"),
    "ERIP_EVENT_FLUSH_SECONDS": ("2", "must be from 0 to 1"),
    "ERIP_TRUSTED_PROXIES": ("10.0.0.1,10.0.0.1/24", "names '10.0.0.1/24'"),
    "ERIP_BODY_MEMORY": ("0", "must be above 0"),
    "ERIP_AUTOSCALE_CPU_TARGET": ("70", "must be above 0 and 1 at the most"),
    "ERIP_AUTOSCALE_MAX": ("1", "is less than ERIP_AUTOSCALE_MIN"),
    "ERIP_DB_MAX": ("3", "must be at least ERIP_DB_MIN"),
    "ERIP_OTLP_TRACES": ("1.5", "must be from 0 to 1"),
    "ERIP_OTLP_ENDPOINT": ("ftp://c", "is not a URL with a host that begins with http:// or https://"),
    "ERIP_AUDIT_KEY": ("aHVudGVyMg==", "is not 32 bytes in base64"),
    "ERIP_AUDIT_SYSLOG": ("syslog", "is not a URL with a scheme"),
    "ERIP_AUDIT_S3": ("https://s3.example.com/", "names no bucket"),
    "ERIP_PULSE_HAPROXY": ("haproxy:none", "is neither a path nor host:port"),
    "ERIP_WEB_WORKERS": ("0", "must be from 1 to 1000"),
    "ERIP_WEB_GRACE_SECONDS": ("5", "must be above ERIP_DRAIN_SECONDS"),
    "ERIP_WEB_PORT": ("tcp://10.0.0.1:8000", "is not a whole number"),
    "ERIP_APPS": ("acme-steps", "is not the name of a Python package"),
}


def start(*words: str, settings: str = "test", **env: str) -> subprocess.CompletedProcess[str]:
    """manage.py, with an environment of its own."""
    base = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-W", "ignore", "manage.py", *words],
        env={**base, "DJANGO_SETTINGS_MODULE": f"erip.settings.{settings}", **env},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def settings_command(*words: str) -> tuple[int, str]:
    """Exit status and output of `manage.py settings`, in this process."""
    out = StringIO()
    try:
        call_command("settings", *words, stdout=out)
    except CommandError as error:
        return error.returncode, f"{out.getvalue()}CommandError: {error}\n"
    return 0, out.getvalue()


def check(tmp_path: Path, text: str, *words: str, name: str = "settings.env") -> tuple[int, str]:
    """Exit status and output of `settings check` for a file with this text."""
    file = tmp_path / name
    file.write_text(text)
    return settings_command("check", str(file), *words)


# --- the reference ----------------------------------------------------------------------------------------


def test_the_reference_is_what_the_settings_declare() -> None:
    page = (ROOT / "docs" / "reference" / "settings.md").read_text("utf-8")
    assert page == settings_pages.reference(), "run: manage.py settings reference > docs/reference/settings.md"


def _code() -> dict[Path, str]:
    folders = ("erip", "workflows", "schedules", "people", "monitoring", "console", "client", "deploy")
    files = [ROOT / "manage.py", ROOT / "Makefile"]
    for folder in folders:
        files += [path for end in ("py", "sh", "cfg") for path in (ROOT / folder).rglob(f"*.{end}")]
    return {path: path.read_text("utf-8") for path in files if path.is_file()}


#: ERIP_… that no user sets: made from settings by the settings themselves, or for the tests of the platform
NO_SETTINGS = {
    "ERIP_TLS_CA": "what a settings module of one's own may set; the controls look for it",
    "ERIP_REPLICAS": "the aliases of ERIP_REPLICA_URLS",
    "ERIP_TEST_DATA": "the suite's own",
}


def test_every_setting_that_the_code_reads_is_declared() -> None:
    """A name in quotes is how a program asks its environment."""
    read = {
        name: path.name
        for path, text in _code().items()
        for name in re.findall(r"[\"']((?:ERIP|DATABASE)_[A-Z0-9_]*[A-Z0-9])[\"']", text)
    }
    unknown = set(read) - set(DECLARED) - {name + BY_FILE for name in DECLARED} - set(NO_SETTINGS)
    assert not unknown, {name: read[name] for name in unknown}


def test_every_setting_that_is_declared_is_read() -> None:
    """By its name, by the part of it that is put together, or as the setting of Django that it becomes."""
    settings = ROOT / "erip" / "settings"
    code = _code()
    rest = {word for path, text in code.items() if settings not in path.parents for word in re.findall(r"\w+", text)}
    made = "\n".join(text for path, text in code.items() if settings in path.parents)
    # Twice: where it is assigned, and where it is used.
    in_settings = Counter(re.findall(r"\w+", made))
    names = re.findall(r"(\w+)(?:: [^=\n]+)? = _?env\.\w+\(\s*\"(\w+)\"", made)
    unread = []
    for name in DECLARED:
        becomes = [variable for variable, declared in names if declared == name and variable != name]
        tail = name.removeprefix("ERIP_LB_").lower() if name.startswith("ERIP_LB_") else name
        # A setting that keeps its name stands there twice already: as the variable, and as the declaration's name.
        used = tail in rest or in_settings[name] > 2 or any(one in rest or in_settings[one] > 1 for one in becomes)
        deployed = name.startswith("ERIP_DEPLOY_") or re.fullmatch(r"ERIP_(WEB|FLOWER|POSTGRES|REDIS)_PORT", name)
        if not used and not deployed and name != "ERIP_STATIC_ROOT":  # it becomes Django's own STATIC_ROOT
            unread.append(name)
    assert not unread


def test_the_passwords_of_the_files_for_production_are_declared() -> None:
    assert {f"ERIP_DEPLOY_{name}_PASSWORD" for name in (*SECRETS, *BACKUP_SECRETS, *LOGINS)} == {
        name for name in DECLARED if name.startswith("ERIP_DEPLOY_")
    }


def test_every_declaration_is_whole() -> None:
    for name, one in DECLARED.items():
        assert one.about.rstrip().endswith("."), f"{name}: a sentence"
        if one.kind in NUMBERS:
            assert one.unit, f"{name}: in which unit?"
            assert one.bounds, f"{name}: is any number a value?"
            if re.fullmatch(r"-?[0-9.]+", one.default):
                one.value_of(one.default)
        # Whatever ends in _FILE would be taken for another setting's file.
        of_file = DECLARED.get(name.removesuffix(BY_FILE)) if name.endswith(BY_FILE) else None
        assert of_file is None or not of_file.by_file, f"{name} would be read as the value of {of_file}"
        if re.search(r"PASSWORD$|SECRET$|_KEY$|_KEYS$|TOKEN$|DATABASE.*URL|REPLICA_URLS|WEBHOOKS?$", name):
            assert one.secret, f"{name} looks like a secret"


# --- bad values -------------------------------------------------------------------------------------------


def test_every_value_that_is_wrong_is_named_at_once_before_anything_starts() -> None:
    done = start("migrate", **{name: value for name, (value, _) in BAD.items()})
    assert done.returncode == 1
    lines = {line.split()[0]: line for line in done.stderr.splitlines()[1:]}
    assert set(lines) == set(BAD)
    for name, (_, said) in BAD.items():
        assert said in lines[name], lines[name]
        assert lines[name].endswith("(environment)")
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stderr
    assert "aHVudGVyMg" not in done.stderr


@pytest.mark.parametrize("program", ["gunicorn", "worker"])
def test_a_process_does_not_start_with_a_bad_value(program: str) -> None:
    arguments = {
        "gunicorn": ["-m", "gunicorn", "-c", "python:erip.gunicorn", "--check-config"],
        "worker": ["-m", "erip.worker", "--pool=threads"],
    }[program]
    done = subprocess.run(
        [sys.executable, *arguments],
        env={
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            "DJANGO_SETTINGS_MODULE": "erip.settings.test",
            "ERIP_WEB_WORKERS": "two",
            "ERIP_LEASE_SECONDS": "3s",
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "ERIP_WEB_WORKERS is not a whole number: 'two'" in said
    assert "ERIP_LEASE_SECONDS is not a number: '3s'" in said


def test_production_names_what_is_missing_with_what_is_wrong() -> None:
    done = start(
        "check", settings="production", ERIP_SECRET_KEY="short", ERIP_WORKER_THREADS="0", ERIP_BODY_MEMORY="1024"
    )
    assert done.returncode == 1
    for said in (
        "ERIP_SECRET_KEY needs at least 32 characters",
        "ERIP_WORKER_THREADS must be from 1 to 1024: '0'",
        "ERIP_BODY_MEMORY must be 33554432 or more",
        *(f"{name} is not set, and production has no default for it" for name in (
            "ERIP_ALLOWED_HOSTS", "DATABASE_URL", "ERIP_BROKER_URL", "ERIP_PUBLIC_URL",
        )),
    ):  # fmt: skip
        assert said in done.stderr


# --- secrets by file --------------------------------------------------------------------------------------


def test_a_secret_comes_from_a_file(tmp_path: Path) -> None:
    key, url = tmp_path / "key", tmp_path / "url"
    # A value that begins with $ is no name of another variable.
    key.write_text("$ecret-that-is-longer-than-32-characters\n")
    url.write_text("postgres://u:hunter2@db.example/erip\n")
    done = start(
        "shell",
        "--no-imports",
        "-c",
        "from django.conf import settings as s; print(s.SECRET_KEY, s.DATABASES['default']['HOST'])",
        ERIP_SECRET_KEY_FILE=str(key),
        DATABASE_URL_FILE=str(url),
    )
    assert done.stdout.split() == ["$ecret-that-is-longer-than-32-characters", "db.example"], done.stderr
    (tmp_path / "x.env").write_text(f"ERIP_SECRET_KEY_FILE={key}\nDATABASE_URL_FILE={url}\n")
    _, shown = settings_command("show", str(tmp_path / "x.env"), "--settings-of", "test")
    assert f"DATABASE_URL=(set)  # {url}, which DATABASE_URL_FILE names" in shown
    assert "hunter2" not in shown
    assert "ecret-that" not in shown


def test_a_file_that_holds_no_secret_is_named(tmp_path: Path) -> None:
    files = {"ERIP_AUDIT_KEY": b"\n", "ERIP_WEBHOOK_SECRET": b"\xff", "ERIP_SENTINEL_PASSWORD": b"x" * 70_000}
    env = {"ERIP_BROKER_URL_FILE": "/dev/zero", "DATABASE_URL": "postgres://a@h/d", "DATABASE_URL_FILE": "/x"}
    os.mkfifo(tmp_path / "pipe")
    env["DATABASE_OWNER_URL_FILE"] = str(tmp_path / "pipe")
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        env[f"{name}_FILE"] = str(tmp_path / name)
    said = start("check", **env, ERIP_SECRET_KEY_FILE=str(tmp_path / "none")).stderr
    for wrong in (
        "ERIP_AUDIT_KEY is empty, or holds a NUL",
        "ERIP_WEBHOOK_SECRET is not text in UTF-8",
        "ERIP_SENTINEL_PASSWORD is longer than 65536 bytes",
        "ERIP_BROKER_URL cannot be read: that is no file (/dev/zero, which ERIP_BROKER_URL_FILE names)",
        "DATABASE_OWNER_URL cannot be read: that is no file",
        "DATABASE_URL is set twice, by itself and by DATABASE_URL_FILE",
        "ERIP_SECRET_KEY cannot be read: No such file or directory",
    ):
        assert wrong in said, said


# --- manage.py settings -----------------------------------------------------------------------------------


def test_show_says_what_is_in_force_and_where_from(tmp_path: Path) -> None:
    file = tmp_path / "x.env"
    file.write_text(
        "ERIP_WORKER_THREADS=4\n"
        "ERIP_OTLP_ENDPOINT=http://u:hunter2@c:4318\n"
        "ERIP_ALERT_SLACK=https://slack.example/hunter2\n"
    )
    _, out = settings_command("show", str(file), "--json", "--settings-of", "test")
    shown = json.loads(out)
    assert set(shown) == set(DECLARED)
    assert shown["ERIP_WORKER_THREADS"] == {"value": 4, "from": f"{file}, line 1"}
    assert shown["ERIP_DB_MIN"] == {"value": 20, "from": "default"}
    assert shown["ERIP_OTLP_ENDPOINT"]["value"] == "http://…@c:4318"
    assert shown["ERIP_ALERT_SLACK"]["value"] == "(set)"
    # The settings module of the tests sets it itself.
    assert shown["ERIP_WEBHOOK_SECRET"] == {"value": "(set)", "from": "erip.settings.test"}
    assert "hunter2" not in out


def test_show_without_a_source_is_about_this_environment() -> None:
    status, out = settings_command("show")
    assert status == 0
    assert "DJANGO_SETTINGS_MODULE=erip.settings.test  # this environment" in out.splitlines()


GOOD = """# production
ERIP_SECRET_KEY=0123456789012345678901234567890123456789
export ERIP_ALLOWED_HOSTS="erip.example.org"
DATABASE_URL='postgres://erip:hunter2@db/erip'
ERIP_BROKER_URL=redis://:hunter2@redis:6379/0
ERIP_PUBLIC_URL=https://erip.example.org
"""


def test_a_file_that_is_right_has_no_fault(tmp_path: Path) -> None:
    assert check(tmp_path, GOOD) == (0, f"{tmp_path}/settings.env: no fault found.\n")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://ada:hunter2@s3.example.com/audit", "holds more than https://host/bucket/prefix"),
        ("https://s3.example.com/audit?versions", "holds more than https://host/bucket/prefix"),
        ("https://s3.example.com/audit#erip", "holds more than https://host/bucket/prefix"),
        ("https://s3.example.com/audit\nERIP_AUDIT_S3_SECRET=hunter2", "needs ERIP_AUDIT_S3_KEY_ID"),
    ],
)
def test_the_url_of_the_bucket_names_it_and_holds_no_key(tmp_path: Path, url: str, said: str) -> None:
    status, told = check(tmp_path, f"ERIP_AUDIT_S3={url}\n")
    assert status != 0
    assert said in told
    assert "hunter2" not in told


def test_processes_without_the_key_of_the_bucket_know_where_it_is(tmp_path: Path) -> None:
    assert check(tmp_path, GOOD + "ERIP_AUDIT_S3=https://s3.example.com/audit\n")[0] == 0


def test_a_fault_is_named_with_its_line(tmp_path: Path) -> None:
    status, said = check(
        tmp_path,
        GOOD + "ERIP_WORKER_THREADS=0\nnonsense\nERIP_WORKER_THREDS=4\nERIP_DB_MAX=50\nERIP_DB_MAX=60\nACME_TOKEN=1\n",
    )
    place = f"{tmp_path}/settings.env"
    assert status == 1
    assert said.splitlines() == [
        f"ERIP_WORKER_THREADS must be from 1 to 1024: '0' ({place}, line 7)",
        f"line 8 is not KEY=value ({place})",
        f"ERIP_DB_MAX is there twice: first in line 10 ({place}, line 11)",
        f"ERIP_WORKER_THREDS is no setting: did you mean ERIP_WORKER_THREADS? ({place}, line 9)",
        "CommandError: 4 faults.",
    ]


def test_what_another_machine_has_is_unknown_here_and_no_fault(tmp_path: Path) -> None:
    text = GOOD.replace("ERIP_SECRET_KEY=", "ERIP_SECRET_KEY_FILE=/run/secrets/")
    status, said = check(tmp_path, text)
    assert status == 0
    assert said.startswith("not known here: ERIP_SECRET_KEY cannot be read: No such file or directory (/run/secrets/0")


def test_the_objects_of_kubernetes_are_read(tmp_path: Path) -> None:
    text = """
apiVersion: v1
kind: ConfigMap
metadata: {name: erip}
data:
  ERIP_ALLOWED_HOSTS: erip.example.org
  ERIP_PUBLIC_URL: https://erip.example.org
  ERIP_WORKER_THREADS: "0"
---
apiVersion: v1
kind: Secret
metadata: {name: erip}
stringData:
  ERIP_SECRET_KEY: 0123456789012345678901234567890123456789
  DATABASE_URL: postgres://erip:hunter2@db/erip
data:
  ERIP_BROKER_URL: cmVkaXM6Ly9yZWRpczo2Mzc5LzA=
"""
    status, said = check(tmp_path, text, name="all.yaml")
    assert (status, said.splitlines()[0]) == (
        1,
        f"ERIP_WORKER_THREADS must be from 1 to 1024: '0' ({tmp_path}/all.yaml)",
    )
    assert len(said.splitlines()) == 2


def refused(source: str) -> str:
    try:
        return "; ".join(map(str, configuration.read(source).faults))
    except BadSettings as error:
        return str(error)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.yaml", b"a: [1", "line 1: is not YAML or JSON"),
        ("x.yaml", b"- a\n", "holds something else than names with values"),
        ("x.json", b'{"ERIP_APPS": ["a"]}', "must be a text, a number, true or false"),
        ("x.yaml", b"kind: Secret\napiVersion: v1\ndata: {ERIP_SECRET_KEY: '%%'}\n", "is not base64"),
        ("x.env", b"\xff\xfe", "is not text in UTF-8"),
        ("x.env", b"#" * (1024 * 1024 + 1), "is larger than"),
        ("x.yaml", b"? {a: b}\n: c\n", "is not YAML or JSON"),
        ("x.yaml", b"[" * 1_500, "is not YAML or JSON"),
        ("x.yaml", b"1: 2\n", "is not the name of a variable"),
    ],
)
def test_hostile_files_are_refused_by_name(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    told = refused(str(tmp_path / name))
    assert said in told
    assert str(tmp_path / name) in told


def test_a_source_that_is_none_has_an_exit_status_of_its_own(tmp_path: Path) -> None:
    for source in (str(tmp_path / "none"), str(tmp_path), "pid:0", "pid:x", "pid:../self"):
        with pytest.raises(CommandError) as raised:
            call_command("settings", "check", source)
        assert raised.value.returncode == 2
    for words in (["diff", "here"], ["show", "here", "here"]):
        with pytest.raises(CommandError):
            call_command("settings", *words)


def test_two_sources_are_compared_without_showing_a_secret(tmp_path: Path) -> None:
    one, two = tmp_path / "staging.env", tmp_path / "production.env"
    one.write_text(GOOD + "ERIP_WORKER_THREADS=8\nERIP_DB_MIN=40\nERIP_AUDIT_KEY_FILE=/a\n")
    two.write_text(GOOD.replace("hunter2@redis", "hunter3@redis") + "ERIP_WEBHOOK_SECRET=whsec_aHVudGVyMg==\n")
    status, out = settings_command("diff", str(one), str(two), "--json")
    assert status == 1
    found = {each["name"]: (each["first"], each["second"]) for each in json.loads(out.splitlines()[0])}
    assert found == {
        "ERIP_BROKER_URL": ("(set)", "(set, another one)"),
        "ERIP_WORKER_THREADS": ("8", "16"),
        "ERIP_DB_MIN": ("40", "20"),
        # It follows from that.
        "ERIP_DB_POOL_SIZE": ("8", "4"),
        "ERIP_DB_POOL_OVERFLOW": ("32", "36"),
        "ERIP_AUDIT_KEY": ("(set)", "(not set)"),
        "ERIP_WEBHOOK_SECRET": ("(not set)", "(set)"),
    }
    assert settings_command("diff", str(one), str(one)) == (0, "")


def test_a_running_process_is_compared_with_a_file(tmp_path: Path) -> None:
    file = tmp_path / "x.env"
    file.write_text("ERIP_WORKER_THREADS=8\n")
    with subprocess.Popen(
        [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"],
        env={"ERIP_WORKER_THREADS": "4"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        _, out = settings_command("diff", f"pid:{process.pid}", str(file), "--settings-of", "test")
        process.communicate(b"")
    assert out.splitlines() == ["ERIP_WORKER_THREADS", "  - 4", "  + 8", "CommandError: 1 differs."]


# --- the schema -------------------------------------------------------------------------------------------


def valid(settings: dict[str, Any]) -> bool:
    return jsonschema_rs.is_valid(json.loads(settings_pages.schema()), settings)


def test_the_schema_takes_what_the_settings_take() -> None:
    """Defaults, as a user writes them, and as numbers."""
    for name, one in DECLARED.items():
        if one.default and not re.search(r"[/ ]|any", one.default):
            assert valid({name: one.default}), name
    assert valid({"ERIP_WORKER_THREADS": 4, "ERIP_DB_PREPARE": False, "ERIP_AGEING_AT": 0.25})


def test_the_schema_refuses_what_the_settings_refuse() -> None:
    for bad in (
        {"ERIP_WORKER_THREADS": 0},
        {"ERIP_WORKER_THREADS": "many"},
        {"ERIP_AGEING_AT": 0},
        {"ERIP_DB_PREPARE": "maybe"},
        {"ERIP_REPLICA_READS": "some"},
        {"ERIP_SECRET_KEY": "x", "ERIP_SECRET_KEY_FILE": "/x"},
    ):
        assert not valid(bad), bad


OF_THE_STACK = {"ERIP_BROKER_URL": "redis://leader:l@stack/0", "ERIP_WORKER_BROKER_URL": "redis://worker:w@stack/0"}
OF_THE_SHELL = {"ERIP_BROKER_URL": "redis://own/0"}
WORKERS_OF_THE_SHELL = {"ERIP_WORKER_BROKER_URL": "redis://worker:o@own/0"}
FILE_OF_THE_SHELL = {"ERIP_WORKER_BROKER_URL_FILE": str(ROOT / "manage.py")}  # one that can be read


@pytest.mark.parametrize(
    ("shell", "seen"),
    [
        ({}, OF_THE_STACK),
        (OF_THE_SHELL, OF_THE_SHELL),
        (WORKERS_OF_THE_SHELL, OF_THE_STACK | WORKERS_OF_THE_SHELL),
        (OF_THE_SHELL | WORKERS_OF_THE_SHELL, OF_THE_SHELL | WORKERS_OF_THE_SHELL),
        (FILE_OF_THE_SHELL, {"ERIP_BROKER_URL": OF_THE_STACK["ERIP_BROKER_URL"]} | FILE_OF_THE_SHELL),
    ],
)
def test_the_stacks_file_gives_no_login_to_a_broker_that_is_another_one(
    shell: dict[str, str], seen: dict[str, str], tmp_path: Path
) -> None:
    """It gives its workers' login neither with a broker of the shell's nor beside one of a file."""
    given = {"DATABASE_URL": "postgres://a@h/y", **OF_THE_STACK}
    (tmp_path / "env").write_text("".join(f"{name}='{value}'\n" for name, value in given.items()))
    tell = (
        "import json, os, erip.settings.local\n"
        "print(json.dumps({name: value for name, value in os.environ.items() if 'BROKER_URL' in name}))"
    )
    others = {name: value for name, value in os.environ.items() if not name.startswith(("ERIP_", "DATABASE_"))}
    env = {**others, **shell, "ERIP_STATE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", tell], cwd=ROOT, env=env, capture_output=True, text=True, check=True, timeout=120
    )
    assert json.loads(done.stdout) == seen
