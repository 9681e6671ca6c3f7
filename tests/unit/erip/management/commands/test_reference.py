"""The pages of docs/ that are made from the code are what the code says now, and no page leads nowhere."""

import re
from pathlib import Path

import pytest

from erip.management.commands.reference import PAGES

ROOT = Path(__file__).resolve().parents[5]
WHERE = {
    "access": "docs/reference/access.md",
    "errors": "docs/reference/errors.md",
    "notes": "docs/explanation/notes.md",
    "metrics": "docs/reference/metrics.md",
    "obligations": "docs/reference/obligations.md",
    "prometheus-rules": "deploy/monitoring/rules.yml",
    "alertmanager": "deploy/monitoring/alertmanager.yml",
}


@pytest.mark.parametrize("page", sorted(PAGES))
def test_a_page_made_from_the_code_is_up_to_date(page: str) -> None:
    written = (ROOT / WHERE[page]).read_text("utf-8")
    assert written == PAGES[page](), f"run: manage.py reference {page} > {WHERE[page]}"


def test_every_link_of_the_documentation_leads_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").glob("*.md")]
    dead = []
    for page in pages:
        for target in re.findall(r"\]\(([^)\s#]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
            if not target.startswith(("http", "mailto:")) and not (page.parent / target).exists():
                dead.append(f"{page.relative_to(ROOT)}: {target}")
    assert not dead
