"""Rules of this site from a file: all of them or none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from erip.foundation.faults import Fault
from monitoring import store
from monitoring.alerting import shipped
from monitoring.core.rules import MOST_RULES, BadRules, Rule, read_rules
from monitoring.store import listing


@dataclass(frozen=True, slots=True)
class Applied:
    """Names of rules. off: shipped ones that are switched off from now on."""

    new: Sequence[str]
    changed: Sequence[str]
    same: Sequence[str]
    off: Sequence[str]
    deleted: Sequence[str]


def read_file(document: Mapping[str, Any]) -> tuple[list[Rule], list[str]]:
    """The rules of a file, and the shipped ones that it switches off (`off: [name]`). Raises BadRules with every
    fault."""
    off = document.get("off", [])
    faults = []
    if not isinstance(off, list):
        faults.append(Fault("off", "must be a list of names of shipped rules"))
        off = []
    for number, name in enumerate(off[:MOST_RULES]):
        if name not in shipped():
            faults.append(Fault(f"off[{number}]", "is no shipped rule"))
    try:
        rules = read_rules({key: value for key, value in document.items() if key != "off"})
    except BadRules as error:
        raise BadRules([*faults, *error.faults]) from error
    faults += [
        Fault(f"off[{number}]", "is among `rules` as well")
        for number, name in enumerate(off)
        if any(rule.name == name for rule in rules)
    ]
    if faults:
        raise BadRules(faults)
    return rules, list(dict.fromkeys(off))


def apply(rules: Sequence[Rule], off: Sequence[str], *, by: str, prune: bool) -> Applied:
    """Keep these rules. prune: and no others of this site. Raises BadRules: there would be too many."""
    wanted: dict[str, Rule | None] = {rule.name: rule for rule in rules} | dict.fromkeys(off)
    with transaction.atomic():
        own = {name: row["document"] for name, row in listing.own_rules().items()}
        documents = {name: rule.document() if rule is not None else None for name, rule in wanted.items()}
        gone = sorted(set(own) - set(wanted)) if prune else []
        if len((set(own) | set(wanted)) - set(gone)) > MOST_RULES:
            raise BadRules([Fault("rules", f"a site has at most {MOST_RULES} rules; --prune deletes those not here")])
        for name, rule in wanted.items():
            if name not in own or own[name] != documents[name]:
                store.put_rule(name, rule, by=by)
        for name in gone:
            store.drop_rule(name)
    kept = [name for name in documents if documents[name] is not None]
    return Applied(
        new=sorted(name for name in kept if name not in own),
        changed=sorted(name for name in kept if name in own and own[name] != documents[name]),
        same=sorted(name for name in documents if name in own and own[name] == documents[name]),
        off=sorted(name for name in off if name not in own or own[name] is not None),
        deleted=gone,
    )
