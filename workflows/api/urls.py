"""The addresses under /api/v1."""

from django.urls import path, register_converter
from django.urls.converters import IntConverter, StringConverter

from .serializers import NAME, SIGNAL, STEP
from .views import runs, schemas, steps, workflows


class WorkflowName(StringConverter):
    regex = NAME


class StepId(StringConverter):
    regex = STEP


class SignalName(StringConverter):
    regex = SIGNAL


class VersionNumber(IntConverter):
    regex = "[1-9][0-9]{0,8}"  # nine digits stay within PostgreSQL's integer


register_converter(WorkflowName, "workflow")
register_converter(StepId, "step")
register_converter(SignalName, "signal")
register_converter(VersionNumber, "version")

urlpatterns = [
    path("workflows", workflows.WorkflowList.as_view()),
    path("workflows/<workflow:name>", workflows.WorkflowOne.as_view()),
    path("workflows/<workflow:name>/validate", workflows.WorkflowValidate.as_view()),
    path("workflows/<workflow:name>/versions/<version:number>", workflows.WorkflowVersionOne.as_view()),
    path("workflows/<workflow:name>/runs", runs.WorkflowRuns.as_view()),
    path("runs", runs.RunList.as_view()),
    path("runs/bulk", runs.RunsBulk.as_view()),
    path("runs/<uuid:id>", runs.RunOne.as_view()),
    path("runs/<uuid:id>/cancel", runs.RunCancel.as_view()),
    path("runs/<uuid:id>/retry", runs.RunRetry.as_view()),
    path("runs/<uuid:id>/events", runs.RunEvents.as_view()),
    path("runs/<uuid:id>/signals/<signal:name>", runs.RunSignal.as_view()),
    path("runs/<uuid:id>/steps/<step:step>/items", steps.StepItems.as_view()),
    path("runs/<uuid:id>/steps/<step:step>/resolve", steps.StepResolve.as_view()),
    path("schemas/workflow", schemas.WorkflowSchema.as_view()),
    path("schemas/steps", schemas.StepTypes.as_view()),
]
