"""`benchmarks.hosts`: what reads the units of its machines, and what docs/how-to/three-hosts.md tells them to do."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from benchmarks.hosts import init, story
from erip.ops.stack.state import ROOT

SITE = ROOT / "deploy" / "systemd-site"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Both folders in one place, as `install-host.sh` copies them."""
    for folder in (ROOT / "deploy" / "systemd", SITE):
        shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(init, "UNITS", tmp_path)
    return tmp_path


def test_a_unit_is_read_as_systemd_reads_it(installed: Path) -> None:
    web = init.read("erip-web")
    assert web["User"] == ["erip"]
    assert "ERIP_SENTINEL_PASSWORD:/etc/erip/secrets/ERIP_SENTINEL_PASSWORD" in web["LoadCredential"]
    assert len(web["LoadCredential"]) == 4
    # Drop-ins go by their names: own.conf after common.conf, and an empty value takes away those before it.
    assert init.read("erip-migrate")["Restart"] == ["no"]
    assert init.read("erip-flower")["EnvironmentFile"] == ["-/etc/erip/flower-tls.env", "/etc/erip/flower.env"]
    (installed / "erip-web.service.d").mkdir()
    (installed / "erip-web.service.d" / "zz.conf").write_text("[Service]\nLoadCredential=\nLoadCredential=a:b\n")
    assert init.read("erip-web")["LoadCredential"] == ["a:b"]
    with pytest.raises(init.BadUnit, match=r"nobody\.service not found"):
        init.read("nobody")


def test_celerys_monitor_does_not_load_the_platform(installed: Path) -> None:
    """Without the platform's settings, which are not its own, it would not start."""
    flower = init.Unit("erip-flower")
    flower.said["EnvironmentFile"] = []
    environment = flower.environment()
    assert "DJANGO_SETTINGS_MODULE" not in environment
    assert environment["FLOWER_ADDRESS"] == "127.0.0.1"


def test_no_server_gets_the_platforms_user(installed: Path) -> None:
    """`erip-.service.d` is laid over every unit whose name begins with erip-."""
    users = {path.stem: init.read(path.stem)["User"] for path in SITE.glob("*.service")}
    assert len(users) == 7
    assert all(user != ["erip"] and not name.startswith("erip-") for name, user in users.items())


def test_systemd_finds_no_fault_in_a_unit(installed: Path) -> None:
    if (analyze := shutil.which("systemd-analyze")) is None:
        pytest.skip("systemd-analyze is not installed: nothing reads the units as systemd does")
    for path in [*installed.glob("*.service"), *installed.glob("*.service.d/*.conf")]:
        # It looks for the programs, too. The servers' may not be installed here.
        path.write_text(re.sub(r"=/(opt/erip|usr/s?bin|bin)/\S+", "=/bin/true", path.read_text()))
    units = sorted(map(str, installed.glob("*.service")))
    done = subprocess.run([analyze, "verify", "--man=no", *units], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_page_starts_units_and_gives_folders_that_there_are(installed: Path) -> None:
    commands = "\n".join(text for texts in story.blocks().values() for text in texts)
    for line in re.findall(r"^systemctl (?:enable --now|start|restart|reload) (.+)$", commands, re.MULTILINE):
        for unit in line.split():
            name = unit if "." in unit else f"{unit}.service"
            assert (installed / name).is_file(), unit
    steps = {
        "1. The files": 1,
        "2. The servers": 1,
        "3. HAProxy": 1,
        "4. Settings and secrets": 1,
        "5. The database": 1,
    }
    steps |= {"6. The platform": 1, "Flower": 1, "Replace a machine": 2, "Renew certificates": 3}
    assert {title: len(texts) for title, texts in story.blocks().items() if texts} == steps


@pytest.mark.parametrize("name", ["install-host.sh", "manage.sh", "ha-deps.sh"])
def test_a_script_can_be_read_by_the_shell(name: str) -> None:
    subprocess.run(["sh", "-n", str(ROOT / "deploy" / name)], check=True)


def test_install_host_names_a_folder_that_is_not_there(tmp_path: Path) -> None:
    script = ROOT / "deploy" / "install-host.sh"
    done = subprocess.run(["sh", str(script), str(tmp_path), "redis-1"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, f"install-host: there is no {tmp_path}/redis-1\n")
