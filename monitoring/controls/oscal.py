"""The controls as an OSCAL component definition (NIST, OSCAL 1.1.2, JSON).

It says what the platform does about each control, and not how it stands: that is in `standing`. What only OSCAL's own
vocabulary could say wrongly, such as that nothing is done about a control, is a property in a namespace of ours.
"""

import re
from collections.abc import Iterable
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from monitoring.controls.catalog import Control, Framework, frameworks, mechanisms

OSCAL_VERSION = "1.1.2"
NAMESPACE = "https://erip.invalid/ns/oscal"
#: when the files in this package were last gone through
REVISED = "2026-11-26T00:00:00Z"


def component_definition(names: Iterable[str] = ()) -> dict[str, Any]:
    """The document. names: of frameworks; without any, all. Raises KeyError."""
    chosen = [frameworks()[name] for name in (sorted(names) or frameworks())]
    return {
        "component-definition": {
            "uuid": _uuid("component-definition", *(one.name for one in chosen)),
            "metadata": {
                "title": "ERIP: what it does about the controls of frameworks",
                "last-modified": REVISED,
                "version": "1",
                "oscal-version": OSCAL_VERSION,
            },
            "components": [
                {
                    "uuid": _uuid("component"),
                    "type": "software",
                    "title": "ERIP",
                    "description": "Runs enterprise-risk workflows that must finish, on machines that fail.",
                    "control-implementations": [_implementation(one) for one in chosen],
                }
            ],
        }
    }


def control_id(text: str) -> str:
    """An id as OSCAL's tokens are written: `Art.21(2)(a)` is `art.21-2-a`."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-")


def _implementation(framework: Framework) -> dict[str, Any]:
    return {
        "uuid": _uuid(framework.name),
        "source": framework.source,
        "description": f"{framework.title}. {framework.note}",
        "implemented-requirements": [_requirement(one) for one in framework.controls],
    }


def _requirement(control: Control) -> dict[str, Any]:
    said = [mechanisms()[name] for name in control.by]
    told = " ".join(one.does for one in said) or "The platform does nothing about it."
    coverage = "covered" if said and not control.gap else "partial" if said else "not-covered"
    props = [_prop("label", control.id), _prop("coverage", coverage)]
    props += [_prop("mechanism", one.name) for one in said]
    props += [_prop("live-check", name) for name in sorted({name for one in said for name in one.checks})]
    props += [_prop("evidence", name) for name in sorted({name for one in said for name in one.evidence})]
    found: dict[str, Any] = {
        "uuid": _uuid(control.framework, control.id),
        "control-id": control_id(control.id),
        "description": f"{control.about}: {told}",
        "props": props,
    }
    if control.gap:
        found["remarks"] = control.gap
    return found


def _prop(name: str, value: str) -> dict[str, str]:
    return {"name": name, "ns": NAMESPACE, "value": value}


def _uuid(*parts: str) -> str:
    return str(uuid5(NAMESPACE_URL, "/".join((NAMESPACE, *parts))))
