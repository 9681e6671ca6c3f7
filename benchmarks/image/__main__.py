"""Builds the image of HEAD twice, compares the digests, and runs it as the manifests of deploy/k8s say.

    python -m benchmarks.image              as root: `make image-check`; 5 to 15 minutes

Ends with 1 if the two differ, if the image holds what it must not, or if anything does not run.
"""

# ruff: noqa: S607 (it starts itself again, in a network of its own)

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.image.pods import PodFailed, programs_lacking
from benchmarks.image.story import Story, inside
from erip.ops.image import archive
from erip.ops.image.__main__ import add_stand, stand, told
from erip.ops.image.build import build
from erip.ops.image.errors import ImageError
from erip.ops.release import ROOT, git


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.image", description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    add_stand(parser)
    parser.add_argument("--run", type=Path, help="only run this image")
    parser.add_argument("--stage", choices=["servers", "pods"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    built_in = stand(parser, options)
    if lacking := [*programs_lacking(), *([] if os.geteuid() == 0 else ["root"])]:
        print(f"benchmarks.image: lacking: {', '.join(lacking)} (Debian: bubblewrap, iproute2)", file=sys.stderr)
        return 2
    again = [sys.executable, "-m", "benchmarks.image"]
    if options.stage == "servers":
        return inside([*again, "--run", str(options.run), "--stage", "pods"])
    if options.stage == "pods":
        return run(options.run)
    try:
        packed = options.run or twice(options.out, **built_in)
    except ImageError as error:
        for fault in error.faults:
            print(f"FAULT: {fault}")
        return 1
    stage = [*again, "--run", str(packed), "--stage", "servers"]
    return subprocess.run(["unshare", "--net", "--", *stage], check=False).returncode  # noqa: S603


def twice(out: Path, *, base: str, snapshot: str) -> Path:
    """The archive. Raises ImageError, also if the second image is another one."""
    # Whoever commits meanwhile does not change what is compared.
    ref = git(ROOT, "rev-parse", "HEAD").decode().strip()
    first = build(ROOT, out, ref=ref, base=base, snapshot=snapshot)
    bill = first.bill.read_bytes()
    print(f"first\n{told(first)}", flush=True)
    second = build(ROOT, out, ref=ref, base=base, snapshot=snapshot)
    print(f"second\n{told(second)}", flush=True)
    faults = []
    if (first.image.digest, first.image.id) != (second.image.digest, second.image.id):
        faults.append("the same commit gave two images")
        pairs = zip(first.image.layers, second.image.layers, strict=False)
        faults += [f"layer {number}: {a[0]} and {b[0]}" for number, (a, b) in enumerate(pairs) if a != b]
    if second.bill.read_bytes() != bill:
        faults.append("the same commit gave two bills of materials")
    if faults:
        raise ImageError(*faults)
    print("the same digest, id and bill of materials twice")
    return second.packed


def run(packed: Path) -> int:
    servers = {name: os.environ[name] for name in ("DATABASE_URL", "ERIP_BROKER_URL")}
    # The user of the pods must be able to come here.
    with tempfile.TemporaryDirectory(prefix="erip-image-", dir="/var/tmp") as name:  # nosec B108
        folder = Path(name)
        folder.chmod(0o755)
        files = folder / "root"
        files.mkdir()
        story = Story(archive.unpack(packed, files), files, folder, servers)
        try:
            story.tell()
        except (PodFailed, OSError) as error:
            story.faults.append(str(error))
    for fault in story.faults:
        print(f"FAULT: {fault}")
    print("image: FAILED" if story.faults else "image: runs as the manifests say")
    return 1 if story.faults else 0


if __name__ == "__main__":
    sys.exit(main())
