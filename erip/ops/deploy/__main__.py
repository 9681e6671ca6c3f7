"""`python -m erip.ops.deploy INVENTORY.toml --out FOLDER`."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from erip.ops.ca import AuthorityError
from erip.ops.deploy.errors import DeployError
from erip.ops.deploy.inventory import certificates, files, load


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the files with mode 0600. For a bad description it prints one line per fault and returns 2."""
    parser = argparse.ArgumentParser(
        prog="erip.ops.deploy",
        description="Configuration files of Redis, Sentinel, etcd, Patroni and HAProxy for a site.",
    )
    parser.add_argument("inventory", type=Path, help="a description of the site (deploy/inventory.example.toml)")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write to")
    parser.add_argument(
        "--ca", type=Path, help="the folder of the authorities: certificates that are missing or soon over are made too"
    )
    options = parser.parse_args(arguments)
    try:
        site = load(options.inventory)
        made = files(site, os.environ)
    except DeployError as error:
        for fault in error.faults:
            print(f"erip.ops.deploy: {fault}", file=sys.stderr)
        return 2
    try:
        for name, text in made.items():
            path = options.out / name
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.chmod(0o600)
            path.write_text(text)
        issued = certificates(site, os.environ, options.ca, options.out) if options.ca else []
    except AuthorityError as error:
        print(f"erip.ops.deploy: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"erip.ops.deploy: {error.filename or options.out}: {error.strerror}", file=sys.stderr)
        return 1
    print(f"{len(made)} files under {options.out}; they hold passwords")
    if options.ca:
        print(f"{sum(one.fresh for one in issued)} of {len(issued)} certificates are new; their keys stand beside them")
    return 0


if __name__ == "__main__":
    sys.exit(main())
