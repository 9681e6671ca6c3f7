"""Settings of PULSE: docs/how-to/monitoring.md says what they do."""

from .declared import Declarations
from .values import file_or_server, http_url

_env = Declarations("Monitoring")

ERIP_PULSE = _env.flag(
    "ERIP_PULSE", True, "Whether processes report and leaders watch ([monitoring](../how-to/monitoring.md))."
)
ERIP_PULSE_EVERY_SECONDS = _env.number(
    "ERIP_PULSE_EVERY_SECONDS",
    5.0,
    "Seconds between two looks of a probe; what is older is shown as unknown.",
    above=0,
    most=3600,
)
ERIP_PULSE_PATRONI_URLS: list[str] = _env.items(
    "ERIP_PULSE_PATRONI_URLS",
    [],
    "Addresses of Patroni's REST API, as `https://10.0.0.1:8008`; empty: not watched.",
    form=http_url,
)
ERIP_PULSE_ETCD_URLS: list[str] = _env.items(
    "ERIP_PULSE_ETCD_URLS", [], "Addresses of etcd, as `https://10.0.0.1:2379`; empty: not watched.", form=http_url
)
ERIP_PULSE_CA = _env.text("ERIP_PULSE_CA", "", "PEM file of the authority of etcd's and Patroni's certificates.")
ERIP_PULSE_CERTIFICATE = _env.text(
    "ERIP_PULSE_CERTIFICATE", "", "PEM file with a certificate and its key, which etcd and Patroni may ask for."
)
ERIP_PULSE_PATRONI_CA = _env.text(
    "ERIP_PULSE_PATRONI_CA", "", "The same as `ERIP_PULSE_CA` for Patroni alone.", shown="`ERIP_PULSE_CA`"
)
ERIP_PULSE_PATRONI_CERTIFICATE = _env.text(
    "ERIP_PULSE_PATRONI_CERTIFICATE",
    "",
    "The same as `ERIP_PULSE_CERTIFICATE` for Patroni alone.",
    shown="`ERIP_PULSE_CERTIFICATE`",
)
ERIP_PULSE_HAPROXY = _env.text(
    "ERIP_PULSE_HAPROXY", "", "HAProxy's stats socket: a path, or `host:port`; empty: not watched.", form=file_or_server
)
ERIP_PULSE_CERTIFICATES: list[str] = _env.items(
    "ERIP_PULSE_CERTIFICATES",
    [],
    "PEM files, and `host:port` or `postgres://host:port` of TLS servers, whose certificates must not expire.",
    form=file_or_server,
)
ERIP_ALERT_WEBHOOKS: list[str] = _env.items(
    "ERIP_ALERT_WEBHOOKS", [], "URLs that alerts are posted to ([alerts](../how-to/alerts.md)).", secret=True
)
ERIP_ALERT_WEBHOOK_SECRET = _env.text(
    "ERIP_ALERT_WEBHOOK_SECRET", "", "`whsec_…`: signs them (Standard Webhooks). Leaders alone need it.", secret=True
)
ERIP_ALERT_EMAILS: list[str] = _env.items(
    "ERIP_ALERT_EMAILS", [], "Addresses that alerts are mailed to, by ERIP_EMAIL_URL."
)
ERIP_RELEASE = _env.text(
    "ERIP_RELEASE",
    "",
    "What you call this release, as `2.4.0` or a commit: error groups say in which they were seen; empty: ERIP's version.",
)
ERIP_ALERT_SLACK: list[str] = _env.items(
    "ERIP_ALERT_SLACK", [], "URLs of Slack's incoming webhooks ([channels](../how-to/channels.md)).", secret=True
)
ERIP_ALERT_TEAMS: list[str] = _env.items(
    "ERIP_ALERT_TEAMS", [], "URLs of Microsoft Teams' workflows that alerts are posted to.", secret=True
)
ERIP_ALERT_PAGERDUTY: list[str] = _env.items(
    "ERIP_ALERT_PAGERDUTY", [], "Integration keys of PagerDuty's Events API v2.", secret=True
)
ERIP_ALERT_PAGERDUTY_URL = _env.text(
    "ERIP_ALERT_PAGERDUTY_URL",
    "https://events.pagerduty.com/v2/enqueue",
    "Where PagerDuty takes events; in Europe `https://events.eu.pagerduty.com/v2/enqueue`.",
    form=http_url,
)
ERIP_OTLP_ENDPOINT = _env.text(
    "ERIP_OTLP_ENDPOINT",
    "",
    "Where OpenTelemetry's collector takes OTLP over HTTP, as `http://10.0.0.9:4318`; empty: nothing is sent.",
    form=http_url,
)
ERIP_OTLP_HEADERS: list[str] = _env.items(
    "ERIP_OTLP_HEADERS", [], "Headers for it, as `authorization=Bearer …`.", secret=True
)
ERIP_OTLP_TRACES = _env.number(
    "ERIP_OTLP_TRACES",
    0.0,
    "Which share of the runs is sent there as traces, from 0 to 1 ([OpenTelemetry](../how-to/opentelemetry.md)).",
    unit="share",
    least=0,
    most=1,
)
ERIP_ALERT_HEARTBEAT_URL = _env.text(
    "ERIP_ALERT_HEARTBEAT_URL",
    "",
    "Posted to after each judged frame: a service outside notices when that ends ([alerts](../how-to/alerts.md)).",
    secret=True,
    form=http_url,
)
ERIP_CONTROL_FRAMEWORKS: list[str] = _env.items(
    "ERIP_CONTROL_FRAMEWORKS",
    [],
    "Frameworks that you answer to, as `soc2,gdpr`: a check of theirs that fails raises an alert ([controls](../how-to/controls.md)).",
)
