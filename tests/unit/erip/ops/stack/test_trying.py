"""What `make dev` tries after a change, and how it is told which project is meant."""

import tomllib
from pathlib import Path

import pytest

from erip.ops.stack import dev, releases, trying
from erip.ops.stack.bootstrap import main as bootstrap
from erip.ops.stack.errors import StackError
from erip.ops.stack.state import ROOT


def project(folder: Path, name: str = "acme-own") -> Path:
    root = folder / name
    package = root / name.replace("-", "_")
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (root / "pyproject.toml").touch()
    return root


def test_the_packages_of_the_platform_are_those_of_the_import_contracts() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["root_packages"]
    assert set(releases.PACKAGES) == set(contracts) - {"benchmarks"}


def test_a_folder_is_all_that_has_to_be_said(tmp_path: Path) -> None:
    root = project(tmp_path)
    env = {"ERIP_APPS": "other"}
    dev.add(root, env)
    dev.add(root, env)
    assert env == {"ERIP_APPS": "other,acme_own", "ERIP_APPS_DIR": str(root)}


def test_a_folder_that_is_no_project_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="make new NAME=empty"):
        dev.add(tmp_path / "empty", {})
    with pytest.raises(StackError, match="ERIP_APPS_DIR is /elsewhere"):
        dev.add(project(tmp_path), {"ERIP_APPS_DIR": "/elsewhere"})


def test_samples_and_tests_of_a_project_are_found_and_those_of_installed_packages_are_not(tmp_path: Path) -> None:
    root = project(tmp_path)
    env = {"ERIP_APPS": "acme_own, json, erip", "ERIP_APPS_DIR": str(root)}
    assert trying.projects(env) == [root]
    assert trying.beside([root]) == []
    (root / "tests").mkdir()
    (root / "samples").mkdir()
    assert trying.beside([root]) == [root / "samples", root / "tests"]


@pytest.mark.parametrize("content", [b"{", b"[1]", b"\xff", b"[" * 100_000, b" " * 1_000_001])
def test_a_sample_that_is_no_input_is_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "pay.json"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"pay\.json: "):
        trying.sample_input(file)


def test_a_sample_that_is_away_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="No such file"):
        trying.sample_input(tmp_path / "pay.json")


def test_whether_the_environment_is_as_pinned_can_be_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["bootstrap.py", "--check", "--venv", str(tmp_path)])
    assert bootstrap() == 3
