"""The values of the Helm chart: the page values.yaml, and the JSON Schema that helm holds values against."""

from collections.abc import Mapping
from typing import Any, Final

import yaml

_HEAD: Final = """# Values of the chart, made by `manage.py chart` of deploy/k8s/overlays/production. Put yours into a
# file of your own: a name that is not here is refused, and so is a value of another kind (values.schema.json).
"""
#: what each is for, in the order of the page
ABOUT: Final = {
    "production": (
        "Values below that are examples are refused, and so is an image without a digest. false: this is a trial, and",
        "they are accepted.",
    ),
    "image": ("Yours. tag names the digest too: 0.1.0@sha256:…",),
    "hosts": ("Yours: names under which people reach it, without scheme; the first is the public one.",),
    "settings": (
        "Settings of all processes (docs/reference/settings.md), without secrets and without what a container sets",
        "itself. ERIP_ALLOWED_HOSTS and ERIP_PUBLIC_URL come from hosts, unless they are set here.",
    ),
    "secrets": ("Names of Secrets in the namespace of the release, which you make (docs/how-to/kubernetes.md).",),
    "replicas": (
        "web: by CPU, in percent of what it requests. General workers: as the autoscaler decides (ERIP_AUTOSCALE_…",
        "among the settings), or KEDA between min and max.",
    ),
    "resources": ("Of each container. There is no limit of CPU: it would hold back a process while its node is idle.",),
    "network": (
        "Peers of NetworkPolicies, which only you know: the ingress; PostgreSQL, Redis and the Sentinels; the API",
        "server; issuers of tokens; what CloudNativePG's instances reach (the API server, an object store); and who",
        "asks their figures.",
    ),
    "components": ("Parts for operators, as in deploy/k8s/components. keda takes the place of the autoscaler.",),
    "postgres": (
        "With components.cloudnativePg. storage: as CloudNativePG's Cluster has it, such as {size, storageClass}.",
        "sharedBuffers: a quarter of its memory. backup.store: as the ObjectStore of its plugin for Barman Cloud has",
        "it, with your bucket and the Secret of its keys; backup.schedule begins with the seconds.",
    ),
    "redis": ("With components.redis. image: of Redis 7, and better with its digest. storage: of each of the three.",),
    "prometheus": ("With components.keda.",),
    "externalSecrets": ("With components.externalSecrets.",),
    "priorityClasses": ("They are the cluster's: false for a second release in it.",),
}


def page(values: Mapping[str, Any]) -> str:
    """values.yaml. Raises ValueError if a value is not described, or one that is described is not there."""
    if different := sorted(values.keys() ^ ABOUT.keys()):
        raise ValueError(f"values: {', '.join(different)}")
    parts = [_HEAD]
    for name, about in ABOUT.items():
        parts += [f"# {line}\n" for line in about]
        parts.append(yaml.safe_dump({name: values[name]}, sort_keys=False, width=10_000, default_flow_style=False))
    return "".join(parts)


_NAME: Final = {"type": "string", "pattern": r"^[a-z0-9]([-a-z0-9]{0,251}[a-z0-9])?$"}
_COUNT: Final = {"type": "integer", "minimum": 0, "maximum": 10_000}
_QUANTITY: Final = {
    "anyOf": [
        {"type": "number", "exclusiveMinimum": 0},
        {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$"},
    ]
}
_FLAG: Final = {"type": "boolean"}
_HOST: Final = {"type": "string", "pattern": r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?(:[0-9]{1,5})?$", "maxLength": 253}


def _object(properties: Mapping[str, Any], *, optional: bool = False) -> dict[str, Any]:
    made: dict[str, Any] = {"type": "object", "additionalProperties": False, "properties": dict(properties)}
    return made if optional else made | {"required": list(properties)}


_MORE_AND_LESS: Final = {"min": _COUNT | {"minimum": 1}, "max": _COUNT | {"minimum": 1}}
_RESOURCES: Final = _object(
    {
        "requests": _object({"cpu": _QUANTITY, "memory": _QUANTITY}),
        "limits": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"cpu": _QUANTITY, "memory": _QUANTITY},
            "required": ["memory"],
        },
    }
)
#: Kubernetes looks at what is in them
_PEERS: Final = {"type": "array", "minItems": 1, "items": {"type": "object", "minProperties": 1}}


def schema(values: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Of all values; `settings` is the JSON Schema of one of them."""
    counts = {
        name: _object(
            _MORE_AND_LESS | ({"cpu": {"type": "integer", "minimum": 1, "maximum": 100}} if "cpu" in one else {})
        )
        if isinstance(one, dict)
        else _COUNT
        for name, one in values["replicas"].items()
    }
    known = {
        "production": _FLAG,
        "image": _object(
            {
                "repository": {"type": "string", "pattern": r"^[a-z0-9.-]+(:[0-9]{1,5})?(/[a-z0-9._-]+)*$"},
                "tag": {
                    "type": "string",
                    "pattern": r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}(@sha256:[0-9a-f]{64})?$",
                    # Tomorrow it is another image.
                    "not": {"const": "latest"},
                },
            }
        ),
        "hosts": {"type": "array", "minItems": 1, "items": _HOST},
        "settings": settings,
        "secrets": _object(dict.fromkeys(values["secrets"], _NAME)),
        "replicas": _object(counts),
        "resources": _object(dict.fromkeys(values["resources"], _RESOURCES)),
        "network": _object(dict.fromkeys(values["network"], _PEERS)),
        "components": _object(dict.fromkeys(values["components"], _FLAG)),
        "postgres": _object(
            {
                "instances": _COUNT | {"minimum": 1},
                "storage": {"type": "object", "required": ["size"], "properties": {"size": _QUANTITY}},
                "resources": _RESOURCES,
                "sharedBuffers": {"type": "string", "pattern": r"^[0-9]+(kB|MB|GB)$"},
                "backup": _object(
                    {
                        "store": {
                            "type": "object",
                            "required": ["destinationPath"],
                            "properties": {"destinationPath": {"type": "string", "pattern": "^[a-z0-9]+://.+"}},
                        },
                        "retention": {"type": "string", "pattern": "^[1-9][0-9]*[dwm]$"},
                        "schedule": {"type": "string", "pattern": r"^\S+( \S+){5}$"},
                    }
                ),
            }
        ),
        "redis": _object(
            {
                "image": {"type": "string", "pattern": r"^[a-z0-9.-]+(:[0-9]{1,5})?(/[a-z0-9._-]+)*:[A-Za-z0-9_].*$"},
                "storage": _QUANTITY,
            }
        ),
        "prometheus": _object({"address": {"type": "string", "pattern": "^https?://[^/@ ]+$"}}),
        "externalSecrets": _object(
            {"store": _object({"kind": {"enum": ["SecretStore", "ClusterSecretStore"]}, "name": _NAME})}
        ),
        "priorityClasses": _FLAG,
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Values of the chart erip",
        # helm adds `global` of itself.
        **_object({**known, "global": {"type": "object"}}, optional=True),
        "required": list(known),
    }
