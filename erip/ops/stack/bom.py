"""`make sbom`: a bill of materials in CycloneDX 1.6 (JSON) of what requirements.txt pins, of the server wheels, and of
what the container image is built with. What that image holds, `erip.ops.image.bill` says.

It is made from the pins alone: without a network, and the same pins give the same bytes. Each component has its
package URL and the SHA-256 of every file that pip would accept. Licences are not in the pins, and not in it.
"""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

ROOT = Path(__file__).resolve().parents[3]
PINS = ("requirements.txt", "erip/ops/stack/wheels/*.txt", "deploy/image/builders.txt")
_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


class Unpinned(ValueError):
    """A requirement has no exact version, or no hash: pip could install anything under its name."""


@dataclass(frozen=True)
class Pin:
    name: str
    version: str
    hashes: tuple[str, ...]

    @property
    def purl(self) -> str:
        """https://github.com/package-url/purl-spec, type pypi."""
        return f"pkg:pypi/{re.sub(r'[-_.]+', '-', self.name).lower()}@{self.version}"


def pins(root: Path = ROOT) -> list[Pin]:
    """All pins, by package URL. Raises Unpinned, which names every requirement without a version or a hash."""
    found: dict[str, Pin] = {}
    wrong: list[str] = []
    for pattern in PINS:
        for path in sorted(root.glob(pattern)):
            for line in _requirements(path.read_text("utf-8")):
                pin, hashes = _PIN.match(line), tuple(sorted(_HASH.findall(line)))
                if pin is None or not hashes:
                    wrong.append(f"{path.name}: {line[:60]}")
                    continue
                one = Pin(pin[1], pin[2], hashes)
                found[one.purl] = one
    if wrong:
        raise Unpinned("; ".join(wrong))
    return [found[purl] for purl in sorted(found)]


def document(root: Path = ROOT) -> dict[str, Any]:
    """The bill. Raises Unpinned."""
    return bill([component(one) for one in pins(root)])


def component(pin: Pin) -> dict[str, Any]:
    """What the bill says of a pin."""
    return {
        "type": "library",
        "bom-ref": pin.purl,
        "name": pin.name,
        "version": pin.version,
        "purl": pin.purl,
        "externalReferences": [
            {
                "type": "distribution",
                "url": f"https://pypi.org/project/{pin.name}/{pin.version}/",
                "hashes": [{"alg": "SHA-256", "content": each} for each in pin.hashes],
            }
        ],
    }


def bill(components: list[dict[str, Any]], **subject: Any) -> dict[str, Any]:
    """The document that says that ERIP, or what `subject` says besides its name, consists of `components`."""
    told = json.dumps([components, subject] if subject else components, sort_keys=True)
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_URL, told)}",
        "version": 1,
        "metadata": {"component": {"type": "application", "bom-ref": "erip", "name": "erip", **subject}},
        "components": components,
        "dependencies": [{"ref": "erip", "dependsOn": [one["bom-ref"] for one in components]}],
    }


def _requirements(text: str) -> Iterator[str]:
    """Each requirement with its hashes in one line; comments and options of pip are left out."""
    for line in text.replace("\\\n", " ").splitlines():
        line = line.strip()
        if line and not line.startswith(("#", "-")):
            yield line


def main() -> int:
    """Print the bill; exit status 1 if something is not pinned."""
    try:
        made = document()
    except Unpinned as error:
        print(f"not pinned by a hash: {error}", file=sys.stderr)
        return 1
    print(json.dumps(made, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
