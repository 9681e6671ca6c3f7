"""`python -m benchmarks.peers [--only NAME…] [--workflows N] [--rounds N] [--json FILE]`: one table."""

import argparse
import json
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.peers import table
from benchmarks.peers.catalogue import CATALOGUE
from benchmarks.peers.harness import Plan
from benchmarks.peers.measure import measure

#: exit statuses: all measured; a peer could not be measured
OK, INCOMPLETE = 0, 4


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    # A SIGTERM unwinds as Ctrl-C does, so that servers and peers are ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    cores = os.cpu_count() or 1
    peers = [peer for peer in CATALOGUE if not options.only or peer.name in options.only]
    measured: dict[str, list[table.Outcome]] = {peer.name: [] for peer in peers}
    # Round after round, not peer after peer: a disturbance of some minutes then spoils no peer in all its rounds.
    for _ in range(options.rounds):
        for peer in peers:
            print(f"{peer.title}: {peer.configuration}", file=sys.stderr, flush=True)
            plan = Plan(
                workflows=max(1, options.workflows // peer.fewer),
                samples=options.samples,
                seconds=options.seconds,
                processes=options.processes or cores,
            )
            outcome = measure(peer, plan, options.patience)
            print("  " + " | ".join(table.rows([outcome])[0][1:]), file=sys.stderr, flush=True)
            measured[peer.name].append(outcome)
    outcomes = [table.settle(rounds) for rounds in measured.values()]
    print(table.markdown(outcomes), end="")
    if options.json:
        document = {"measured_at": datetime.now(UTC).isoformat(), "cores": cores, "peers": table.as_json(outcomes)}
        options.json.write_text(json.dumps(document, indent=2) + "\n")
    return OK if all(outcome.figures for outcome in outcomes) else INCOMPLETE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    names = [peer.name for peer in CATALOGUE]
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=f"some of: {', '.join(names)}")
    parser.add_argument("--workflows", type=_positive, default=2000, metavar="N", help="started at once (2000)")
    parser.add_argument("--samples", type=_positive, default=50, metavar="N", help="latency samples (50)")
    parser.add_argument("--rounds", type=_positive, default=1, metavar="N", help="the least disturbed one counts (1)")
    parser.add_argument("--patience", type=float, default=0, metavar="S", help="wait so long for a quiet machine (0)")
    parser.add_argument("--seconds", type=_positive, default=180, metavar="S", help="limit of one phase (180)")
    parser.add_argument("--processes", type=_positive, metavar="N", help="processes that run steps (one a core)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


if __name__ == "__main__":
    sys.exit(main())
