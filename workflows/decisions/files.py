"""Decision tables as files: YAML, JSON, DMN, CSV and XLSX."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final

import orjson
import yaml

from erip.foundation import json_values
from erip.foundation.faults import Fault
from workflows.core.source import Media, SourceInvalid
from workflows.core.source import read as read_source
from workflows.core.tables.dmn import read_dmn, write_dmn
from workflows.core.tables.document import TableInvalid
from workflows.core.tables.sheet import read_csv, write_csv
from workflows.core.tables.workbook import read_xlsx, write_xlsx


class Language(StrEnum):
    YAML = "yaml"
    JSON = "json"
    DMN = "dmn"
    CSV = "csv"
    XLSX = "xlsx"


MEDIA_TYPES: Final = {
    Language.YAML: "application/yaml", Language.JSON: "application/json", Language.DMN: "application/xml",
    Language.CSV: "text/csv", Language.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}  # fmt: skip


def read_document(source: bytes, language: Language, *, decision: str | None = None) -> dict[str, Any]:
    """The document in a file; `document.read` says whether it is a table. Raises TableInvalid.

    decision: the one to take of a DMN file, the sheet to take of a workbook, that has several; None: there must be one.
    """
    try:
        if language is Language.DMN:
            document = _of_dmn(source, decision)
        elif language is Language.CSV:
            document = read_csv(source)
        elif language is Language.XLSX:
            document = read_xlsx(source, sheet=decision)
        else:
            media: Media = "json" if language is Language.JSON else "yaml"
            return read_source(source, media, kind="a decision table", keys="inputs, outputs and rules")
    except SourceInvalid as error:
        raise TableInvalid(error.faults) from None
    if unfit := json_values.faults(document):
        raise TableInvalid(unfit)
    return document


def _of_dmn(source: bytes, decision: str | None) -> dict[str, Any]:
    found = read_dmn(source)
    if decision is not None and decision in found.documents:
        return found.documents[decision]
    if found.faults:
        raise TableInvalid(found.faults)
    if len(found.documents) != 1:
        names = ", ".join(repr(name[:60]) for name in list(found.documents)[:20]) or "none"
        raise TableInvalid([Fault("", f"name the decision to take; in the file there are: {names}")])
    return next(iter(found.documents.values()))


def write_document(name: str, document: Mapping[str, Any], language: Language) -> bytes:
    """Raises TableInvalid."""
    write: dict[Language, Callable[[], bytes]] = {
        Language.YAML: lambda: as_yaml(document).encode(),
        Language.JSON: lambda: orjson.dumps(document, option=orjson.OPT_INDENT_2),
        Language.DMN: lambda: write_dmn(name, dict(document)),
        Language.CSV: lambda: write_csv(document),
        Language.XLSX: lambda: write_xlsx(name, document),
    }
    return write[language]()


def as_yaml(document: Mapping[str, Any]) -> str:
    return str(yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True, width=120))
