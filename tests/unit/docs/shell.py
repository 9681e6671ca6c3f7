"""Commands in the documentation, read as a shell reads them, and checked by what would read them: Django's parsers, the
Makefile, the OpenAPI document."""

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson
import typer.main
from django.core.management import CommandError, get_commands, load_command_class
from jsonschema import Draft202012Validator

from erip.foundation.http.documents import _document
from erip.ops.stack.state import ROOT
from erip_client.cli.app import build

#: programs of the machine, whose options are not ours
OTHERS = {
    "export",
    "printf",
    "cat",
    "mkdir",
    "touch",
    "sed",
    "cd",
    "echo",
    "git",
    "python3",
    "pip",
    "source",
    "for",
    "done",
    "do",
}
OTHERS |= {
    "ls",
    "head",
    "tail",
    "sudo",
    "jq",
    "docker",
    "kubectl",
    "tee",
    "ssh",
    "rsync",
    "cp",
    "systemctl",
    "uv",
    "tar",
}
#: programs of ours that a test checks in another way
MAKE_VARIABLES = {"PYTHON", "VENV"}


def commands(text: str) -> Iterator[list[str]]:
    """Each simple command as its words; here-documents, comments and settings before a command are left out."""
    text = re.sub(r"^\$ ", "", text, flags=re.MULTILINE)
    text = re.sub(r"<<'?(\w+)'?\n.*?^\1$", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"(?:^|[ \t])#[ ].*$", "", text.replace("\\\n", " "), flags=re.MULTILINE)
    lexer = shlex.shlex(text, posix=True, punctuation_chars=";&|\n")
    lexer.whitespace = " \t"
    lexer.commenters = ""
    lexer.whitespace_split = True
    words: list[str] = []
    for token in [*lexer, "\n"]:
        if set(token) <= set(";&|\n"):
            while words and re.match(r"^[A-Z_]+=", words[0]):
                words = [*_substituted(words[0]), *words[1:]]
            if words:
                yield words
            words = []
        else:
            words.append(token)


def _substituted(setting: str) -> list[str]:
    """`RUN=$(curl` begins a command of its own."""
    value = setting.partition("=")[2]
    return [value[2:]] if value.startswith("$(") else []


def fault(words: Sequence[str]) -> str | None:
    """What is wrong with the command; None if nothing is. "unknown program" for one that nothing here knows."""
    program, rest = Path(words[0].removeprefix("$(")).name, list(words[1:])
    if program in ("python", "python3") and rest[:1] == ["-m"]:
        return _module(rest[1], rest[2:])
    if program == "python" and rest and Path(rest[0]).name == "manage.py":
        return _manage(rest[1:])
    if program == "manage.py":
        return _manage(rest)
    if program == "erip":
        return _erip([word.rstrip(")") for word in rest])
    if program == "make":
        return _make(rest)
    if program == "curl":
        return _curl(rest)
    return None if program in OTHERS else f"unknown program {program}"


def _manage(words: list[str]) -> str | None:
    known = get_commands()
    if words[0] not in known:
        return f"manage.py has no command {words[0]}"
    command = load_command_class(known[words[0]], words[0])
    if words[0] == "stack":
        return None
    parser = command.create_parser("manage.py", words[0])
    parser.exit_on_error = False

    def refuse(message: str) -> None:
        raise CommandError(message)

    parser.error = refuse
    try:
        parser.parse_args(words[1:])
    except (CommandError, SystemExit) as error:
        return f"manage.py {' '.join(words)}: {error}"
    return None


def _erip(words: list[str]) -> str | None:
    """Read by the program itself, which is not run."""
    command: Any = typer.main.get_command(build())
    try:
        while hasattr(command, "commands"):
            name, words = words[0], words[1:]
            if name.startswith("-"):
                return None  # of the program as a whole, such as --help
            if name not in command.commands:
                return f"erip has no command {name}"
            command = command.commands[name]
        command.make_context(command.name, words)
    except (IndexError, typer.TyperException) as error:
        return f"erip {command.name}: {getattr(error, 'format_message', error.__str__)()}"
    return None


def _make(words: list[str]) -> str | None:
    text = (ROOT / "Makefile").read_text()
    checks = re.search(r"^CHECKS := (.*)$", text, re.MULTILINE)
    targets = {*re.findall(r"^([a-z-]+):", text, re.MULTILINE), *(checks[1].split() if checks else ())}
    variables = {*re.findall(r"^([A-Z_]+) \?=", text, re.MULTILINE), *MAKE_VARIABLES}
    for word in words:
        name, setting, _ = word.partition("=")
        if setting and name not in variables and not name.startswith("ERIP_"):
            return f"make: no variable {name}"
        if not setting and name not in targets:
            return f"make: no target {name}"
    return None


def _module(name: str, words: list[str]) -> str | None:
    try:
        spec = find_spec(name)
        main = find_spec(f"{name}.__main__") if spec and spec.submodule_search_locations else spec
    except ModuleNotFoundError:
        return f"no module {name}"
    if main is None or not main.origin:
        return f"{name} is no program"
    source = Path(main.origin)
    texts = "\n".join(path.read_text() for path in source.parent.glob("*.py")) if source.is_relative_to(ROOT) else ""
    for word in words:
        if word.startswith("--") and texts and f'"{word.partition("=")[0]}"' not in texts:
            return f"{name} has no option {word}"
    return None


# --- requests


@cache
def document() -> Any:
    return orjson.loads(_document())


def _curl(words: list[str]) -> str | None:
    method, body, address, types, binary = "", None, "", "", False
    values = iter(words)
    for word in values:
        if word in ("-X", "--request"):
            method = next(values)
        elif word in ("-d", "--data", "--data-binary", "--json"):
            body = next(values)
        elif word in ("-H", "--header"):
            header = next(values)
            types = header.partition(":")[2].strip() if header.lower().startswith("content-type") else types
            # An event in headers: the body is its data, of any type.
            binary = binary or header.lower().startswith("ce-")
        elif word in ("-w", "-o", "--max-time"):
            next(values)
        elif not word.startswith("-"):
            address = address or word
    if "$ERIP" not in address and "/api/v1" not in address and not address.startswith("/"):
        return None if "://" in address else f"curl: no address in {' '.join(words)}"
    path = address.partition("?")[0].removeprefix("$ERIP").rstrip(")")
    return request_fault(method or ("POST" if body else "GET"), path, None if binary else body, types)


def request_fault(method: str, path: str, body: str | None = None, types: str = "application/json") -> str | None:
    """What the OpenAPI document has against this request; None if nothing."""
    if path.startswith(("/health", "/admin", "/reports", "/metrics")) or path in ("/api/docs", "/api/schema"):
        return None
    # An address that is written out comes before one with a place for a name.
    paths = sorted(document()["paths"].items(), key=lambda pair: pair[0].count("{"))
    found = next((item for template, item in paths if _fits(template, path)), None)
    if found is None:
        return f"no address {path}"
    operation = found.get(method.lower())
    if operation is None:
        return f"{path} has no {method}"
    if body is None or not body.lstrip().startswith(("{", "[")):
        return None
    try:
        value = json.loads(body)
    except ValueError as error:
        return f"{path}: the body is not JSON: {error}"
    contents = operation["requestBody"]["content"]
    schema = contents.get(types.partition(";")[0] or "application/json")
    if schema is None:
        return f"{path} takes no {types}"
    return schema_fault(schema["schema"], value)


def schema_fault(schema: Any, value: Any) -> str | None:
    """The first thing that a schema of the OpenAPI document has against a value."""
    whole = {**schema, "components": document()["components"]}
    errors = sorted(Draft202012Validator(whole).iter_errors(value), key=str)
    return f"{errors[0].json_path}: {errors[0].message}" if errors else None


def _fits(template: str, path: str) -> bool:
    wanted = re.sub(r"\\\{[^}]*\\\}", "[^/]+", re.escape(template))
    return re.fullmatch(wanted, path) is not None
