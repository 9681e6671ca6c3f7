"""`manage.py autoscale`: as many workers as the work needs."""

import os
import signal
import threading
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from erip.foundation.hooks import begin_process
from erip.foundation.os_errors import in_words
from erip.foundation.process import parked
from erip.foundation.process.checking import Daemon
from erip.foundation.service import once
from monitoring.scaling.drivers import Driver, ScalingFailed
from monitoring.scaling.kubernetes import KubernetesDriver
from monitoring.scaling.local import LocalDriver
from monitoring.scaling.loop import Autoscaler
from monitoring.scaling.policy import ScalingPolicy
from workflows.conf import conf

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Command(Daemon):
    help = (
        "Starts and ends workers by what waits, how fast they are and what they use. Run two of them; one decides. "
        "With --driver local the workers are processes of this machine that end with this command; with --driver "
        "kubernetes they are the replicas of a Deployment."
    )

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--driver", choices=["local", "kubernetes"], default="local")
        parser.add_argument("--deployment", default="erip-worker", help="kubernetes: the name of the Deployment")
        parser.add_argument("--namespace", default="", help="kubernetes: by default that of this pod")
        parser.add_argument("--log", type=Path, default=None, help="local: the file for the workers' output")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            policy = ScalingPolicy(
                lanes=conf().lanes,
                fewest=settings.ERIP_AUTOSCALE_MIN,
                most=settings.ERIP_AUTOSCALE_MAX,
                up_cooldown=settings.ERIP_AUTOSCALE_UP_COOLDOWN_SECONDS,
                down_cooldown=settings.ERIP_AUTOSCALE_DOWN_COOLDOWN_SECONDS,
                cpu_target=settings.ERIP_AUTOSCALE_CPU_TARGET,
                memory_target=settings.ERIP_AUTOSCALE_MEMORY_TARGET,
            )
            driver = self._driver(options)
        except (ValueError, ScalingFailed) as error:
            raise CommandError(str(error)) from error
        parked.wait("autoscaler")
        scaler = Autoscaler(driver, policy, every=settings.ERIP_AUTOSCALE_EVERY_SECONDS)
        stop = threading.Event()

        def stop_when_told() -> None:
            stop.wait()
            scaler.stop()

        # The rounds are in this thread: on Linux a child dies with the thread that started it.
        for number in SIGNALS:
            signal.signal(number, lambda *_: stop.set())
        once("stop-when-told", stop_when_told)
        begin_process("autoscaler")
        try:
            scaler.run()
        finally:
            driver.close()

    def _driver(self, options: dict[str, Any]) -> Driver:
        if options["driver"] == "kubernetes":
            return KubernetesDriver(options["deployment"], namespace=options["namespace"])
        log = options["log"] or settings.ERIP_STATE_DIR / "logs" / "worker-scaled.log"
        try:
            log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise CommandError(f"The folder of the log cannot be made: {in_words(error)}") from error
        return LocalDriver(
            env=dict(os.environ),
            log=log,
            threads=settings.ERIP_WORKER_THREADS,
            grace=settings.ERIP_SHUTDOWN_GRACE_SECONDS + 5,
        )
