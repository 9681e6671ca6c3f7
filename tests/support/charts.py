"""Renders the templates of deploy/helm/erip without helm: the forms of erip/ops/kubernetes/chart.py, and no others.

Where helm is installed a test compares both, so that this is known to be what helm makes.
"""

import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from erip.ops.kubernetes.chart import FOLDER
from erip.ops.kubernetes.kustomize import hash_of

Values = Mapping[str, Any]
_PATH = r"\.(?:Values|Release)(?:\.\w+)+"
_LINE = re.compile(rf"\{{\{{- (?:if (not )?({_PATH})|end) \}}\}}")
_EXPRESSION = re.compile(r"\{\{ (.+?) \}\}")


def helm() -> str:
    """The path of helm; without it the test is skipped."""
    found = os.environ.get("ERIP_TEST_HELM") or shutil.which("helm")
    if found is None:
        pytest.skip(
            "helm is not installed (or named by ERIP_TEST_HELM): the chart is read by tests/support/charts.py alone"
        )
    return found


def defaults() -> dict[str, Any]:
    return yaml.safe_load((FOLDER / "values.yaml").read_text())  # type: ignore[no-any-return]


def render(values: Values, *, namespace: str = "erip", revision: int = 1) -> list[dict[str, Any]]:
    """The objects of the chart. Raises ValueError for a form that is not known here."""
    text = texts(values, namespace=namespace, revision=revision)
    return [one for each in text.values() for one in yaml.safe_load_all(each) if one]


def texts(values: Values, *, namespace: str = "erip", revision: int = 1) -> dict[str, str]:
    """The same as they are written, by the name of the template."""
    scope = {"Values": values, "Release": {"Namespace": namespace, "Revision": revision}}
    return {path.name: _rendered(path, scope) for path in sorted((FOLDER / "templates").glob("*.yaml"))}


def _rendered(path: Path, scope: Values) -> str:
    kept, conditions = [], [True]
    for line in path.read_text().splitlines():
        if line.startswith("{{-"):
            block = _LINE.fullmatch(line)
            if block is None:
                raise ValueError(f"{path.name}: {line}")
            if block[2] is None:
                conditions.pop()
            else:
                conditions.append(bool(_value(block[2], scope)) is not bool(block[1]))
        elif all(conditions):
            kept.append(_EXPRESSION.sub(lambda found: _evaluated(found[1], scope), line))
    if len(conditions) != 1:
        raise ValueError(f"{path.name}: a block is not ended")
    return "\n".join(kept)


def _value(path: str, scope: Any) -> Any:
    for step in path.split(".")[1:]:
        scope = scope[step]
    return scope


def settings(values: Values) -> dict[str, str]:
    own = {"ERIP_ALLOWED_HOSTS": ",".join(values["hosts"]), "ERIP_PUBLIC_URL": f"https://{values['hosts'][0]}"}
    return own | values["settings"]


def _evaluated(text: str, scope: Values) -> str:
    if text == 'include "erip.settings" .':
        return json.dumps(settings(scope["Values"]))
    form = text.removesuffix(" | toJson")
    if form == text:
        raise ValueError(text)
    if form == 'include "erip.settingsName" .':
        return json.dumps(f"erip-settings-{hash_of(settings(scope['Values']))}")
    if form == "list (first .Values.hosts)":
        return json.dumps([scope["Values"]["hosts"][0]])
    if printed := re.fullmatch(rf'printf "([^"]+)"((?: {_PATH})+)', form):
        return json.dumps(printed[1] % tuple(_value(path, scope) for path in printed[2].split()))
    if re.fullmatch(_PATH, form):
        return json.dumps(_value(form, scope))
    raise ValueError(text)
