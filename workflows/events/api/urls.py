"""The addresses of the event bus under /api/v1."""

from django.urls import path, register_converter
from django.urls.converters import IntConverter, StringConverter

from .views import deadletters, events, stream, subscriptions


class EventPosition(StringConverter):
    regex = "[0-9]{1,5}-[0-9]{1,18}"


class LetterId(IntConverter):
    regex = "[0-9]{1,18}"


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
    path("subscriptions", subscriptions.Subscriptions.as_view()),
    path("subscriptions/<uuid:id>", subscriptions.SubscriptionOne.as_view()),
    path("subscriptions/<uuid:id>/rotate-secret", subscriptions.SubscriptionSecret.as_view()),
    path("subscriptions/<uuid:id>/test", subscriptions.SubscriptionTest.as_view()),
    path("subscriptions/<uuid:id>/deliveries", subscriptions.SubscriptionDeliveries.as_view()),
    path("deliveries/<letter:id>", subscriptions.DeliveryOne.as_view()),
    path("deliveries/<letter:id>/redeliver", subscriptions.DeliveryAgain.as_view()),
]
