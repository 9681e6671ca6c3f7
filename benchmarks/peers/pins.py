"""`python -m benchmarks.peers.pins`: compile every peer's requirements.in into requirements.txt, with hashes."""

import subprocess
import sys

from benchmarks.peers.catalogue import CATALOGUE
from benchmarks.peers.environments import FOLDER, uv


def main() -> int:
    """Compile all; a failure of uv ends it. Pinned versions are kept where no requirement asks for others."""
    for peer in CATALOGUE:
        folder = FOLDER / peer.module
        if not (folder / "requirements.in").exists():
            continue
        print(f"compiling {peer.name}", file=sys.stderr)
        subprocess.run(  # noqa: S603
            [
                *(uv(), "pip", "compile", "-q", "--universal", "--python-version", "3.11", "--generate-hashes"),
                *("--no-header", "-o", "requirements.txt", "requirements.in"),
            ],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            check=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
