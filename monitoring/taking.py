"""Somebody takes an alert on: its ladder stops, and channels that can show it do."""

import time

from django.db import transaction

from monitoring import store
from monitoring.alerting import in_force
from monitoring.channels import KINDS
from monitoring.core.alerts import Announcement, Stage, cause_of
from monitoring.messages import body_of, taken_on_id
from monitoring.reaching import heard_by
from monitoring.store import listing

#: channels that show who has taken it on, or stop calling by themselves
_SHOWN_IN = frozenset(KINDS) & {"slack", "teams", "pagerduty"}


def take_on(number: int, *, by: str, note: str) -> bool:
    """False if it has ended, or somebody has it already."""
    with transaction.atomic():
        if not listing.acknowledge(number, by=by, note=note):
            return False
        alert = store.alert_of(number)
        if alert is not None and alert.announced is Stage.FIRING:
            rules = in_force(store.read_own_rules())
            body = body_of(
                Announcement(cause_of(alert, rules), (alert,)), rules, store.impact_of_alert(number), time.time()
            )
            body |= {"state": "acknowledged", "title": f"{by} has taken it on: {body['title']}"}
            channels = store.channels()
            targets = dict.fromkeys([*heard_by(channels.values(), page=body["severity"] == "page"), *alert.told])
            kinds = {f"channel:{one.name}": one.kind for one in channels.values()}
            store.put_pages(
                [
                    (taken_on_id(alert), target, body)
                    for target in targets
                    if kinds.get(target, target.partition(":")[0]) in _SHOWN_IN
                ]
            )
        return True
