"""The shipped files, and rows as text."""

from datetime import date
from pathlib import Path
from typing import Any, Final

import yaml

from workflows import library

FOLDER: Final = Path(library.__file__).parent


def definitions() -> dict[str, str]:
    """The source of each shipped definition, by name: a file has the name of its definition."""
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted((FOLDER / "definitions").glob("*.yaml"))}


def fixture(name: str) -> Any:
    """A file of reference data, such as decision-tables.yaml; of a folder with several lists, such as obligations, all
    their rows."""
    path = FOLDER / "fixtures" / name
    if path.is_dir():
        return [row for file in sorted(path.glob("*.yaml")) for row in yaml.safe_load(file.read_text(encoding="utf-8"))]
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def as_text(value: Any) -> str:
    """The value as YAML, one line for each field, in the order given: for people, and for comparing line by line."""
    return str(yaml.safe_dump(_plain(value), sort_keys=False, allow_unicode=True, width=10_000))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.isoformat() if isinstance(value, date) else value
