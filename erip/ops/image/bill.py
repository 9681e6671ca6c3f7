"""A bill of materials (CycloneDX 1.6) of what an image holds, read from its files: Debian's packages, and Python's.

What Debian's packages are stands in `var/lib/dpkg/status.d`, what Python's are in their `.dist-info`. Each package of
Python must be one that requirements.txt pins, in that version: its hashes are those that pip would accept.
"""

import email.parser
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from erip.ops.image.errors import ImageError
from erip.ops.stack import bom

STATUS: Final = Path("var/lib/dpkg/status.d")
ENVIRONMENT: Final = Path("opt/erip/.venv")


def document(root: Path, pins: Iterable[bom.Pin], **subject: str) -> dict[str, Any]:
    """The bill of the image whose files are in `root`. subject: what it says of ERIP, such as its version.

    Raises ImageError for a package that no pin has.
    """
    return bom.bill([*_debian(root), *_python(root, {one.purl: one for one in pins})], **subject)


def debian(root: Path) -> list[dict[str, str]]:
    """Debian's packages, by name: the fields of each as dpkg writes them."""
    parse = email.parser.HeaderParser().parsestr
    files = sorted(path for path in (root / STATUS).iterdir() if path.suffix != ".md5sums")
    return [dict(parse(path.read_text("utf-8")).items()) for path in files]


def python(root: Path) -> list[tuple[str, str, Path]]:
    """Python's packages: name, version, and the folder `….dist-info`."""
    parse = email.parser.HeaderParser().parsestr
    found = []
    for folder in sorted((root / ENVIRONMENT).glob("lib/python3*/site-packages/*.dist-info")):
        said = parse((folder / "METADATA").read_text("utf-8"))
        found.append((str(said["Name"]), str(said["Version"]), folder))
    return found


def _debian(root: Path) -> Iterator[dict[str, Any]]:
    release = dict(
        line.split("=", 1) for line in (root / "usr/lib/os-release").read_text("utf-8").splitlines() if "=" in line
    )
    distribution = f"debian-{release.get('VERSION_ID', '').strip(chr(34))}"
    for one in debian(root):
        # Advisories name the source package, where that is another.
        source = one.get("Source", "").split(" ")[0]
        upstream = f"&upstream={quote(source)}" if source else ""
        place = f"{quote(one['Package'])}@{quote(one['Version'])}"
        purl = f"pkg:deb/debian/{place}?arch={one['Architecture']}&distro={distribution}{upstream}"
        yield {"type": "library", "bom-ref": purl, "name": one["Package"], "version": one["Version"], "purl": purl}


def _python(root: Path, pins: dict[str, bom.Pin]) -> Iterator[dict[str, Any]]:
    faults = []
    for name, version, _ in python(root):
        purl = bom.Pin(name, version, ()).purl
        if purl in pins:
            yield bom.component(pins[purl])
        else:
            faults.append(f"{name} {version}: no pin has it")
    if faults:
        raise ImageError(*faults)
