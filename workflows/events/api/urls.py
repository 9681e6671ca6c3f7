"""The addresses of the event bus under /api/v1."""

from django.urls import path, register_converter
from django.urls.converters import IntConverter, StringConverter

from .views import deadletters, events


class EventPosition(StringConverter):
    regex = "[0-9]{1,5}-[0-9]{1,18}"


class LetterId(IntConverter):
    regex = "[0-9]{1,18}"


register_converter(EventPosition, "position")
register_converter(LetterId, "letter")

urlpatterns = [
    path("events", events.Events.as_view()),
    path("events/status", events.EventsStatus.as_view()),
    path("events/replay", events.EventsReplay.as_view()),
    path("events/dead-letters", deadletters.DeadLetters.as_view()),
    path("events/dead-letters/<letter:id>", deadletters.DeadLetterOne.as_view()),
    path("events/dead-letters/<letter:id>/retry", deadletters.DeadLetterRetry.as_view()),
    path("events/dead-letters/<letter:id>/discard", deadletters.DeadLetterDiscard.as_view()),
    path("events/<position:position>", events.EventOne.as_view()),
]
