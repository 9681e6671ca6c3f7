"""How what was found is printed: for people, as SARIF 2.1.0 (OASIS), and as GitHub's workflow commands.

Names of files, keys and words of definitions come from whoever wrote them. So no output has a control character of
theirs: a line of a log that begins with `::` is a command to GitHub, and an escape sequence is one to a terminal.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

import orjson

from workflows.core.places import START, Place
from workflows.management.validation.checked import Checked

SARIF_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_RULES = {
    "erip/definition": "Something is wrong with a workflow definition.",
    "erip/feasible": "A definition is valid, and may not be meant so.",
    "erip/unreadable": "A file could not be read.",
}
_RULE_OF = {"error": "erip/definition", "warning": "erip/feasible"}


def human(checked: Sequence[Checked]) -> str:
    """A line for each fault, as compilers write them, and one for each valid file."""
    lines: list[str] = []
    for one in checked:
        if one.workflow is not None:
            lines.append(f"{one.file}: {one.workflow} is valid")
        if one.unreadable is not None:
            lines.append(f"{one.file}: {one.unreadable}")
        for finding in one.faults:
            lines.append(f"{one.file}:{finding.place.line}:{finding.place.column}: {finding.fault}")
        for finding in one.warnings:
            lines.append(f"{one.file}:{finding.place.line}:{finding.place.column}: warning: {finding.fault}")
    return "".join(f"{printable(line)}\n" for line in lines)


def github(checked: Sequence[Checked]) -> str:
    """A workflow command for each fault, which GitHub shows beside the line."""
    return "".join(
        f"::{level} file={_property(file)},line={place.line},col={place.column},title={_property(title)}"
        f"::{_data(text)}\n"
        for file, place, title, text, _, level in _every(checked)
    )


def sarif(checked: Sequence[Checked]) -> str:
    """One run of the tool, a result for each fault."""
    results = [
        {
            "ruleId": rule,
            "level": level,
            "message": {"text": f"{title}: {text}" if title else text},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": _uri(file)},
                        "region": {"startLine": place.line, "startColumn": place.column},
                    },
                    **({"logicalLocations": [{"fullyQualifiedName": title}]} if title else {}),
                }
            ],
        }
        for file, place, title, text, rule, level in _every(checked)
    ]
    rules = [{"id": id, "shortDescription": {"text": text}} for id, text in _RULES.items()]
    driver: dict[str, Any] = {"name": "erip validate", "version": _version(), "rules": rules}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "artifacts": [{"location": {"uri": _uri(one.file)}} for one in checked],
        "results": results,
    }
    document = {"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()


FORMATS: dict[str, Callable[[Sequence[Checked]], str]] = {"human": human, "github": github, "sarif": sarif}


def printable(text: str) -> str:
    """The text with each character that is not printed written as an escape."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def _every(checked: Sequence[Checked]) -> Iterator[tuple[str, Place, str, str, str, str]]:
    """(file, place, path, message, rule, level) of each fault and warning."""
    for one in checked:
        if one.unreadable is not None:
            yield one.file, START, "", printable(one.unreadable), "erip/unreadable", "error"
        for level, findings in (("error", one.faults), ("warning", one.warnings)):
            for finding in findings:
                fault, rule = finding.fault, _RULE_OF[level]
                yield one.file, finding.place, printable(fault.path), printable(fault.message), rule, level


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(printable(text)).replace(":", "%3A").replace(",", "%2C")


def _uri(file: str) -> str:
    """Relative to where the command runs, as code scanning wants it, if the file is below."""
    path = os.path.relpath(file) if os.path.isabs(file) and not os.path.relpath(file).startswith("..") else file
    return quote(os.fsencode(PurePath(path).as_posix()))


def _version() -> str:
    try:
        return version("erip")
    except PackageNotFoundError:
        return "0"
