"""Our own rules about what an overlay makes: each is a file of deploy/k8s/policy, in Rego (openpolicyagent.org).

Rules see all objects at once, for some of them are about two: a Deployment and its budget, a pod and its policies.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from regopy import Bundle, Interpreter

from erip.ops.stack.state import ROOT

FOLDER: Final = ROOT / "deploy" / "k8s" / "policy"
#: what no rule asks about: it only takes time
_PASSED_OVER: Final = frozenset({"Certificate", "Issuer"})
_HEAD: Final = re.compile(r"# METADATA\n# title: (.+)\n# description: (.+)\npackage erip\.(\w+)\n")


@dataclass(frozen=True, slots=True)
class Rule:
    """name: as it is reported. why: one or two sentences. package: its name in Rego, below `erip`."""

    name: str
    why: str
    package: str


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """rule: its name. what: `Deployment/erip-web: web: no limits of memory`."""

    rule: str
    what: str


@cache
def rules() -> tuple[Rule, ...]:
    """All of them, by name. Raises ValueError for a file without a name and a reason."""
    found = []
    for path in sorted(FOLDER.glob("*.rego")):
        if path.stem == "lib":
            continue
        head = _HEAD.match(path.read_text())
        if head is None or head[3] != path.stem:
            raise ValueError(f"{path}: it does not begin with its title, its description and its package")
        found.append(Rule(*head.groups()))
    return tuple(found)


@cache
def _judge() -> Interpreter:
    made = Interpreter()
    for path in sorted(FOLDER.glob("*.rego")):
        made.add_module(path.stem, path.read_text())
    return made


@cache
def _question(asked: tuple[Rule, ...]) -> Bundle:
    """Compiled once: that takes longer than an answer."""
    deny = ", ".join(f'"{one.name}": data.erip.{one.package}.deny' for one in asked)
    return _judge().build(f"found := {{{deny}}}")


def faults(documents: Iterable[Mapping[str, Any]], only: Iterable[Rule] | None = None) -> list[Fault]:
    """What breaks a rule. Raises RuntimeError when a rule could not be asked: that is no consent."""
    asked = rules() if only is None else tuple(only)
    judge = _judge()
    judge.set_input({"documents": [_there(one) for one in documents if one["kind"] not in _PASSED_OVER]})
    answer = str(judge.query_bundle(_question(asked)))
    try:
        found = json.loads(answer)["bindings"]["found"]
        return sorted(Fault(one.name, what) for one in asked for what in found[one.name])
    except (ValueError, KeyError, TypeError) as error:
        raise RuntimeError(f"the rules gave no answer: {answer[:500]}") from error


#: maps of texts, in which null is the empty text and no absence
_TEXTS: Final = frozenset({"labels", "matchLabels", "annotations", "data", "stringData"})


def _there(node: Any, of: str = "") -> Any:
    """Without what is null: Kubernetes reads `args: null` as no args, so no rule has to know of it."""
    if isinstance(node, Mapping):
        if of in _TEXTS:
            return {name: "" if value is None else value for name, value in node.items()}
        return {name: _there(value, name) for name, value in node.items() if value is not None}
    if isinstance(node, list):
        return [_there(value) for value in node if value is not None]
    return node
