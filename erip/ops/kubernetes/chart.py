"""Makes the Helm chart deploy/helm/erip of the overlay for production and of the components: nothing stands in both.

Each object of deploy/k8s becomes a template, in which the places of `_opened` are values. Their defaults are what
stands there, so that the chart as it is makes what the overlay makes; a test compares them. Templates use few forms, so
that the test can read them where there is no helm:

    {{ .Values.a.b | toJson }}    {{ .Release.Namespace | toJson }}    {{ printf "…%s" .Values.a.b | toJson }}
    {{ include "erip.settings" . }}    {{- if .Values.a }}    {{- if not .Values.a }}    {{- end }}

JSON is YAML as well: a value never changes what stands around it, whatever it is.
"""

import copy
import json
import re
from collections.abc import Mapping
from typing import Any, Final

import yaml

from erip.ops.kubernetes import chart_examples, chart_values, kustomize
from erip.ops.kubernetes.kustomize import Built, Document
from erip.ops.stack.state import ROOT

FOLDER: Final = ROOT / "deploy" / "helm" / "erip"
MANIFESTS: Final = ROOT / "deploy" / "k8s"
#: the folder of a component, and the value that turns it on
COMPONENTS: Final = {
    "cloudnative-pg": "cloudnativePg",
    "external-secrets": "externalSecrets",
    "external-secrets-backup": "externalSecretsBackup",
    "external-secrets-metrics": "externalSecretsMetrics",
    "external-secrets-redis": "externalSecretsRedis",
    "keda": "keda",
    "prometheus-operator": "prometheusOperator",
    "redis": "redis",
    "token-issuers": "tokenIssuers",
}
MADE: Final = "# Made by `manage.py chart` of deploy/k8s: change it there.\n"
#: what the chart has not: helm keeps its own record in the namespace, which must be there before
_LEFT_OUT: Final = frozenset({"Namespace"})


class _Plain(yaml.SafeDumper):
    """Without anchors, which are a file's and not an object's."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


class Opener:
    """Puts values in the places of objects, and remembers what stood there as their defaults."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self._expressions: list[str] = []

    def expression(self, text: str) -> str:
        """A mark that stands for it until the template is written."""
        self._expressions.append(text)
        return f"HELM-{len(self._expressions) - 1}-"

    def default(self, path: str, value: Any) -> None:
        """Raises ValueError if it has another one already: two places that differ cannot be one value."""
        at = self.values
        *way, last = path.split(".")
        for step in way:
            at = at.setdefault(step, {})
        if at.setdefault(last, value) != value:
            raise ValueError(f"{path}: {value!r} and {at[last]!r}")

    def put(self, where: Any, key: Any, path: str) -> None:
        self.default(path, where[key])
        where[key] = self.expression(f".Values.{path} | toJson")

    def written(self, document: Document) -> str:
        text = yaml.dump(document, Dumper=_Plain, sort_keys=False, width=10_000, allow_unicode=True)
        if "{{" in text:
            raise ValueError(f"{' '.join(kustomize.key_of(document))}: helm would read what stands in it as a template")
        return re.sub(r"HELM-(\d+)-", lambda found: f"{{{{ {self._expressions[int(found[1])]} }}}}", text)


def files(settings: Mapping[str, Any]) -> dict[str, str]:
    """The files of the chart, by name; `settings` is the JSON Schema of settings that may be among the values."""
    base = kustomize.build(MANIFESTS / "overlays" / "production")
    opener = Opener()
    given = _settings_of(base)
    templates: dict[str, list[str]] = {}
    for one, condition in _with_conditions(base):
        if one.document["kind"] in _LEFT_OUT:
            continue
        document = copy.deepcopy(one.document)
        _opened(document, opener)
        text = f"---\n{opener.written(document)}"
        if condition:
            text = f"{{{{- if {condition} }}}}\n{text}{{{{- end }}}}\n"
        templates.setdefault(_file_of(one), []).append(text)
    opener.values["hosts"] = given.pop("ERIP_ALLOWED_HOSTS").split(",")
    if given.pop("ERIP_PUBLIC_URL") != f"https://{opener.values['hosts'][0]}":
        raise ValueError("ERIP_PUBLIC_URL: not the first of ERIP_ALLOWED_HOSTS")
    opener.values["settings"] = given
    opener.values["components"] = dict.fromkeys(COMPONENTS.values(), False)
    opener.values["priorityClasses"] = True
    opener.values["production"] = True
    image = opener.values["image"]
    return {
        "Chart.yaml": _about(image["tag"]),
        "values.yaml": chart_values.page(opener.values),
        "values.schema.json": json.dumps(chart_values.schema(opener.values, settings), indent=2, ensure_ascii=False)
        + "\n",
        "templates/_helpers.tpl": _HELPERS + chart_examples.refusal(),
        **{f"templates/{name}": MADE + "".join(parts) for name, parts in sorted(templates.items())},
    }


def write(settings: Mapping[str, Any]) -> list[str]:
    """Write the chart, and remove what is no part of it any more. Returns the names of its files."""
    made = files(settings)
    for path in [path for path in FOLDER.rglob("*") if path.is_file()]:
        if str(path.relative_to(FOLDER)) not in made:
            path.unlink()
    for name, text in made.items():
        (FOLDER / name).parent.mkdir(parents=True, exist_ok=True)
        (FOLDER / name).write_text(text)
    return sorted(made)


def _with_conditions(base: list[Built]) -> list[tuple[Built, str]]:
    """Each object, and what has to hold for it to be there. Raises ValueError if a component changes an object."""
    there = {one.key: one.document for one in base}
    gone: dict[tuple[str, str], list[str]] = {}
    added: list[tuple[Built, str]] = []
    for name, value in COMPONENTS.items():
        found = kustomize.build(MANIFESTS / "overlays" / "production", components=[MANIFESTS / "components" / name])
        for key in there.keys() - {one.key for one in found}:
            gone.setdefault(key, []).append(value)
        for one in found:
            if one.key not in there:
                added.append((one, f".Values.components.{value}"))
            elif one.document != there[one.key]:
                raise ValueError(f"the component {name} changes {' '.join(one.key)}")
    result = []
    for one in base:
        conditions = [f"not .Values.components.{value}" for value in gone.get(one.key, [])]
        if one.document["kind"] == "PriorityClass":
            conditions.append(".Values.priorityClasses")
        if len(conditions) > 1:
            raise ValueError(f"{' '.join(one.key)}: several conditions")
        result.append((one, "".join(conditions)))
    return result + added


def _file_of(one: Built) -> str:
    if one.source.parent.parent.name == "components":
        return f"{one.source.parent.name}-{one.source.stem}.yaml"
    return f"{one.source.stem}.yaml"


def _settings_of(base: list[Built]) -> dict[str, str]:
    (found,) = [one.document["data"] for one in base if one.document["kind"] == "ConfigMap"]
    return dict(found)


# --- the places -------------------------------------------------------------------------------------------


def _opened(document: Document, opener: Opener) -> None:
    kind, name = kustomize.key_of(document)
    _in_namespace(document, opener)
    if kind == "ConfigMap":
        document["metadata"]["name"] = opener.expression('include "erip.settingsName" . | toJson')
        # Pods of the release before go on with the settings that they were started with.
        document["metadata"]["annotations"] = {"helm.sh/resource-policy": "keep"}
        document["data"] = opener.expression('include "erip.settings" .')
    elif kind in ("Deployment", "Job"):
        _of_workload(document, opener)
    elif kind == "StatefulSet":
        _of_redis(document, opener)
    elif kind == "HorizontalPodAutoscaler":
        opener.put(document["spec"], "minReplicas", "replicas.web.min")
        opener.put(document["spec"], "maxReplicas", "replicas.web.max")
        opener.put(document["spec"]["metrics"][0]["resource"]["target"], "averageUtilization", "replicas.web.cpu")
    elif kind == "NetworkPolicy" and name in _PEERS:
        direction, side, path = _PEERS[name]
        (rule,) = document["spec"][direction]
        opener.put(rule, side, f"network.{path}")
    elif kind in _OF_OPERATORS:
        _OF_OPERATORS[kind](document["spec"], opener)
        if kind == "ExternalSecret":
            _secret(document["metadata"], "name", opener)


#: policies whose peers only the site knows
_PEERS: Final = {
    "ingress-to-web": ("ingress", "from", "ingress"),
    "platform-to-postgres": ("egress", "to", "postgres"),
    "platform-to-redis": ("egress", "to", "redis"),
    "autoscaler-to-kubernetes": ("egress", "to", "kubernetes"),
    "web-to-issuers": ("egress", "to", "issuers"),
    "postgres-to-kubernetes": ("egress", "to", "fromPostgres"),
    "prometheus-to-postgres": ("ingress", "from", "prometheus"),
}
#: Secrets that the site makes, and their names among the values
SECRETS: Final = {
    "erip": "platform",
    "erip-broker": "broker",
    "erip-owner": "owner",
    "erip-outgoing": "outgoing",
    "erip-leader": "leader",
    "erip-flower": "flower",
    "erip-metrics": "metrics",
    "erip-redis": "redis",
}


def _in_namespace(document: Document, opener: Opener) -> None:
    namespace = document["metadata"].get("namespace")
    if namespace is None:
        return
    for one in (document["metadata"], *document.get("subjects", [])):
        one["namespace"] = opener.expression(".Release.Namespace | toJson")
    names = document.get("spec", {}).get("dnsNames", []) if document["kind"] == "Certificate" else []
    for at, name in enumerate(names):
        if found := re.fullmatch(rf"(.+)\.{namespace}(|\.svc|\.svc\.cluster\.local)", name):
            names[at] = opener.expression(f'printf "{found[1]}.%s{found[2]}" .Release.Namespace | toJson')


def _of_workload(document: Document, opener: Opener) -> None:
    pod = kustomize.pod_of(document) or {}
    short = _camel(document["metadata"]["name"].removeprefix("erip-"))
    if document["kind"] == "Job":
        # A Job does not change: each revision of the release has one of its own.
        document["metadata"]["name"] = opener.expression(
            f'printf "{document["metadata"]["name"]}-%d" .Release.Revision | toJson'
        )
    elif "replicas" in document["spec"]:
        opener.put(document["spec"], "replicas", f"replicas.{short}")
    for one in kustomize.containers(document):
        _image(one, opener)
        opener.put(one, "resources", f"resources.{short}")
        for source in one.get("envFrom", []):
            if "configMapRef" in source:
                source["configMapRef"]["name"] = opener.expression('include "erip.settingsName" . | toJson')
            else:
                _secret(source["secretRef"], "name", opener)
    for volume in pod.get("volumes", []):
        if "secret" in volume:
            _secret(volume["secret"], "secretName", opener)
        for source in volume.get("projected", {}).get("sources", []):
            _secret(source["secret"], "name", opener)


def _of_redis(document: Document, opener: Opener) -> None:
    pod = kustomize.pod_of(document) or {}
    _image(pod["initContainers"][0], opener)
    for one in pod["containers"]:
        opener.put(one, "image", "redis.image")
        opener.put(one, "resources", f"resources.{one['name']}")
    for volume in pod["volumes"]:
        if "secret" in volume:
            _secret(volume["secret"], "secretName", opener)
    (claim,) = document["spec"]["volumeClaimTemplates"]
    opener.put(claim["spec"]["resources"]["requests"], "storage", "redis.storage")


def _image(one: dict[str, Any], opener: Opener) -> None:
    repository, _, tag = one["image"].rpartition(":")
    opener.default("image.repository", repository)
    opener.default("image.tag", tag)
    one["image"] = opener.expression('printf "%s:%s" .Values.image.repository .Values.image.tag | toJson')


def _secret(where: dict[str, Any], key: str, opener: Opener) -> None:
    # Others are made by cert-manager, from certificates of the chart.
    if path := SECRETS.get(where[key]):
        opener.put(where, key, f"secrets.{path}")


def _cluster(spec: dict[str, Any], opener: Opener) -> None:
    opener.put(spec, "instances", "postgres.instances")
    opener.put(spec, "storage", "postgres.storage")
    opener.put(spec, "resources", "postgres.resources")
    opener.put(spec["postgresql"]["parameters"], "shared_buffers", "postgres.sharedBuffers")


def _backed_up(spec: dict[str, Any], opener: Opener) -> None:
    opener.put(spec, "schedule", "postgres.backup.schedule")


def _stored(spec: dict[str, Any], opener: Opener) -> None:
    opener.put(spec, "configuration", "postgres.backup.store")
    opener.put(spec, "retentionPolicy", "postgres.backup.retention")


def _scaled(spec: dict[str, Any], opener: Opener) -> None:
    opener.put(spec, "minReplicaCount", "replicas.worker.min")
    opener.put(spec, "maxReplicaCount", "replicas.worker.max")
    for one in spec["triggers"]:
        if one["type"] == "prometheus":
            opener.put(one["metadata"], "serverAddress", "prometheus.address")


def _scraped(spec: dict[str, Any], opener: Opener) -> None:
    spec["staticConfigs"][0]["targets"] = opener.expression("list (first .Values.hosts) | toJson")
    _secret(spec["authorization"]["credentials"], "name", opener)


def _external(spec: dict[str, Any], opener: Opener) -> None:
    _secret(spec["target"], "name", opener)
    opener.put(spec, "secretStoreRef", "externalSecrets.store")


_OF_OPERATORS: Final = {
    "Cluster": _cluster,
    "ScheduledBackup": _backed_up,
    "ObjectStore": _stored,
    "ScaledObject": _scaled,
    "ScrapeConfig": _scraped,
    "ExternalSecret": _external,
}


def _camel(name: str) -> str:
    first, *rest = name.split("-")
    return first + "".join(one.capitalize() for one in rest)


# --- the rest ---------------------------------------------------------------------------------------------


def _about(tag: str) -> str:
    return (
        f"{MADE}apiVersion: v2\nname: erip\ntype: application\nversion: {tag}\nappVersion: {json.dumps(tag)}\n"
        "description: ERIP, enterprise-risk workflows, as deploy/k8s/overlays/production has it\n"
        # matchLabelKeys of topologySpreadConstraints
        "kubeVersion: '>=1.27.0-0'\n"
    )


_HELPERS: Final = """{{- /* Made by `manage.py chart`: change erip/ops/kubernetes/chart.py. */ -}}
{{- /* Settings of all processes. Addresses are of the first host, unless settings say more. */ -}}
{{- define "erip.settings" -}}
{{- include "erip.examples" . -}}
{{- $own := dict "ERIP_ALLOWED_HOSTS" (join "," .Values.hosts) -}}
{{- $_ := set $own "ERIP_PUBLIC_URL" (printf "https://%s" (first .Values.hosts)) -}}
{{- mergeOverwrite $own .Values.settings | toJson -}}
{{- end -}}
{{- /* The name ends with a hash of the content, as kustomize makes it: a changed setting replaces the pods. */ -}}
{{- define "erip.settingsName" -}}
{{- $content := printf `{"data":%s,"kind":"ConfigMap","name":""}` (include "erip.settings" .) -}}
{{- $hash := $content | sha256sum | trunc 10 -}}
{{- $hash = $hash | replace "0" "g" | replace "1" "h" | replace "3" "k" | replace "a" "m" | replace "e" "t" -}}
erip-settings-{{ $hash }}
{{- end -}}
"""
