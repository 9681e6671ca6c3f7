"""`make requirements`: compile requirements.txt, the pins of the server wheels, of what builds the image, and of
checkov, all with hashes."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
#: besides requirements.txt: each pins one package, below a comment that says what it is for
ONES = ("erip/ops/stack/wheels/*.txt", "deploy/image/builders.txt")


def main() -> int:
    """Compile everything; a failure of uv ends it."""
    # A version that requirements.txt already has is kept, unless a requirement asks for another.
    _compile("requirements.in", "-o", "requirements.txt")
    # It has an environment of its own: erip/ops/kubernetes/checkov.py.
    _compile("deploy/k8s/checkov/pins.in", "--no-annotate", "-o", "deploy/k8s/checkov/pins.txt")
    for pin in sorted(path for pattern in ONES for path in ROOT.glob(pattern)):
        head, *before = pin.read_text().splitlines()
        wanted = next(line.split()[0] for line in before if "==" in line)
        lines = _compile("-", "--no-deps", source=wanted + "\n").splitlines()
        pin.write_text("\n".join([head, *(line for line in lines if "# via" not in line)]) + "\n")
    return 0


def _compile(name: str, *flags: str, source: str = "") -> str:
    """uv's output for the requirements in `name` (- is `source`): all versions, all hashes, for every platform."""
    print(f"erip: compiling {source.strip() or name}", file=sys.stderr)
    uv = str(Path(sys.executable).with_name("uv"))
    command = [uv, "pip", "compile", "-q", "--universal", "--python-version", "3.11", "--generate-hashes"]
    done = subprocess.run(  # noqa: S603
        [*command, "--no-header", *flags, name],
        cwd=ROOT,
        input=source,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
