"""The rules as files for Prometheus and Alertmanager: `deploy/monitoring` has the shipped ones."""

from collections.abc import Iterable
from typing import Any

import yaml

from monitoring.alerting import shipped
from monitoring.core.promql import inhibit_rules, rule_file
from monitoring.core.rules import Rule

_MADE = "# Made by `manage.py {command}`: change the rules, not this file.\n"


def prometheus_rules(rules: Iterable[Rule] | None = None, command: str = "reference prometheus-rules") -> str:
    """A rule file. rules: without them, the shipped ones."""
    return _MADE.format(command=command) + _yaml(rule_file(_listed(rules)))


def alertmanager(rules: Iterable[Rule] | None = None, command: str = "reference alertmanager") -> str:
    """What groups and inhibits alerts as PULSE does. Where they are sent is for you to write."""
    route = {
        "receiver": "erip",
        "group_by": ["cause"],
        "group_wait": "5s",
        "group_interval": "10s",
        "repeat_interval": "4h",
    }
    document = {"route": route, "receivers": [{"name": "erip"}], "inhibit_rules": inhibit_rules(_listed(rules))}
    return _MADE.format(command=command) + _yaml(document)


def _listed(rules: Iterable[Rule] | None) -> list[Rule]:
    return list(shipped().values() if rules is None else rules)


def _yaml(document: Any) -> str:
    return yaml.safe_dump(document, sort_keys=False, width=110, allow_unicode=True)
