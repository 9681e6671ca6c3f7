"""Links in the admin can be read in the dark too."""

import re

from erip.ops.stack.releases import PACKAGES
from erip.ops.stack.state import ROOT


def test_each_link_has_a_colour_for_the_dark() -> None:
    files = [file for name in PACKAGES for suffix in ("py", "html") for file in (ROOT / name).rglob(f"*.{suffix}")]
    lacking = [
        f"{file.relative_to(ROOT)}: {found}"
        for file in files
        for found in re.findall(r"text-primary-600(?! dark:text-primary)[^\n]{0,30}", file.read_text("utf-8"))
    ]
    assert lacking == []
