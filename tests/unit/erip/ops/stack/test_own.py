"""Own packages: found without importing them, and looked at before anything is started."""

import os
import re
from pathlib import Path

import pytest

from erip.ops.stack import asked, control, environment, own
from erip.ops.stack.dev import Sources
from erip.ops.stack.errors import StackError
from erip.ops.stack.state import ROOT, State


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "acme_own"
    folder.mkdir()
    (folder / "__init__.py").touch()
    return folder


def env(package: Path, **more: str) -> dict[str, str]:
    known = {name: value for name, value in os.environ.items() if not name.startswith(("ERIP_", "DJANGO_", "DATABASE"))}
    return {**known, "ERIP_APPS": "acme_own", "ERIP_APPS_DIR": str(package.parent), **more}


def broken(env: dict[str, str]) -> str:
    return str(own.Check(env).result() or "")


def test_a_package_that_loads_is_fine_and_each_mistake_is_one_line_with_its_place(package: Path) -> None:
    steps = package / "steps.py"
    steps.write_text("X = 1\n")
    mistakes = {
        "\n\ndef f(:\n": (f"{steps}:3: SyntaxError",),
        "from workflows.registry import step\n\n@step\ndef f(): ...\n": (f"{steps}:3", "@step stands alone"),
    }
    checks = dict.fromkeys(mistakes)
    for text in checks:
        steps.write_text(text)
        said = broken(env(package))
        assert "\n" not in said
        for part in mistakes[text]:
            assert part in said
    steps.write_text("X = 1\n")
    assert broken(env(package)) == ""


def test_a_package_that_is_not_there_is_named_with_its_setting(package: Path) -> None:
    said = broken(env(package, ERIP_APPS="not_there"))
    assert "No module named 'not_there' (ERIP_APPS names not_there: install it, or name its folder" in said


def test_folders_are_found_without_importing(package: Path) -> None:
    (package / "__init__.py").write_text("raise SystemExit('imported')")
    (package / "risk").mkdir()
    found = own.folders(env(package, ERIP_APPS="acme_own, acme_own.risk, acme_own.apps.Config, not_there"))
    assert found == [package, package / "risk", package]


def test_a_change_of_what_the_database_is_made_from_is_seen(package: Path) -> None:
    given = env(package)
    seen = {own.fingerprint(given), own.fingerprint({**given, "ERIP_APPS": ""})}
    (package / "steps.py").write_text("X = 1")  # no part of it
    seen.add(own.fingerprint(given))
    for name in ("migrations/0001_x.py", "hooks.py", "definitions/a.yaml"):
        (package / name).parent.mkdir(exist_ok=True)
        (package / name).write_text("1")
        seen.add(own.fingerprint(given))
    assert len(seen) == 5


def test_what_own_packages_read_is_passed_on_when_it_is_named() -> None:
    given = {"ACME_TOKEN": "t", "AWS_SECRET": "s", "ERIP_APPS_ENV": "ACME_TOKEN, ACME_URL", "DATABASE_URL": "d"}
    assert asked.of(given) == {"ACME_TOKEN": "t", "ERIP_APPS_ENV": "ACME_TOKEN, ACME_URL", "DATABASE_URL": "d"}


def test_what_the_program_erip_reads_is_no_setting_of_a_stack() -> None:
    client = (ROOT / "client" / "erip_client" / "settings.py", ROOT / "client" / "erip_client" / "cli" / "profiles.py")
    read = {name for file in client for name in re.findall(r'"(ERIP_[A-Z_]+)"', file.read_text("utf-8"))}
    assert read >= {"ERIP_URL", "ERIP_API_KEY", "ERIP_PROFILE", "ERIP_CONFIG"}
    assert asked.of(dict.fromkeys(read, "x")) == {}


def test_a_running_stack_refuses_settings_that_it_does_not_have(tmp_path: Path) -> None:
    state = State(tmp_path)
    asked.keep(state, {"ERIP_APPS": "a", "ERIP_WEB_WORKERS": "1"})
    asked.refuse_what_a_running_stack_lacks(state, {"ERIP_APPS": "a", "PATH": "/bin"})
    with pytest.raises(StackError, match="without this ERIP_APPS, this ERIP_WEBHOOK_SECRET: `make restart`"):
        asked.refuse_what_a_running_stack_lacks(state, {"ERIP_APPS": "b", "ERIP_WEBHOOK_SECRET": "x"})
    assert state.asked.stat().st_mode & 0o777 == 0o600


def test_a_misspelt_setting_is_refused_and_one_of_a_site_is_not() -> None:
    known = control.known_settings()
    assert {"ERIP_APPS", "ERIP_WEB_PORT", "ERIP_WORKER_THREADS"} <= known
    asked.refuse_strange_names(dict.fromkeys(known, "1") | {"ERIP_OF_OUR_OWN_TOOL": "1"}, known)
    with pytest.raises(StackError, match=r"ERIP_WORKER_THREAD is no setting \(did you mean ERIP_WORKER_THREADS\?\)"):
        asked.refuse_strange_names({"ERIP_WORKER_THREAD": "1"}, known)


def test_settings_of_a_sites_own_are_taken_and_those_for_other_purposes_are_not() -> None:
    assert environment.settings_module({"DJANGO_SETTINGS_MODULE": "acme.settings"}) == "acme.settings"
    assert environment.settings_module({"DJANGO_SETTINGS_MODULE": "erip.settings.test"}) == "erip.settings.local"
    assert environment.settings_module({}) == "erip.settings.local"


@pytest.mark.parametrize(
    ("path", "watched"),
    [
        ("erip/urls.py", True),
        ("workflows/library/definitions/trust-score.yaml", True),
        ("erip/__pycache__/urls.cpython-311.pyc", False),
        ("erip/.urls.py.swp", False),
        ("erip/.#urls.py", False),
    ],
)
def test_sources_are_watched_and_what_programs_write_beside_them_is_not(path: str, watched: bool) -> None:
    assert Sources()(None, str(ROOT / path)) is watched
