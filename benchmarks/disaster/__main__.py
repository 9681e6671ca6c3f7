"""Loses the region that writes with runs in flight, and restores a large database to a named second.

    python -m benchmarks.disaster regions --runs 100000
    python -m benchmarks.disaster restore --gigabytes 20
    python -m benchmarks.disaster                          both

`regions`: a primary with a synchronous standby in one region, a standby that follows that one in the other, a keeper
beside each, a witness of three, and the processes of both. Callers start runs all the time. Everything of the first
region gets SIGKILL; `take` of docs/how-to/second-region.md is given; the ledger of what was acknowledged is compared
with what is there. The lost region comes back, and must stay shut; all runs must end; the turn is handed back.

`restore`: a database of so many gigabytes of finished runs, `backup now`, more runs, and `drill --second`.

Exit status: 3: something that must be was not; 1: it could not be carried out.
"""

import argparse
import json
import math
import os
import signal
import sys
from pathlib import Path

import psycopg2

from erip.ops.stack.errors import StackError
from erip.ops.stack.private import without_others

from . import region, restore
from .seen import Seen

MISSED = 3


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.disaster", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("what", nargs="?", choices=("regions", "restore", "both"), default="both")
    of_regions, of_restore = region.Sizes(), restore.Sizes()
    parser.add_argument("--runs", type=whole, default=of_regions.runs, help="in flight when the region is lost")
    parser.add_argument(
        "--backlog", type=whole, default=of_regions.backlog, help="runs that are just being started then"
    )
    parser.add_argument("--due", type=above_zero, default=of_regions.due, help="seconds for which runs sleep")
    parser.add_argument(
        "--traffic", type=above_zero, default=of_regions.traffic, help="seconds of starts before the loss"
    )
    parser.add_argument("--hold", type=above_zero, default=of_regions.hold, help="hold_seconds of the keepers")
    parser.add_argument("--cold", action="store_true", help="the other region's processes load only when it takes over")
    parser.add_argument("--gigabytes", type=above_zero, default=of_restore.gigabytes, help="of the database")
    parser.add_argument("--document", type=whole, default=of_restore.document, help="characters of a run's outcome")
    parser.add_argument("--patience", type=above_zero, default=of_regions.patience, help="seconds for all runs to end")
    parser.add_argument("--json", type=Path, help="write what was seen to this file, too")
    options = parser.parse_args(arguments)
    # A time limit must leave no servers and no data behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    seen = Seen()
    seen.say(f"{os.cpu_count()} cores, load {' '.join(f'{one:.1f}' for one in os.getloadavg())}")
    try:
        with without_others():
            if options.what in ("regions", "both"):
                sizes = region.Sizes(
                    options.runs,
                    options.backlog,
                    options.due,
                    options.traffic,
                    options.hold,
                    options.patience,
                    options.cold,
                )
                region.tell(sizes, seen)
            if options.what in ("restore", "both"):
                restore.tell(restore.Sizes(options.gigabytes, options.document), seen)
    except (StackError, OSError, psycopg2.Error) as error:
        seen.say(f"could not be carried out: {error}")
        return 1
    finally:
        seen.say(f"load {' '.join(f'{one:.1f}' for one in os.getloadavg())}")
        if options.json:
            options.json.write_text(json.dumps({"figures": seen.figures, "missed": seen.missed}, default=str, indent=2))
    return MISSED if seen.missed else 0


def whole(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def above_zero(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0 and below a million")
    return value


if __name__ == "__main__":
    sys.exit(main())
