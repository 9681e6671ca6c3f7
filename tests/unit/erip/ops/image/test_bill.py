"""The image's bill of materials names what its files say, in the same bytes each time."""

import json
from pathlib import Path

import pytest

from erip.ops.image import bill
from erip.ops.image.errors import ImageError
from erip.ops.stack import bom
from tests.support import oci

DJANGO = bom.Pin("django", "5.2", ("a" * 64,))


def test_it_names_packages_of_debian_and_of_python(tmp_path: Path) -> None:
    root = oci.root(tmp_path / "root")
    made = bill.document(root, [DJANGO, bom.Pin("absent", "1", ("b" * 64,))], version="1.2.3")
    version = "1%3A2.36-9%2Bdeb12u1"
    assert [one["purl"] for one in made["components"]] == [
        f"pkg:deb/debian/libc6@{version}?arch=amd64&distro=debian-12&upstream=glibc",
        f"pkg:deb/debian/python3.11-minimal@{version}?arch=amd64&distro=debian-12&upstream=python3.11",
        "pkg:pypi/django@5.2",
    ]
    assert made["components"][2]["externalReferences"][0]["hashes"] == [{"alg": "SHA-256", "content": "a" * 64}]
    assert made["metadata"]["component"]["version"] == "1.2.3"
    assert (made["bomFormat"], made["specVersion"]) == ("CycloneDX", "1.6")
    assert made["dependencies"][0]["dependsOn"] == [one["bom-ref"] for one in made["components"]]
    again = bill.document(oci.root(tmp_path / "again"), [DJANGO], version="1.2.3")
    assert json.dumps(made) == json.dumps(again)
    assert bill.document(root, [DJANGO], version="1.2.4")["serialNumber"] != made["serialNumber"]


@pytest.mark.parametrize("pins", [[], [bom.Pin("django", "5.1", ("a" * 64,))]])
def test_a_package_that_no_pin_has_is_refused(tmp_path: Path, pins: list[bom.Pin]) -> None:
    with pytest.raises(ImageError, match=r"Django 5\.2: no pin has it"):
        bill.document(oci.root(tmp_path / "root"), pins)
