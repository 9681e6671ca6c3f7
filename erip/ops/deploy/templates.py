"""Renders one file of `deploy/`. A template that uses a name without a value is an error, never an empty string."""

import re
from pathlib import Path
from typing import Any

from django.template import Context, Engine

from erip.ops.deploy.errors import DeployError

FOLDER = Path(__file__).resolve().parents[3] / "deploy"
_MISSING = "\N{REPLACEMENT CHARACTER}missing:%s\N{REPLACEMENT CHARACTER}"
# The four formats put values in quotes or between spaces: no value may hold a character that ends one.
_UNSAFE = re.compile(r"[\x00-\x20\x7f\"'\\#{}\N{REPLACEMENT CHARACTER}]")
_ENGINE = Engine(autoescape=False, string_if_invalid=_MISSING)


def breaks_out(value: str) -> bool:
    """Whether it holds a character that may not stand in one of these files."""
    return bool(_UNSAFE.search(value))


def render(template: str, values: dict[str, Any]) -> str:
    """The text of `deploy/<template>`. Raises DeployError for a value that is missing or could break out."""
    faults = [f"{path}: {value!r} holds a space, a quote or another character that may not stand in it"
              for path, value in _strings("", values) if breaks_out(value)]  # fmt: skip
    if faults:
        raise DeployError([f"{template}: {fault}" for fault in faults])
    # Text only: Django formats numbers by settings that nobody needs here.
    text = _ENGINE.from_string((FOLDER / template).read_text()).render(Context(_texts(values)))
    missing = sorted(set(re.findall(_MISSING % "([^\N{REPLACEMENT CHARACTER}]*)", text)))
    if missing:
        raise DeployError([f"{template}: no value for {name}" for name in missing])
    return "\n".join(line.rstrip() for line in text.splitlines()).rstrip() + "\n"


def _texts(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _texts(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_texts(one) for one in value]
    return value if value is None or isinstance(value, bool) else str(value)


def _strings(path: str, value: Any) -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [pair for key, one in value.items() for pair in _strings(f"{path}.{key}".lstrip("."), one)]
    if isinstance(value, (list, tuple)):
        return [pair for index, one in enumerate(value) for pair in _strings(f"{path}[{index}]", one)]
    return [(path, str(value))] if isinstance(value, (str, Path)) else []
