"""The options that say which runs are meant, for every command that takes some."""

from typing import Annotated, Any

import typer

from .words import safe

Text = str | None


def _option(*names: str, help: str, metavar: str = "TEXT") -> Any:
    return Annotated[Text, typer.Option(*names, metavar=metavar, help=help)]


_MOMENT = "2026-11-23T08:00:00Z"
#: by the API's name of the filter: the option
OPTIONS: dict[str, tuple[Any, Any]] = {
    "workflow": (_option("--workflow", metavar="NAME", help="Of this workflow."), None),
    "status": (_option("--state", "--status", metavar="STATE", help="In this state: FAILED, RUNNING, …"), None),
    "lane": (_option("--lane", metavar="LANE", help="critical, high, standard or bulk."), None),
    "business_key": (_option("--key", "-k", metavar="KEY", help="With this business key."), None),
    "business_key_prefix": (_option("--key-prefix", metavar="TEXT", help="Whose key begins so."), None),
    "business_key_contains": (_option("--key-part", metavar="TEXT", help="Whose key holds this text."), None),
    "error_code": (_option("--error-code", metavar="CODE", help="That failed with this code."), None),
    "failed_step": (_option("--failed-step", metavar="STEP", help="That failed because of this step."), None),
    "created_after": (_option("--created-after", metavar="TIME", help=f"RFC 3339: {_MOMENT}."), None),
    "created_before": (_option("--created-before", metavar="TIME", help="As above."), None),
    "ended_after": (_option("--ended-after", metavar="TIME", help="As above."), None),
    "ended_before": (_option("--ended-before", metavar="TIME", help="As above."), None),
    "retried": (
        Annotated[bool | None, typer.Option("--retried/--not-retried", help="Whether they have a retry.")],
        None,
    ),
}


def chosen(values: dict[str, Any]) -> dict[str, Any]:
    """Those that are given, as the API has them."""
    found = {name: value for name, value in values.items() if value is not None}
    if "status" in found:
        found["status"] = str(found["status"]).upper()
    return found


def in_words(found: dict[str, Any]) -> str:
    """`workflow triage, status FAILED`: what a question shows before many runs are changed."""
    words = (f"{name.replace('_', ' ')} {value}" for name, value in found.items() if name not in ("ids", "retried"))
    more = [f"{len(found['ids'])} ids"] if "ids" in found else []
    if "retried" in found:
        more.append("retried" if found["retried"] else "not retried")
    return safe(", ".join([*words, *more]))
