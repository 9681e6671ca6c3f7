"""Run again with…: the form in which a person corrects the input of a run that has ended, and starts it again."""

from typing import Any

import orjson
from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.decorators import action
from unfold.widgets import UnfoldAdminTextareaWidget

from erip.foundation import json_values
from workflows import engine
from workflows.errors import RunAlreadyRetried, WorkflowsError
from workflows.models import find_run

from .base import ShowOnly, principal_of

#: characters of an input, as a text
_MOST = 2 * 1024 * 1024


class AgainForm(forms.Form):
    input = forms.CharField(
        strip=False,
        max_length=_MOST,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 24, "spellcheck": "false", "class": "erip-code"}),
        help_text="JSON. It is checked against the workflow's schema.",
    )

    def clean_input(self) -> dict[str, Any]:
        try:
            value = json_values.read(self.cleaned_data["input"].encode())
        except json_values.NotAValue as error:
            raise forms.ValidationError([str(fault) for fault in error.faults]) from error
        except json_values.NotJson as error:
            raise forms.ValidationError(str(error)) from error
        except UnicodeEncodeError as error:
            raise forms.ValidationError("holds half a character") from error
        if not isinstance(value, dict):
            raise forms.ValidationError("must be an object")
        return value


class RunAgain(ShowOnly):
    """For the page of runs."""

    @action(description="Run again with…", permissions=["retry"], icon="edit", url_path="again")
    def retry_with(self, request: HttpRequest, object_id: str) -> HttpResponse:
        back = reverse("admin:workflows_workflowrun_change", args=[object_id])
        run = find_run(object_id)
        if run is None:
            return redirect(back)
        shown = orjson.dumps(run.input, option=orjson.OPT_INDENT_2).decode()
        form = AgainForm(request.POST if request.method == "POST" else None, initial={"input": shown})
        faults: list[list[str]] = []
        if request.method == "POST" and form.is_valid():
            try:
                new = engine.retry_run(object_id, principal=principal_of(request), input=form.cleaned_data["input"])
                messages.success(request, "The new run is started.")
                return redirect("admin:workflows_workflowrun_change", new.id)
            except RunAlreadyRetried as error:
                messages.error(request, error.message)
                return redirect("admin:workflows_workflowrun_change", error.members["retried_as"])
            except WorkflowsError as error:
                messages.error(request, error.message)
                faults = [[fault.path or "(the whole)", fault.message] for fault in error.faults]
        context = {
            **self.admin_site.each_context(request),
            "title": f"Run {run.workflow} again with another input",
            "opts": self.opts,
            "form": form,
            "back": back,
            "faults": {"headers": ["Where", "What is wrong"], "rows": faults} if faults else None,
        }
        return TemplateResponse(request, "admin/workflows/again.html", context)
