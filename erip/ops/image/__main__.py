"""The container image: `make image`.

    python -m erip.ops.image build --out dist [--ref REF] [--base IMAGE] [--snapshot 20261101T000000Z]
    python -m erip.ops.image bill erip-VERSION.oci.tar      the bill of materials of one that was built

Needs git, mmdebstrap, buildah, and Python's standard library alone.
"""

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from erip.ops.image import archive, bill
from erip.ops.image.build import Built, build
from erip.ops.image.errors import ImageError
from erip.ops.release import ROOT
from erip.ops.stack import bom


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0; 1 with a line for each fault."""
    parser = argparse.ArgumentParser(prog="erip.ops.image")
    commands = parser.add_subparsers(required=True, dest="command")
    building = commands.add_parser("build", help="build the image of a commit")
    building.add_argument("--out", type=Path, required=True)
    building.add_argument("--ref", default="HEAD")
    add_stand(building)
    billing = commands.add_parser("bill", help="print the bill of materials of an image")
    billing.add_argument("archive", type=Path)
    given = parser.parse_args(arguments)
    try:
        if given.command == "build":
            print(told(build(ROOT, given.out, ref=given.ref, **stand(building, given))))
        else:
            print(json.dumps(_bill(given.archive), indent=2))
    except ImageError as error:
        for fault in error.faults:
            print(f"erip.ops.image: {fault}", file=sys.stderr)
        return 1
    return 0


def add_stand(parser: argparse.ArgumentParser) -> None:
    """The options that say what an image is built in."""
    parser.add_argument("--base", default="", help="an image with Debian's apt to build in (default: made here)")
    parser.add_argument("--snapshot", default="", help="the moment of snapshot.debian.org whose packages are taken")


def stand(parser: argparse.ArgumentParser, given: argparse.Namespace) -> dict[str, str]:
    """`base` and `snapshot` of `build`. Ends with status 2 if they cannot be."""
    if given.base and given.snapshot:
        parser.error("--snapshot is what the base is made from: give one of --base and --snapshot")
    # It becomes part of a line of sources.list.
    if given.snapshot and not re.fullmatch(r"[0-9]{8}T[0-9]{6}Z", given.snapshot):
        parser.error(f"--snapshot: {given.snapshot[:80]!r} is no moment like 20261101T000000Z")
    return {"base": given.base, "snapshot": given.snapshot}


def told(built: Built) -> str:
    """What was built, a line for each fact."""
    parts = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in built.seconds.items())
    return "\n".join(
        [
            f"digest  {built.image.digest}",
            f"id      {built.image.id}",
            f"size    {built.image.size / 1e6:.0f} MB packed, {built.bytes / 1e6:.0f} MB in {built.files:,} files",
            f"took    {parts}",
            f"image   {built.packed}",
            f"bill    {built.bill}",
        ]
    )


def _bill(packed: Path) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as name:
        image = archive.unpack(packed, Path(name))
        labels = image.config.get("Labels") or {}
        version = str(labels.get("org.opencontainers.image.version", "unknown"))
        return bill.document(Path(name), bom.pins(), version=version)


if __name__ == "__main__":
    sys.exit(main())
