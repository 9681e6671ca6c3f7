"""What the event bus adds to the platform."""

from typing import Any

from erip.access.origins import reserve
from erip.foundation.hooks import (
    Feature,
    Link,
    Menu,
    Recorded,
    api_urls,
    append_only,
    as_owner,
    event_effect,
    feature,
    interest,
    light_routes,
    menu,
    recorded,
    unchanging,
    unrecorded,
    walled,
    worker_step,
)
from workflows import walls
from workflows.core.lifecycle import OWN_SOURCES, OWN_TYPES
from workflows.events import gathering, janitor, moving, opening, register, related, types  # noqa: F401  (their own hooks)
from workflows.events.conf import conf
from workflows.events.interest import SOURCES
from workflows.events.sealing import KeysEffect
from workflows.events.store import months
from workflows.events.streaming.announcing import StreamsEffect
from workflows.events.subscriptions import SubscriptionsEffect
from workflows.events.triggers import Triggers


@light_routes
def routes() -> object:
    from workflows.events.api.light import ROUTES

    return ROUTES


for switch in (
    Feature(
        "event-effects",
        "Events are accepted and logged, and none takes effect: none starts a run, wakes one or reaches a subscription"
        " or a listener. When it is on again, all of them do, in their order.",
        on=True,
    ),
    Feature(
        "webhook-deliveries",
        "No event is posted to a subscription's address. Deliveries wait, and none is lost.",
        on=True,
    ),
    Feature(
        "event-streams",
        "Nobody begins to listen to events: 503. Streams that are open go on.",
        on=True,
        about=("user", "key", "token"),
        share_of="callers",
    ),
    Feature(
        "event-replays",
        "Events of the log do not take effect again: to ask for it is answered with 503, whichever door it comes"
        " through. To ask what would happen goes on.",
        on=True,
        about=("user", "key", "token"),
        share_of="callers",
    ),
):
    feature(switch)
reserve(segment=OWN_SOURCES.strip("/"), types=OWN_TYPES)
api_urls("workflows.events.api.urls")
for effect in (Triggers(), SubscriptionsEffect(), StreamsEffect(), KeysEffect()):
    event_effect(effect)
for source in SOURCES:
    interest(source)
worker_step("workflows.events.bootstep:EventConsumer")
worker_step("workflows.events.deliverystep:EventDeliverer")
menu(
    Menu(
        "Events",
        (
            Link("Log", "list_alt", "admin:events_logentry_changelist", "events.view_logentry"),
            Link("Partitions", "splitscreen", "admin:events_partition_changelist", "events.view_partition"),
            Link("Triggers", "bolt", "admin:events_trigger_changelist", "events.view_trigger"),
            Link("Pending starts", "hourglass_top", "admin:events_pendingstart_changelist", "events.view_pendingstart"),
            Link("Types", "schema", "admin:events_eventtype_changelist", "events.view_eventtype"),
            Link("Subscriptions", "webhook", "admin:events_subscription_changelist", "events.view_subscription"),
            Link("Deliveries", "outgoing_mail", "admin:events_delivery_changelist", "events.view_delivery"),
            Link("Dead letters", "report", "admin:events_deadletter_changelist", "events.view_deadletter"),
            Link("Quotas", "speed", "admin:events_sourcequota_changelist", "events.view_sourcequota"),
        ),
        place=20,
    )
)

for table in ("events_event", "events_eventtypeversion", "events_triggerversion"):
    append_only(table)
for table in ("events_identity", "events_pendingevent"):
    unchanging(table)
for policy in walls.EVENTS.items():
    walled(policy)

recorded(Recorded("events_subscription", hashed=("subject",), without=("failing_since",)))
# Only what people decide about a dead letter; the event is the log's.
recorded(
    Recorded(
        "events_deadletter",
        only=("attempts", "resolution", "resolved_at", "resolved_by"),
        verbs=("UPDATE", "DELETE"),
    )
)
for table in ("events_event", "events_logentry", "events_block", "events_identity", "events_triggeredrun"):
    unrecorded((table, "the log of events itself, to which thousands a second are added"))
for table in ("events_partition", "events_consumer", "events_streamedtype", "events_triggermark", "events_sourceusage"):
    unrecorded((table, "how far the platform's own processes are"))
for table in ("events_pendingstart", "events_pendingevent"):
    unrecorded((table, "events that wait for others; the run that they start has an entry"))
for table in ("events_delivery", "events_deliveryattempt"):
    unrecorded((table, "a log itself: what was sent to whom"))


@as_owner
def keep_log(cursor: Any) -> None:
    months.promise(cursor, conf().keep_months)
