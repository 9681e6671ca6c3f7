"""Which settings may be among the values of the Helm chart, and what each may be: made of their declarations."""

from typing import Any, Final

from erip.management.settings_pages import setting_schema
from erip.ops.kubernetes import kustomize
from erip.ops.kubernetes.chart import MANIFESTS
from erip.settings.declared import DECLARED

#: settings of others that the processes read: libpq and Django
_OF_OTHERS: Final = "^(PG[A-Z]+|DJANGO_SETTINGS_MODULE)$"


def schema() -> dict[str, Any]:
    """All values are texts, as a ConfigMap has them. Secrets are none of them, only the files that hold them; nor is
    what a container sets itself, which would win silently."""
    taken = {
        one["name"]
        for document in kustomize.documents(MANIFESTS / "overlays" / "production")
        for container in kustomize.containers(document)
        if any("configMapRef" in source for source in container.get("envFrom", []))
        for one in container.get("env", [])
    }
    properties: dict[str, Any] = {}
    for one in DECLARED.values():
        if one.by_file:
            properties[f"{one.name}_FILE"] = {"type": "string", "pattern": "^/"}
        if not one.secret:
            properties[one.name] = _as_text(setting_schema(one))
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {name: one for name, one in sorted(properties.items()) if name not in taken},
        "patternProperties": {_OF_OTHERS: {"type": "string"}},
    }


def _as_text(one: dict[str, Any]) -> dict[str, Any]:
    if "enum" in one:
        return {"enum": one["enum"]}
    for each in one.get("anyOf", []):
        if each["type"] == "string":
            return {"type": "string", "pattern": each["pattern"]}
    return {"type": "string"}
