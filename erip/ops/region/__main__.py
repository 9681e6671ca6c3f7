"""`python -m erip.ops.region CONFIGURATION COMMAND`: keeper, begin, take, status, forget."""

import argparse
import json
import logging
import sys
from pathlib import Path

from erip.foundation.os_errors import in_words
from erip.ops.guard.etcd import EtcdError
from erip.ops.region import turns
from erip.ops.region.configuration import BadRegion, Configuration, read
from erip.ops.region.keeper import Keeper
from erip.ops.region.witness import TermError


def main() -> int:
    """0: done; 1: refused or failed; 2: the configuration is wrong."""
    parser = argparse.ArgumentParser(prog="erip.ops.region", description="Which of two regions writes.")
    parser.add_argument("configuration", type=Path)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("keeper", help="fence PostgreSQL here when it is not this region's turn; runs for ever")
    commands.add_parser("begin", help="once: this region writes first")
    take = commands.add_parser("take", help="this region writes from now on")
    take.add_argument("--planned", action="store_true", help="only if the other one ends in good order")
    commands.add_parser("status", help="whose turn it is, as JSON")
    forget = commands.add_parser("forget", help="a host of a region is gone for good")
    forget.add_argument("region")
    forget.add_argument("node")
    options = parser.parse_args()
    logging.basicConfig(format="%(asctime)s %(levelname)s: region: %(message)s", level=logging.INFO)
    try:
        return _run(read(options.configuration), options)
    except BadRegion as error:
        print(f"erip.ops.region: {error}", file=sys.stderr)
        return 2
    except (TermError, EtcdError, OSError) as error:
        print(f"erip.ops.region: {in_words(error)}", file=sys.stderr)
        return 1


def _run(configuration: Configuration, options: argparse.Namespace) -> int:
    match options.command:
        case "keeper":
            Keeper(configuration).run()
        case "begin":
            print(f"term {turns.begin(configuration).number} is {configuration.region}'s")
        case "take":
            done = turns.take(configuration, planned=options.planned)
            print(f"{configuration.region} writes: term {done.term}, after {done.promoted:.1f} s")
        case "forget":
            configuration.open().forget(options.region, options.node)
        case "status":
            witness = configuration.open()
            term = witness.term()
            told = {"number": term.number, "holder": term.holder, "planned": term.planned} if term else None
            print(json.dumps({"term": told, "keepers": witness.keepers()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
