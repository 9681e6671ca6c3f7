"""PULSE's settings, typed: the one place of this app that reads Django's settings."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings


@dataclass(frozen=True, slots=True)
class Conf:
    #: whether processes report, and leaders collect
    enabled: bool
    #: seconds between two looks of a probe
    every: float
    #: kombu's URL of the broker, the name of the master, and the Sentinels' password
    broker: str
    sentinel_master: str
    sentinel_password: str
    #: what its connections take for TLS (`broker_tls.tls_options`); None: there is none
    broker_tls: dict[str, Any] | None
    #: REST addresses of Patroni, client addresses of etcd; empty: not probed
    patroni: tuple[str, ...]
    etcd: tuple[str, ...]
    #: the authority, and the own certificate with its key: for etcd, and for Patroni
    ca: str
    certificate: str
    patroni_ca: str
    patroni_certificate: str
    #: HAProxy's stats socket: a path, or host:port
    haproxy: str
    #: the directory whose disk is watched
    disk: Path
    #: who hears of alerts, by the settings: `webhook:<url>`, `mail:<address>`, `slack:<url>`, `teams:<url>` and
    #: `pagerduty:<key>`; what signs the webhooks, and where PagerDuty takes events
    targets: tuple[str, ...]
    webhook_secret: str
    pagerduty_url: str
    #: pinged after each frame that was judged; "": nothing is
    heartbeat_url: str
    #: PEM files and host:port of TLS servers whose certificates are watched
    certificates: tuple[str, ...]
    #: the address of OpenTelemetry's collector, and headers as `name=value`; empty: nothing is sent
    otlp: str
    otlp_headers: tuple[str, ...]
    #: the share of runs whose traces are sent there, from 0 to 1
    otlp_traces: float
    #: what this deployment calls its release
    release: str
    #: names of the frameworks that it answers to: a failing check of theirs raises an alert
    frameworks: tuple[str, ...]


@cache
def conf() -> Conf:
    known: Any = settings
    return Conf(
        enabled=known.ERIP_PULSE,
        every=known.ERIP_PULSE_EVERY_SECONDS,
        broker=known.ERIP_BROKER_URL,
        sentinel_master=known.ERIP_SENTINEL_MASTER,
        sentinel_password=known.ERIP_SENTINEL_PASSWORD,
        broker_tls=known.CELERY_BROKER_USE_SSL or None,
        patroni=tuple(known.ERIP_PULSE_PATRONI_URLS),
        etcd=tuple(known.ERIP_PULSE_ETCD_URLS),
        ca=known.ERIP_PULSE_CA,
        certificate=known.ERIP_PULSE_CERTIFICATE,
        patroni_ca=known.ERIP_PULSE_PATRONI_CA or known.ERIP_PULSE_CA,
        patroni_certificate=known.ERIP_PULSE_PATRONI_CERTIFICATE or known.ERIP_PULSE_CERTIFICATE,
        haproxy=known.ERIP_PULSE_HAPROXY,
        disk=Path(known.ERIP_STATE_DIR),
        targets=(
            *(f"webhook:{url}" for url in known.ERIP_ALERT_WEBHOOKS),
            *(f"mail:{address}" for address in known.ERIP_ALERT_EMAILS),
            *(f"slack:{url}" for url in known.ERIP_ALERT_SLACK),
            *(f"teams:{url}" for url in known.ERIP_ALERT_TEAMS),
            *(f"pagerduty:{key}" for key in known.ERIP_ALERT_PAGERDUTY),
        ),
        pagerduty_url=known.ERIP_ALERT_PAGERDUTY_URL,
        heartbeat_url=known.ERIP_ALERT_HEARTBEAT_URL,
        webhook_secret=known.ERIP_ALERT_WEBHOOK_SECRET,
        certificates=tuple(known.ERIP_PULSE_CERTIFICATES),
        otlp=known.ERIP_OTLP_ENDPOINT,
        otlp_headers=tuple(known.ERIP_OTLP_HEADERS),
        otlp_traces=known.ERIP_OTLP_TRACES if known.ERIP_OTLP_ENDPOINT else 0.0,
        release=(known.ERIP_RELEASE or _version(known.BASE_DIR))[:100],
        frameworks=tuple(known.ERIP_CONTROL_FRAMEWORKS),
    )


def _version(root: Path) -> str:
    """ERIP's own version."""
    try:
        return str(tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["version"])
    except (OSError, ValueError, KeyError):
        return "unknown"
