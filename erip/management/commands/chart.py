"""manage.py chart: makes the Helm chart deploy/helm/erip of deploy/k8s."""

from typing import Any

from django.core.management.base import BaseCommand

from erip.management.chart_settings import schema
from erip.ops.kubernetes import chart


class Command(BaseCommand):
    help = "Makes the Helm chart deploy/helm/erip of deploy/k8s: a test compares them."

    def handle(self, *args: Any, **options: Any) -> None:
        for name in chart.write(schema()):
            self.stdout.write(name)
