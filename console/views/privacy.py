"""A person's data: what there is, and how it is erased; legal holds, and the certificates of what went."""

from collections.abc import Callable
from typing import Any

import orjson
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.urls import reverse

from console.pages import Page, changes, in_shell, page
from console.shared import Shared
from erip.access.principals import Principal
from erip.foundation.errors import EripError
from erip.foundation.faults import Fault
from workflows.privacy import holds, persons
from workflows.privacy.models import Erasure

#: certificates that the page lists
SHOWN = 50
_LONGEST = {"subject": 1_000, "reason": 1_000}


@page("Privacy", "privacy.view_register", "privacy.erase_person", "privacy.open_data")
def privacy(query: QueryDict, viewer: Principal) -> Page:
    return Page("console/privacy.html", _known(), every=30, around="console/privacy_page.html")


@changes("privacy.erase_person")
def look(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """What an erasure would erase."""

    def do(given: dict[str, str]) -> dict[str, Any]:
        return {"would": persons.erase(given["subject"], by=viewer.name, reason=given["reason"], dry_run=True)}

    return _done(request, viewer, do)


@changes("privacy.erase_person")
def erase(request: HttpRequest, viewer: Principal) -> HttpResponse:
    def do(given: dict[str, str]) -> dict[str, Any]:
        if request.POST.get("sure") != "yes":
            raise _Wrong(Fault("sure", "say that it cannot be undone"))
        return {"erased": persons.erase(given["subject"], by=viewer.name, reason=given["reason"], dry_run=False)}

    return _done(request, viewer, do)


@changes("privacy.open_data")
def access(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Everything that runs say about a person, as a file for them."""
    given, faults = _given(request)
    if not faults:
        try:
            return _file(persons.export(given["subject"]), "personal-data.json")
        except EripError as error:
            faults.append(Fault("", error.message))
    return _shown(request, viewer, given, faults)


@changes("privacy.view_register")
def certificate(request: HttpRequest, viewer: Principal, number: int) -> HttpResponse:
    found = Erasure.objects.filter(pk=number).first()
    if found is None:
        raise Http404
    return _file({"number": number, **found.certificate}, f"certificate-{number}.json")


class _Wrong(Exception):
    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


def _done(request: HttpRequest, viewer: Principal, do: Callable[[dict[str, str]], dict[str, Any]]) -> HttpResponse:
    """Do what a form asks for, and say what came of it. The person is in no address and in no message."""
    given, faults = _given(request)
    told: dict[str, Any] = {}
    if not faults:
        try:
            told = do(given)
            _listed.forget()
        except EripError as error:
            faults.append(Fault("", error.message))
        except _Wrong as error:
            faults.append(error.fault)
    return _shown(request, viewer, {} if "erased" in told else given, faults, **told)


def _given(request: HttpRequest) -> tuple[dict[str, str], list[Fault]]:
    given = {name: request.POST.get(name, "").strip() for name in _LONGEST}
    faults = [Fault(name, "is needed") for name, text in given.items() if not text]
    faults += [
        Fault(name, f"has more than {most} characters") for name, most in _LONGEST.items() if len(given[name]) > most
    ]
    faults += [Fault(name, "holds a character U+0000") for name in given if "\0" in given[name]]
    return given, faults


def _shown(
    request: HttpRequest, viewer: Principal, given: dict[str, str], faults: list[Fault], **told: Any
) -> HttpResponse:
    context = {**_known(), "given": given, "faults": faults, "part": "console/privacy.html", "every": 0, **told}
    context["here"] = reverse("console:privacy")
    return in_shell(request, viewer, "Privacy", "console/privacy_page.html", context, status=422 if faults else 200)


def _known() -> dict[str, Any]:
    look = _listed.look()
    return {"look": look, **(look.value or {"certificates": None, "more": False, "holds": None})}


def _read() -> dict[str, Any]:
    rows = [{"number": row.pk, "at": row.at, **row.certificate} for row in Erasure.objects.all()[: SHOWN + 1]]
    return {"certificates": rows[:SHOWN], "more": len(rows) > SHOWN, "holds": holds.listed()}


#: certificates and holds; what changes elsewhere is seen a little later
_listed = Shared(_read, every=10.0)


def forget() -> None:
    """For tests: know nothing of what was read before."""
    _listed.clear()


def _file(told: Any, name: str) -> HttpResponse:
    body = orjson.dumps(told, default=str, option=orjson.OPT_INDENT_2)
    return HttpResponse(body, "application/json", headers={"Content-Disposition": f'attachment; filename="{name}"'})
