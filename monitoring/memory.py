"""What a leader must still know when it is started while PostgreSQL is away: kept in a file.

Note [Memory]
Without a database a leader judges by the rules, silences, channels and on-call plan that it knew last. One that is
killed meanwhile and started again has never known any, and would call nobody but those of the settings; and the serials
of alerts, which are part of the ids by which receivers know repeats, would begin again. So what a tick leaves is
written to a file when it has changed, with the alerts that are open. The channels in it are sealed as they are in the
database. A file that cannot be read or written is reported once, and keeps nobody from judging.
"""

import dataclasses
import json
import os
import tempfile
import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog

from monitoring.alerting import Judging
from monitoring.core.alerts import Alert, Labels, Silence, Stage
from monitoring.core.ladders import Roster
from monitoring.core.oncall import Override, Plan
from monitoring.core.rules import read_rule
from monitoring.store.channels import Channel

log = structlog.get_logger(__name__)

#: seconds after which alerts that were open say nothing about what is so
GOOD_FOR = 3_600.0


class Memory:
    """A file of one leader. For one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept = ""
        self._failed = False

    def keep(self, judging: Judging, alerts: Iterable[Alert]) -> None:
        """Write what is known, if it has changed. alerts: those that are open."""
        text = json.dumps(_document(judging, alerts), default=str, sort_keys=True)
        if text == self._kept:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # Of a leader that is killed while it writes, the file before is left.
            handle, name = tempfile.mkstemp(dir=self._path.parent, prefix=".pulse-")
            with os.fdopen(handle, "w") as file:
                file.write(text)
            os.replace(name, self._path)
        except OSError as error:
            self._report(error)
            return
        self._kept, self._failed = text, False

    def recall(self, judging: Judging) -> None:
        """Put what is known into `judging`."""
        try:
            old = time.time() - self._path.stat().st_mtime > GOOD_FOR
            _recall(json.loads(self._path.read_text()), judging, with_alerts=not old)
        except FileNotFoundError:
            return
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            self._report(error)

    def _report(self, error: Exception) -> None:
        if not self._failed:
            self._failed = True
            log.error("pulse_memory_failed", file=str(self._path), error=error)


def _document(judging: Judging, alerts: Iterable[Alert]) -> dict[str, Any]:
    return {
        "rules": [rule.document() for rule in judging.rules.values()],
        "serials": [[rule, labels, serial] for (rule, labels), serial in judging.serials.items()],
        "silences": [dataclasses.asdict(one) for one in judging.silences],
        "plan": judging.roster.plan.model_dump(),
        "overrides": [
            {**dataclasses.asdict(one), "starts": one.starts.isoformat(), "ends": one.ends.isoformat()}
            for one in judging.roster.overrides
        ],
        "channels": [dataclasses.asdict(one) for one in judging.channels.values()],
        "alerts": [dataclasses.asdict(one) for one in alerts],
    }


def _recall(found: Mapping[str, Any], judging: Judging, *, with_alerts: bool) -> None:
    # Everything is read before anything is put: half of a file is none.
    rules = {rule.name: rule for rule in map(read_rule, found["rules"])}
    serials = {(rule, _labels(labels)): int(serial) for rule, labels, serial in found["serials"]}
    silences = [Silence(**one) for one in found["silences"]]
    overrides = [
        Override(
            **{**one, "starts": datetime.fromisoformat(one["starts"]), "ends": datetime.fromisoformat(one["ends"])}
        )
        for one in found["overrides"]
    ]
    channels = {one["name"]: Channel(**one) for one in found["channels"]}
    plan = Plan.model_validate(found["plan"])
    alerts = [
        Alert(
            **{
                **one,
                "labels": _labels(one["labels"]),
                "stage": Stage(one["stage"]),
                "announced": Stage(one["announced"]) if one["announced"] else None,
                "told": tuple(one["told"]),
            }
        )
        for one in found["alerts"]
    ]
    judging.rules, judging.serials, judging.silences = rules, serials, silences
    judging.roster, judging.channels = Roster(plan, overrides, frozenset(channels)), channels
    judging.open = alerts if with_alerts else ()


def _labels(listed: Any) -> Labels:
    return tuple((str(name), str(value)) for name, value in listed)
