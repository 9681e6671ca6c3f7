"""Celery's canvas: a chain of four tasks, broker and results in Redis."""

import os

from celery import Celery, chain

from benchmarks.peers import harness, workflow

REDIS = os.environ["PEER_REDIS"]

app = Celery("peer", broker=REDIS, backend=REDIS)
app.conf.update(
    worker_prefetch_multiplier=64,
    worker_disable_rate_limits=True,
    broker_connection_retry_on_startup=True,
    task_send_sent_event=False,
    worker_send_task_events=False,
)


# A chain hands results on inside its messages: only the last one has to be stored.
@app.task(name="double", ignore_result=True)
def double(number: int) -> int:
    return workflow.double(number)


@app.task(name="add", ignore_result=True)
def add(number: int) -> int:
    return workflow.add(number)


@app.task(name="scale", ignore_result=True)
def scale(number: int) -> int:
    return workflow.scale(number)


@app.task(name="subtract")
def subtract(number: int) -> int:
    return workflow.subtract(number)


class CeleryPeer:
    def prepare(self) -> None:
        pass

    def processes(self, count: int) -> list[harness.Process]:
        flags = ["--pool=solo", "--without-mingle", "--without-gossip", "--without-heartbeat", "--loglevel=WARNING"]
        module = "benchmarks.peers.celery.peer"
        return [
            harness.Process(["-m", "celery", "-A", module, "worker", *flags, "-n", f"w{index}@peer"])
            for index in range(count)
        ]

    def run(self, numbers: list[int], seconds: float) -> dict[int, int]:
        with app.producer_pool.acquire(block=True) as producer:
            started = [
                chain(double.s(number), add.s(), scale.s(), subtract.s()).apply_async(producer=producer).id
                for number in numbers
            ]
        keys = [app.backend.get_key_for_task(task) for task in started]
        harness.poll(lambda: app.backend.client.exists(*keys), len(keys), seconds)
        found = [app.backend.decode_result(value) for value in app.backend.client.mget(keys)]
        return {number: result["result"] for number, result in zip(numbers, found, strict=True)}

    def close(self) -> None:
        app.close()


if __name__ == "__main__":
    harness.main(CeleryPeer())
