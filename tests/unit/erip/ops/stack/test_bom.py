"""The bill of materials names every pin with its hashes, and nothing is pinned without one."""

import re
from pathlib import Path

import pytest

from erip.ops.stack.bom import ROOT, Unpinned, document, pins


def test_everything_that_is_installed_is_pinned_by_hash_and_in_the_bill():
    bill = document()
    named = {(one["name"].lower(), one["version"]) for one in bill["components"]}
    text = (ROOT / "requirements.txt").read_text("utf-8")
    pinned = {(name.lower(), version) for name, version in re.findall(r"^([\w.-]+)(?:\[.*?\])?==([^\s;]+)", text, re.M)}

    assert len(pinned) > 80
    assert pinned <= named
    for one in bill["components"]:
        assert one["purl"] == one["bom-ref"]
        assert one["externalReferences"][0]["hashes"], one["name"]
    assert bill == document()
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    refs = [one["bom-ref"] for one in bill["components"]]
    assert len(set(refs)) == len(refs) == len(pins())


@pytest.mark.parametrize("line", ["django", "django>=5", "django==5.2", "git+https://example.org/x.git"])
def test_what_is_not_pinned_by_hash_is_refused(tmp_path: Path, line: str):
    (tmp_path / "requirements.txt").write_text(f"# a comment\n{line}\n")
    with pytest.raises(Unpinned, match=re.escape(line)):
        document(tmp_path)
