"""The form in which a person says how a step of unknown outcome ended. The output is checked by the engine."""

from typing import Any

import orjson
from django import forms
from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.widgets import UnfoldAdminRadioSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from erip.foundation import json_values
from workflows import engine, queries, registry
from workflows.core.states import StepState
from workflows.errors import InvalidInput, UnknownRun, UnknownStep, WorkflowsError

from .base import json_block, principal_of

_OUTCOMES = [
    ("succeeded", "It succeeded, with the output below"),
    ("failed", "It failed"),
    ("retry", "Run it again, maybe twice then"),
]
#: characters of an output, as a text
_MOST = 2 * 1024 * 1024


class ResolveForm(forms.Form):
    outcome = forms.ChoiceField(choices=_OUTCOMES, widget=UnfoldAdminRadioSelectWidget())
    output = forms.CharField(
        required=False,
        strip=False,
        max_length=_MOST,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 10, "spellcheck": "false", "class": "erip-code"}),
        help_text="JSON, as the step would have returned it. Only for a step that succeeded.",
    )
    note = forms.CharField(
        required=False,
        max_length=1000,
        widget=UnfoldAdminTextInputWidget(),
        help_text="How you know. Recorded with the run.",
    )

    def clean(self) -> Any:
        cleaned = super().clean() or self.cleaned_data
        self.value: Any = None
        text = cleaned.get("output") or ""
        if cleaned.get("outcome") == "succeeded" and text.strip():
            try:
                self.value = json_values.read(text.encode())
            except (json_values.NotJson, json_values.NotAValue) as error:
                self.add_error("output", str(error))
            except UnicodeEncodeError:
                self.add_error("output", "holds half a character")
        return cleaned


def show(page: ModelAdmin, request: HttpRequest, run_id: str, step: str, *, may_operate: bool) -> HttpResponse:
    """GET and POST …/resolve/<step>/?item=3."""
    if not may_operate:
        raise PermissionDenied
    text = request.GET.get("item", "")
    if text and not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise Http404("An item is a number.")
    item = int(text) if text else None
    try:
        found = _found(run_id, step, item)
    except (UnknownRun, UnknownStep) as error:
        raise Http404(str(error)) from error
    back = reverse("admin:workflows_workflowrun_change", args=[run_id])
    if found["status"] != StepState.UNKNOWN:
        messages.warning(request, f"Step {step} is {found['status']}: there is nothing to resolve.")
        return redirect(back)
    spec = registry.all().get(found["uses"] or "")
    form = ResolveForm(request.POST if request.method == "POST" else None, initial={"output": _skeleton(spec)})
    if request.method == "POST" and form.is_valid():
        try:
            engine.resolve_step(
                run_id,
                step,
                item=item,
                outcome=form.cleaned_data["outcome"],
                output=form.value,
                note=form.cleaned_data["note"],
                principal=principal_of(request),
            )
        except InvalidInput as error:
            for fault in error.faults:
                form.add_error("output" if fault.path.startswith("output") else None, str(fault))
        except WorkflowsError as error:
            form.add_error(None, error.message)
        else:
            messages.success(request, f"Step {step} is resolved: {form.cleaned_data['outcome']}.")
            return redirect(back)
    context = {
        **page.admin_site.each_context(request),
        "title": f"Resolve {step}{'' if item is None else f'[{item}]'}",
        "opts": page.opts,
        "form": form,
        "step": found,
        "run_url": back,
        "input": json_block(found["input"]) if found["input"] is not None else "",
        "schema": json_block(spec.output_schema) if spec else "",
    }
    return TemplateResponse(request, "admin/workflows/resolve.html", context)


def _found(run_id: str, step: str, item: int | None) -> dict[str, Any]:
    """The step, or the item with the name of what it uses. Raises UnknownRun, UnknownStep."""
    steps: list[dict[str, Any]] = queries.run_detail(run_id)["steps"]
    found = next((each for each in steps if each["id"] == step), None)
    if found is None:
        raise UnknownStep(f'The run has no step "{step}".')
    if item is None:
        return found
    of_item = queries.list_items(run_id, step, cursor=item - 1, limit=1).items
    if not of_item or of_item[0]["item"] != item:
        raise UnknownStep(f'The step "{step}" has no item {item}.')
    return {**found, **of_item[0]}


def _skeleton(spec: registry.StepSpec | None) -> str:
    """The fields of the model, for the person to fill in: each with its default, or null."""
    if spec is None:
        return "{}"
    fields = {}
    for name, of_model in spec.output_model.model_fields.items():
        try:
            value = None if of_model.is_required() else of_model.get_default(call_default_factory=True)
            orjson.dumps(value)
        except Exception:  # a default that only the model can make, or that is no JSON
            value = None
        fields[name] = value
    return orjson.dumps(fields, option=orjson.OPT_INDENT_2).decode()
