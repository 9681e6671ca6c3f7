"""docs/how-to/backups.md: its description of a site is one, and its units run its commands."""

import tomllib

from erip.ops.deploy import inventory
from erip.ops.deploy.templates import FOLDER
from erip.ops.stack.state import ROOT
from tests.unit.docs import shell
from tests.unit.docs.blocks import blocks_of

PAGE = ROOT / "docs/how-to/backups.md"


def test_the_section_of_the_site_gives_each_node_its_files() -> None:
    (section,) = [one.text for one in blocks_of(PAGE) if one.language == "toml"]
    site = inventory.load(FOLDER / "inventory.example.toml") | tomllib.loads(section)
    names = (*inventory.SECRETS, *inventory.BACKUP_SECRETS)
    made = inventory.files(site, {f"ERIP_DEPLOY_{name}_PASSWORD": "long-enough-for-a-pass" for name in names})
    assert sum(name.endswith("/pgbackrest.conf") for name in made) == 3
    assert "repo1-s3-bucket=erip-backups" in made["postgres-1/pgbackrest.conf"]


def test_the_unit_runs_a_command_that_there_is() -> None:
    text = (FOLDER / "pgbackrest" / "erip-backup.service").read_text()
    (command,) = [line.partition("=")[2] for line in text.splitlines() if line.startswith("ExecStart=")]
    (words,) = shell.commands(command)
    assert shell.fault(words) is None


def test_each_command_that_the_page_names_is_one() -> None:
    text = PAGE.read_text("utf-8")
    named = {part for part in text.split("`") if part.startswith("manage.py ") and "…" not in part and "\n" not in part}
    faults = {part: shell.fault(words) for part in named for words in shell.commands(part)}
    incomplete = {"manage.py backup restore --into", "manage.py privacy repeat"}
    assert {part: fault for part, fault in faults.items() if fault and part not in incomplete} == {}
