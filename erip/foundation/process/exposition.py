"""The metrics of this process in Prometheus' text format."""

from prometheus_client import CollectorRegistry, generate_latest

from erip.foundation.hooks import metrics


def exposition() -> bytes:
    """What all registries of this process hold (`hooks.metrics`)."""
    registries: tuple[CollectorRegistry, ...] = metrics.all()
    return b"".join(generate_latest(registry) for registry in registries)
