"""The addresses of the event bus under /api/v1."""

from django.urls import path, register_converter
from django.urls.converters import IntConverter, StringConverter

from .rules import EVENT_TYPE, TRIGGER
from .views import deadletters, event_types, events, pending, stream, subscriptions, triggers


class EventPosition(StringConverter):
    regex = "[0-9]{1,5}-[0-9]{1,18}"


class LetterId(IntConverter):
    regex = "[0-9]{1,18}"


class TriggerName(StringConverter):
    regex = TRIGGER


class EventTypeName(StringConverter):
    regex = EVENT_TYPE


register_converter(TriggerName, "trigger")
register_converter(EventTypeName, "event_type")
register_converter(EventPosition, "position")
register_converter(LetterId, "letter")

urlpatterns = [
    path("events", events.Events.as_view()),
    path("events/stream", stream.EventsStream.as_view()),
    path("events/status", events.EventsStatus.as_view()),
    path("events/replay", events.EventsReplay.as_view()),
    path("events/dead-letters", deadletters.DeadLetters.as_view()),
    path("events/dead-letters/<letter:id>", deadletters.DeadLetterOne.as_view()),
    path("events/dead-letters/<letter:id>/retry", deadletters.DeadLetterRetry.as_view()),
    path("events/dead-letters/<letter:id>/discard", deadletters.DeadLetterDiscard.as_view()),
    path("events/<position:position>", events.EventOne.as_view()),
    path("events/<position:position>/open", events.EventOpen.as_view()),
    path("subscriptions", subscriptions.Subscriptions.as_view()),
    path("subscriptions/<id:id>", subscriptions.SubscriptionOne.as_view()),
    path("subscriptions/<id:id>/rotate-secret", subscriptions.SubscriptionSecret.as_view()),
    path("subscriptions/<id:id>/test", subscriptions.SubscriptionTest.as_view()),
    path("subscriptions/<id:id>/deliveries", subscriptions.SubscriptionDeliveries.as_view()),
    path("deliveries/<letter:id>", subscriptions.DeliveryOne.as_view()),
    path("deliveries/<letter:id>/redeliver", subscriptions.DeliveryAgain.as_view()),
    path("event-types", event_types.EventTypes.as_view()),
    path("event-types/<event_type:type>", event_types.EventTypeOne.as_view()),
    path("triggers", triggers.Triggers.as_view()),
    path("triggers/<trigger:name>", triggers.TriggerOne.as_view()),
    path("pending-starts", pending.PendingStarts.as_view()),
    path("pending-starts/<id:id>", pending.PendingStartOne.as_view()),
    path("pending-starts/<id:id>/start", pending.PendingStartNow.as_view()),
    path("pending-starts/<id:id>/discard", pending.PendingStartDiscard.as_view()),
    path("runs/<id:id>/event", triggers.RunEvent.as_view()),
]
