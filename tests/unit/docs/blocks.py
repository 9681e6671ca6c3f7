"""The fenced blocks of the documentation, and what shows that each is true.

A comment before a block, which no reader sees, may say how:

    <!-- example: tests/integration/test_waits.py runs it -->
    <!-- schema: ScalingChange -->
    <!-- not run: the values are those of another installation -->

Without one the block is checked as what it says it is: `test_blocks.py`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from erip.ops.stack.state import ROOT

_BLOCK = re.compile(
    r"(?:^<!--\s*(?P<comment>[^>]*?)\s*-->\n)?^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^ *```\s*$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block. comment: the text of an HTML comment in the line before it, or empty."""

    page: str
    line: int
    language: str
    text: str
    comment: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def test(self) -> Path | None:
        """The test that the comment names."""
        found = re.match(r"example: (\S+\.py)", self.comment)
        return ROOT / found[1] if found else None

    @property
    def schema(self) -> str:
        """The component of the OpenAPI document that it is one of, as the comment says."""
        return self.comment.removeprefix("schema:").strip() if self.comment.startswith("schema:") else ""

    @property
    def reason(self) -> str:
        """Why it is not run, as the comment says."""
        return self.comment.removeprefix("not run:").strip() if self.comment.startswith("not run:") else ""


def pages() -> list[Path]:
    """All pages for readers, and those beside the code."""
    found = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    for folder in ("benchmarks", "workflows", "erip", "schedules", "people", "monitoring", "client", "deploy"):
        found += (ROOT / folder).rglob("*.md") if (ROOT / folder).is_dir() else []
    return sorted(path for path in found if "templates" not in path.parts and path.name != "RESULTS.md")


def blocks() -> list[Block]:
    return [block for page in pages() for block in blocks_of(page)]


def blocks_of(page: Path) -> Iterator[Block]:
    text = page.read_text("utf-8")
    for found in _BLOCK.finditer(text):
        line = text[: found.start("indent")].count("\n") + 1
        body = re.sub(rf"^{found['indent']}", "", found["text"], flags=re.MULTILINE)
        yield Block(str(page.relative_to(ROOT)), line, found["language"], body, found["comment"] or "")
