"""Workflows: list, read, check and publish definitions; the steps that they can use."""

from collections.abc import Sequence
from typing import Annotated

import typer

from erip_client.errors import Fault, Invalid, Refused
from erip_client.models.workflows import Warned

from ..exits import Exit, status_of
from ..inputs import name_of_definition, read_bytes
from ..session import Session, command
from ..words import safe_block, since

Files = Annotated[list[str], typer.Argument(metavar="FILE...", help="Definitions, YAML or JSON; - is standard input.")]
Name = Annotated[
    str | None, typer.Option("--name", help="Of the workflow, where the definition's line `name:` is not found.")
]


def register(app: typer.Typer) -> None:
    command(app, "workflows")(workflows)
    command(app, "steps")(steps)
    command(app, "validate")(validate)
    command(app, "publish")(publish)


def workflows(
    erip: Session,
    name: Annotated[str | None, typer.Argument(help="Show this one, with its versions.")] = None,
    source: Annotated[bool, typer.Option("--source", help="Print the definition as it was published.")] = False,
    version: Annotated[int | None, typer.Option("--version", min=1, help="This version; the latest.")] = None,
) -> None:
    """List workflows, or show one."""
    if name is None:
        if source or version:
            raise typer.BadParameter("--source and --version need the NAME of a workflow.")
        return _list(erip)
    if source or version:
        number = version or erip.client.get_workflow(name).version
        found = erip.client.get_workflow_version(name, number)
        if erip.out.as_json:
            return erip.out.document(found)
        return print(safe_block(found.source).rstrip("\n"))
    one = erip.client.get_workflow(name)
    if erip.out.as_json:
        return erip.out.document(one)
    erip.out.line(f"{one.name}  version {one.version}  {one.lane} lane", "bold")
    if one.description:
        erip.out.line(one.description)
    rows = [(row.version, row.author, f"{since(row.created_at)} ago", row.hash[:12]) for row in one.versions]
    return erip.out.table(("VERSION", "BY", "PUBLISHED", "HASH"), rows)


def steps(erip: Session, name: Annotated[str | None, typer.Argument(help="Show this one's schemas.")] = None) -> None:
    """List the steps that definitions can use."""
    found = erip.client.list_step_types()
    if name is not None:
        matching = [one for one in found.items if one.name == name]
        if not matching:
            raise typer.BadParameter(f"There is no step {name!r}. `erip steps` lists those there are.")
        return erip.out.document(matching[0])
    if erip.out.as_json:
        return erip.out.document(found)
    return erip.out.table(("STEP", "SUMMARY"), [(one.name, one.summary) for one in found.items])


def validate(erip: Session, files: Files, name: Name = None) -> None:
    """Check definitions without publishing them. Every fault of every file is listed; status 6 if there is any."""
    results: list[dict[str, object]] = []
    worst = Exit.OK
    for file in files:
        content = read_bytes(file)
        try:
            found = erip.client.validate_workflow(name or name_of_definition(file, content), content)
        except Invalid as error:
            faults = error.faults or (Fault("", error.detail),)
            results.append({"file": file, "valid": False, "faults": [_fault(fault) for fault in faults]})
            worst = status_of(error)
            for fault in faults:
                _line(erip, f"{file}: {fault}")
        else:
            results.append({"file": file, "valid": True, "name": found.name, "faults": [], "warnings": found.warnings})
            _line(erip, f"{file}: {found.name} is valid: {len(found.steps)} steps, {found.lane} lane")
            _warn(erip, file, found.warnings)
    if erip.out.as_json:
        erip.out.document({"items": results})
    raise typer.Exit(worst)


def publish(erip: Session, files: Files, name: Name = None) -> None:
    """Publish definitions. The same content as the latest version changes nothing."""
    sources = [(file, read_bytes(file)) for file in files]
    named = [(file, name or name_of_definition(file, content), content) for file, content in sources]
    for file, workflow, content in named:
        try:
            published = erip.client.publish_workflow(workflow, content)
        except Refused as error:
            # Which of the files it was: those before it are published.
            error.faults = tuple(Fault(f"{file}: {fault.path}", fault.message) for fault in error.faults)
            error.detail = f"{file}: {error.detail}"
            raise
        if erip.out.as_json:
            erip.out.document(published, compact=True)
        else:
            erip.out.line(f"{published.name}  version {published.version}")
            _warn(erip, file, published.warnings)


def _list(erip: Session) -> None:
    found = list(erip.client.pages(erip.client.list_workflows, limit=200))
    if erip.out.as_json:
        return erip.out.document({"items": found})
    rows = [(one.name, one.version, one.lane, one.description) for one in found]
    return erip.out.table(("WORKFLOW", "VERSION", "LANE", "DESCRIPTION"), rows)


def _warn(erip: Session, file: str, warnings: Sequence[Warned]) -> None:
    for one in warnings:
        _line(erip, f"{file}: warning: {one.path}: {one.message}")


def _line(erip: Session, text: str) -> None:
    if not erip.out.as_json:
        erip.out.line(text)


def _fault(fault: Fault) -> dict[str, str]:
    return {"path": fault.path, "message": fault.message}
