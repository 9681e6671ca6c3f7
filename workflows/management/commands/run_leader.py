"""`manage.py run_leader`: due retries, deadlines, lost workers, lost messages. Run two of them; one leads."""

import signal
from typing import Any

from django.core.management.base import BaseCommand

from workflows.leader import Leader


class Command(BaseCommand):
    help = (
        "Does what one process must do: brings back the steps of lost workers, releases due retries, ends runs past "
        "their deadline and publishes forgotten work again. Run as many as you like; one of them leads."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        leader = Leader()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: leader.stop())
        leader.run()
