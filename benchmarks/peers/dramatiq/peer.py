"""Dramatiq: a pipeline of four actors, broker and results in Redis."""

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from benchmarks.peers import harness, workflow

REDIS = os.environ["PEER_REDIS"]
#: threads of one process
THREADS = 8
#: Dramatiq reads these when it is imported. The usual prefetch, two messages per thread, starves the threads with steps
#: this short. An idle consumer sleeps up to the timeout (ms) between two looks, and each of the four steps would wait
#: for it: the usual second makes W4 slow on an idle system.
TUNING = {"dramatiq_queue_prefetch": "64", "dramatiq_worker_timeout": "10"}

if "dramatiq_queue_prefetch" in os.environ:
    # Dramatiq's own workers, whose master may be killed.
    harness.die_with_parent()

broker = RedisBroker(url=REDIS)
backend = RedisBackend(url=REDIS)
broker.add_middleware(Results(backend=backend))
dramatiq.set_broker(broker)


@dramatiq.actor
def double(number: int) -> int:
    return workflow.double(number)


@dramatiq.actor
def add(number: int) -> int:
    return workflow.add(number)


@dramatiq.actor
def scale(number: int) -> int:
    return workflow.scale(number)


# A pipeline hands results on inside its messages: only the last one has to be stored.
@dramatiq.actor(store_results=True)
def subtract(number: int) -> int:
    return workflow.subtract(number)


class DramatiqPeer:
    def prepare(self) -> None:
        pass

    def processes(self, count: int) -> list[harness.Process]:
        module = "benchmarks.peers.dramatiq.peer"
        flags = ["--processes", str(count), "--threads", str(THREADS)]
        return [harness.Process(["-m", "dramatiq", module, *flags], env=TUNING)]

    def run(self, numbers: list[int], seconds: float) -> dict[int, int]:
        keys = []
        for number in numbers:
            steps = [double.message(number), add.message(), scale.message(), subtract.message()]
            dramatiq.pipeline(steps).run()
            keys.append(backend.build_message_key(steps[-1]))
        harness.poll(lambda: backend.client.exists(*keys), len(keys), seconds)
        with backend.client.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.lindex(key, 0)
            found = pipe.execute()
        return {
            number: backend.unwrap_result(backend.encoder.decode(data))
            for number, data in zip(numbers, found, strict=True)
        }

    def close(self) -> None:
        broker.close()


if __name__ == "__main__":
    harness.main(DramatiqPeer())
