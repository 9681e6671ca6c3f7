"""What can be installed is missed with CI=true; what the kernel, rights of folders or the network forbid is skipped."""

import os
from pathlib import Path

import pytest

from erip.ops.stack.state import ROOT
from tests.support import pods, seaweedfs
from tests.support.namespaces import needed, refused
from tests.support.programs import needs


@pytest.mark.parametrize(("ci", "skipped"), [("true", False), ("", True)])
def test_a_program_that_is_missing_fails_with_ci(ci: str, skipped: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", ci)
    mark = needed("no-such-program").mark
    assert mark.args == (skipped,)
    assert "no-such-program" in mark.kwargs["reason"]


@needs("ip", "unshare")
def test_what_is_forbidden_is_skipped_with_what_forbids_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    mark = needed(tried=lambda: refused(("sh", "-c", "echo the kernel says no >&2; exit 3"))).mark
    if not refused(("unshare", "--net", "true")):
        assert mark.kwargs["reason"].endswith("the kernel says no")
    assert mark.args == (True,)


def test_a_folder_that_only_root_may_enter_forbids_pods(tmp_path: Path) -> None:
    (tmp_path / "manage.py").touch()
    tmp_path.chmod(0o700)
    assert pods.forbidden(tmp_path)
    if os.geteuid() == 0 and not pods.forbidden(ROOT):
        assert "manage" in pods.forbidden(tmp_path)


def test_a_server_that_no_network_brings_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:1/simple")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    for name in ("UV_INDEX_URL", "UV_INDEX", "UV_FIND_LINKS", "UV_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(pytest.skip.Exception, match="no SeaweedFS here"):
        seaweedfs.program(tmp_path / "program")
