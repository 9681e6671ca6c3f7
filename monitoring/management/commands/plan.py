"""`manage.py plan`: how many processes a load needs, and what they use, by this deployment's own frames."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import yaml
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import Error

from erip.foundation.faults import Fault
from erip.foundation.os_errors import in_words
from monitoring import planning
from monitoring.core.planning.demand import PRICES, Demand, Prices, prices, read
from monitoring.core.planning.fitting import Estimate
from monitoring.core.planning.sizing import Plan, Pool, plan
from monitoring.management import kustomizing

#: bytes of a price file
_LARGEST = 64 * 1024


class Command(BaseCommand):
    help = (
        "What a load needs: processes, cores, memory, connections, disk, IOPS and their price, by a model that is "
        "fitted to this deployment's own frames and says its error. What is not known is said, with the reason. Exit "
        "status: 0, 1 for a demand that cannot be read, 2 if something that was asked for is unknown."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: Any) -> None:
        add = parser.add_argument
        add("--critical", metavar="RATE", help="critical runs, as 200/s, of the mix that was seen")
        add(
            "--runs", action="append", default=[], metavar="[WORKFLOW=]RATE",
            help="other runs, of one workflow or of the mix that was seen; may be given for several workflows",
        )  # fmt: skip
        add("--events", metavar="RATE", help="events, as 20k/s")
        add("--runs-kept", metavar="COUNT", help="runs in the database, as 50M")
        add("--deadline", metavar="pN=TIME", help="wait of critical steps for a worker, as p99=50ms")
        add("--days", type=_days, default=7.0, help="of frames that it rests on: up to 400 (default: 7)")
        add("--prices", type=Path, metavar="FILE", help=f"YAML: currency, and prices of a month: {', '.join(PRICES)}")
        output = parser.add_mutually_exclusive_group()
        output.add_argument("--json", action="store_true")
        output.add_argument(
            "--kustomize", action="store_true", help="patches of replicas, requests and limits for deploy/k8s"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        demand, faults = read(
            critical=options["critical"],
            runs=options["runs"],
            events=options["events"],
            kept=options["runs_kept"],
            deadline=options["deadline"],
        )
        told, more = _prices(options["prices"])
        if faults or more:
            raise CommandError("\n".join(f"{one.path} {one.message}".strip() for one in [*faults, *more]))
        try:
            seen = planning.seen_lately(options["days"], percentile=demand.percentile)
            tables = planning.tables() if demand.kept or demand.events else None
        except Error as error:
            raise CommandError(f"The database cannot be read: {str(error).splitlines()[0]}") from error
        made = plan(demand, seen, tables, target=settings.ERIP_AUTOSCALE_CPU_TARGET, prices=told)
        if options["json"]:
            self.stdout.write(json.dumps(document(demand, made), indent=2))
        elif options["kustomize"]:
            text = kustomizing.patches(made, demand, share=settings.ERIP_AUTOSCALE_CPU_TARGET)
            if text is None:
                raise CommandError(f"Unknown: {'; '.join(_unknown(made))}", returncode=2)
            self.stdout.write(text, ending="")
        else:
            self._show(made)
        if unknown := _unknown(made):
            raise CommandError(f"Unknown: {'; '.join(unknown)}", returncode=2)

    def _show(self, made: Plan) -> None:
        say = self.stdout.write
        say(f"{'processes':<24} {'replicas':>8} {'cores in all':>24} {'memory of each':>16} {'connections':>12}")
        for pool in made.pools:
            replicas = "unknown" if pool.replicas is None else str(pool.replicas)
            held = "unknown" if pool.connections is None else f"{pool.connections:.0f}"
            say(f"{pool.kind:<24} {replicas:>8} {_shown(pool.cores):>24} {_memory(pool):>16} {held:>12}")
        connections = made.connections
        say(f"{'PostgreSQL connections':<24} {connections if isinstance(connections, str) else f'{connections:.0f}'}")
        for name, found in {**made.database, **made.disk}.items():
            say(f"{'PostgreSQL ' + name:<36} {_shown(found)}")
        if made.cost is not None:
            say(f"{'a month':<24} {_shown(made.cost)} {made.currency}")
        for note in made.notes:
            say(f"- {note}")


def _prices(file: Path | None) -> tuple[Prices | None, list[Fault]]:
    if file is None:
        return None, []
    try:
        content = file.read_bytes() if file.stat().st_size <= _LARGEST else b"\0"
        document_ = yaml.safe_load(content.decode())
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        return None, [Fault("--prices", f"cannot be read: {in_words(error, file).splitlines()[0][:300]}")]
    found, faults = prices(document_)
    return found, [Fault(f"--prices {one.path}".strip(), one.message) for one in faults]


def document(demand: Demand, made: Plan) -> dict[str, Any]:
    """The plan as JSON. An estimate has its value and its interval; what is unknown says why."""
    return {
        "demand": dataclasses.asdict(demand),
        "processes": [
            {
                "kind": pool.kind,
                "replicas": pool.replicas,
                "cores": _json(pool.cores if pool.cores is not None else pool.why),
                "memory_bytes": pool.memory,
                "most_memory_bytes": pool.most_memory,
                "connections": pool.connections,
            }
            for pool in made.pools
        ],
        "connections": made.connections if not isinstance(made.connections, str) else {"unknown": made.connections},
        "database": {name: _json(one) for name, one in made.database.items()},
        "disk": {name: _json(one) for name, one in made.disk.items()},
        "cost": None if made.cost is None else {**_json(made.cost), "currency": made.currency},
        "notes": list(made.notes),
    }


def _json(found: Estimate | str) -> dict[str, Any]:
    return {"unknown": found} if isinstance(found, str) else dataclasses.asdict(found)


def _unknown(made: Plan) -> list[str]:
    return [
        *(f"{pool.kind}: {pool.why}" for pool in made.pools if pool.why),
        *(f"{name}: {found}" for name, found in {**made.database, **made.disk}.items() if isinstance(found, str)),
    ]


def _shown(found: Estimate | str | None) -> str:
    if found is None:
        return "unknown"
    if isinstance(found, str):
        return f"unknown: {found}"
    return f"{_number(found.value)} ({_number(found.low)} to {_number(found.high)})"


def _number(value: float) -> str:
    for factor, sign in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= factor:
            return f"{value / (1e3 if sign == 'k' else factor):.3g} {sign}"
    return f"{value:.3g}"


def _memory(pool: Pool) -> str:
    return "unknown" if pool.memory is None else f"{pool.memory / 2**20:.0f} MiB"


def _days(text: str) -> float:
    value = float(text)
    if not 0.001 <= value <= 400:
        raise ValueError
    return value
