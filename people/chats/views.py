"""/chat/slack and /chat/teams: there only if a secret is set, and open to nobody but those chats."""

from collections.abc import Callable, Mapping, Sequence
from types import ModuleType

import structlog
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from erip.audit.operation import describe
from people.chats import commands, signed, slack, teams
from people.chats.who import person_of

log = structlog.get_logger(__name__)


def _door(chat: ModuleType, name: str, secret: str, people: str) -> Callable[[HttpRequest], HttpResponse]:
    """secret, people: the names of settings."""

    @csrf_exempt  # a chat has no cookie; it signs
    @require_POST
    def door(request: HttpRequest) -> HttpResponse:
        if not getattr(settings, secret):
            raise Http404
        # Whoever is signed in in a browser has nothing to do with it.
        request.user = AnonymousUser()
        try:
            if len(request.body) > signed.LONGEST:
                raise signed.NotBelieved("it is too long")
            said = chat.read(request.body, request.headers, getattr(settings, secret))
            signed.take(said)
        except signed.NotBelieved as error:
            log.warning("chat_request_not_believed", chat=name, why=str(error))
            return HttpResponse(status=401)
        return JsonResponse(chat.answer(_answer(request, said, name, getattr(settings, people))))

    return door


def _answer(request: HttpRequest, said: signed.Said, name: str, people: Sequence[str]) -> str:
    caller = person_of(said.who, people)
    if caller is None:
        return f"You are not known here: {said.who[:100]}."
    request.user = caller  # type: ignore[assignment]
    describe(chat=name)
    return commands.answer(caller, said.text, name)


#: chats, with the settings that open them
CHATS: Mapping[str, tuple[str, str]] = {
    "slack": ("ERIP_SLACK_SIGNING_SECRET", "ERIP_SLACK_PEOPLE"),
    "teams": ("ERIP_TEAMS_SECRET", "ERIP_TEAMS_PEOPLE"),
}
of_slack = _door(slack, "slack", *CHATS["slack"])
of_teams = _door(teams, "teams", *CHATS["teams"])
