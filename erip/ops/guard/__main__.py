"""`python -m erip.ops.guard PATRONI.YML`."""

import argparse
import logging
import sys
from pathlib import Path

import erip.foundation.structlog_alone  # noqa: F401  (first: it says why)
from erip.ops.guard.configuration import BadConfiguration, read
from erip.ops.guard.guard import Guard


def main() -> int:
    """Runs until a signal ends it; returns 2 when the configuration is invalid."""
    parser = argparse.ArgumentParser(prog="erip.ops.guard", description="Patroni, and the node guard above it.")
    parser.add_argument("configuration", type=Path, help="Patroni's own configuration file")
    file = parser.parse_args().configuration
    logging.basicConfig(format="%(asctime)s %(levelname)s: guard: %(message)s", level=logging.INFO)
    try:
        return Guard(read(file.absolute())).run()
    except BadConfiguration as error:
        print(f"erip.ops.guard: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
