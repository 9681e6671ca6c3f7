"""What a process itself uses, for `hooks.metrics`."""

import os
import resource
from collections.abc import Iterator
from typing import Any

import psutil
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from monitoring.conf import conf


class Usage:
    """A prometheus_client collector. Web processes are forked after it is made, so it asks which process it is in."""

    def __init__(self) -> None:
        self._process = psutil.Process()

    def collect(self) -> Iterator[Any]:
        if self._process.pid != os.getpid():
            self._process = psutil.Process()
        used = resource.getrusage(resource.RUSAGE_SELF)
        yield CounterMetricFamily(
            "erip_process_cpu_seconds", "Processor time that the process used.", value=used.ru_utime + used.ru_stime
        )
        with self._process.oneshot():
            memory, threads, files = (
                self._process.memory_info().rss,
                self._process.num_threads(),
                self._process.num_fds(),
            )
        yield GaugeMetricFamily("erip_process_memory_bytes", "Memory of the process.", value=memory)
        yield GaugeMetricFamily("erip_process_threads", "Threads of the process.", value=threads)
        yield GaugeMetricFamily("erip_process_open_files", "Open files and connections of the process.", value=files)
        yield GaugeMetricFamily("erip_processes", "1 for each process.", value=1)
        release = GaugeMetricFamily("erip_release", "By `release`: processes that run it.", labels=["release"])
        release.add_metric([conf().release], 1)
        yield release


REGISTRY = CollectorRegistry()
REGISTRY.register(Usage())
SPANS = Counter(
    "erip_otlp_spans",
    "By `outcome` (`sent`, `dropped`): spans for OpenTelemetry's collector.",
    ["outcome"],
    registry=REGISTRY,
)
