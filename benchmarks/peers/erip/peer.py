"""ERIP itself, in its own virtual environment: general workers and a leader, runs started in bulk by the engine."""

import os
import re
from typing import Any

from benchmarks.peers import harness

os.environ |= {
    "DJANGO_SETTINGS_MODULE": "benchmarks.peers.erip.settings",
    "DATABASE_URL": os.environ["PEER_POSTGRES"],
    "ERIP_BROKER_URL": os.environ["PEER_REDIS"],
    "ERIP_LOG_LEVEL": "WARNING",
}

W4 = """
name: w4
steps:
  double:   {uses: w4.double, with: {number: "${{ input.number }}"}}
  add:      {uses: w4.add, needs: [double], with: {number: "${{ steps.double.output.number }}"}}
  scale:    {uses: w4.scale, needs: [add], with: {number: "${{ steps.add.output.number }}"}}
  subtract: {uses: w4.subtract, needs: [scale], with: {number: "${{ steps.scale.output.number }}"}}
output: "${{ steps.subtract.output }}"
"""
#: ERIP commits the checkpoints between idempotent steps asynchronously. As "erip-strict" no step is idempotent.
STRICT = os.environ["PEER_NAME"] == "erip-strict"
#: threads of one worker, the platform's default
THREADS = "16"
LANES = "high,standard,bulk,critical"


class EripPeer:
    def prepare(self) -> None:
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        from workflows import engine

        source = re.sub(r"uses: (w4\.\w+)", r"uses: \1_once", W4) if STRICT else W4
        engine.publish(None, source, "yaml", author="benchmark")

    def processes(self, count: int) -> list[harness.Process]:
        flags = ["--pool=threads", "-c", THREADS, "-Q", LANES, "--without-mingle", "--without-gossip"]
        workers = [
            harness.Process(["-m", "erip.worker", *flags, "-n", f"general{index}@peer"]) for index in range(count)
        ]
        return [*workers, harness.Process(["manage.py", "run_leader"])]

    def run(self, numbers: list[int], seconds: float) -> dict[int, int]:
        from workflows import engine

        requests = [engine.StartRequest(input={"number": number}) for number in numbers]
        started = engine.start_runs("w4", requests, principal="benchmark")
        ids = [run.id for run in started]
        harness.poll(lambda: self._finished(ids), len(ids), seconds)
        with _cursor() as cursor:
            cursor.execute(
                "SELECT (input->>'number')::bigint, state, (output->>'number')::bigint FROM workflows_workflowrun"
                " WHERE id = ANY(%s::uuid[])",
                [ids],
            )
            rows = cursor.fetchall()
        return {number: value for number, state, value in rows if state == "SUCCEEDED"}

    def _finished(self, ids: list[str]) -> int:
        with _cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM workflows_workflowrun WHERE id = ANY(%s::uuid[]) AND finished_at IS NOT NULL",
                [ids],
            )
            return int(cursor.fetchone()[0])

    def close(self) -> None:
        pass


def _cursor() -> Any:
    from django.db import connection

    return connection.cursor()


if __name__ == "__main__":
    harness.main(EripPeer())
