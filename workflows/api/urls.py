"""The addresses under /api/v1."""

from django.urls import path, register_converter
from django.urls.converters import IntConverter, StringConverter, UUIDConverter

from erip.access.flags.stored import NAME as FLAG
from workflows.decisions.files import Language
from workflows.decisions.stored import NAME as DECISION
from workflows.secrets.stored import NAME as SECRET

from .serializers import NAME, SIGNAL, STEP
from .views import (
    access,
    at_work,
    audit,
    batches,
    break_glass,
    decisions,
    flags,
    holds,
    keys,
    pausing,
    privacy,
    runs,
    schemas,
    secrets,
    signals,
    steps,
    what_if,
    workflows,
)


class WorkflowName(StringConverter):
    regex = NAME


class StepId(StringConverter):
    regex = STEP


class SignalName(StringConverter):
    regex = SIGNAL


class Id(UUIDConverter):
    """An id in any case, as RFC 9562, section 4, has them read. Handed on in lower case, as they are written."""

    regex = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"


class LaneName(StringConverter):
    regex = "[a-z]{1,63}"  # a lane that does not exist is answered by name


class VersionNumber(IntConverter):
    regex = "[1-9][0-9]{0,8}"  # nine digits stay within PostgreSQL's integer


class KeyNumber(IntConverter):
    """The number of an API key, or of a legal hold, in an address."""

    regex = "[1-9][0-9]{0,17}"  # eighteen digits stay within PostgreSQL's bigint


class DecisionName(StringConverter):
    regex = DECISION


class SecretName(StringConverter):
    regex = SECRET


class FlagName(StringConverter):
    regex = FLAG


class FileSuffix(StringConverter):
    regex = "|".join(Language)


register_converter(KeyNumber, "key")
register_converter(KeyNumber, "hold")
register_converter(DecisionName, "decision")
register_converter(SecretName, "secret")
register_converter(FlagName, "flag")
register_converter(FileSuffix, "decision_file")
register_converter(WorkflowName, "workflow")
register_converter(LaneName, "lane")
register_converter(StepId, "step")
register_converter(SignalName, "signal")
register_converter(VersionNumber, "version")
register_converter(Id, "id")

urlpatterns = [
    path("workflows", workflows.WorkflowList.as_view()),
    path("workflows/<workflow:name>", workflows.WorkflowOne.as_view()),
    path("workflows/<workflow:name>/validate", workflows.WorkflowValidate.as_view()),
    path("workflows/<workflow:name>/what-if", what_if.WorkflowWhatIf.as_view()),
    path("workflows/<workflow:name>/versions/<version:number>", workflows.WorkflowVersionOne.as_view()),
    path("workflows/<workflow:name>/runs", runs.WorkflowRuns.as_view()),
    path("workflows/<workflow:name>/signals/<signal:signal>", signals.WorkflowSignal.as_view()),
    path("workflows/<workflow:name>/pause", holds.WorkflowPause.as_view()),
    path("workflows/<workflow:name>/resume", holds.WorkflowResume.as_view()),
    path("lanes/<lane:lane>/pause", holds.LanePause.as_view()),
    path("lanes/<lane:lane>/resume", holds.LaneResume.as_view()),
    path("pauses", holds.Pauses.as_view()),
    path("runs", runs.RunList.as_view()),
    path("runs/bulk", runs.RunsBulk.as_view()),
    path("runs/cancel", batches.RunsCancel.as_view()),
    path("runs/pause", batches.RunsPause.as_view()),
    path("runs/resume", batches.RunsResume.as_view()),
    path("runs/retry", batches.RunsRetry.as_view()),
    path("batches", batches.Batches.as_view()),
    path("batches/<id:id>", batches.BatchOne.as_view()),
    path("batches/<id:id>/runs", batches.BatchRuns.as_view()),
    path("runs/<id:id>", runs.RunOne.as_view()),
    path("runs/<id:id>/cancel", runs.RunCancel.as_view()),
    path("runs/<id:id>/pause", pausing.RunPause.as_view()),
    path("runs/<id:id>/resume", pausing.RunResume.as_view()),
    path("runs/<id:id>/retry", runs.RunRetry.as_view()),
    path("runs/<id:id>/events", runs.RunEvents.as_view()),
    path("runs/<id:id>/explain", runs.RunExplain.as_view()),
    path("runs/<id:id>/signals/<signal:name>", signals.RunSignal.as_view()),
    path("runs/<id:id>/steps/<step:step>/items", steps.StepItems.as_view()),
    path("runs/<id:id>/steps/<step:step>/resolve", steps.StepResolve.as_view()),
    path("audit", audit.Audit.as_view()),
    path("workers", at_work.Workers.as_view()),
    path("steps/unknown", at_work.UnknownSteps.as_view()),
    path("decisions", decisions.Decisions.as_view()),
    path("decisions/<decision:name>", decisions.DecisionOne.as_view()),
    path("decisions/<decision:name>/validate", decisions.DecisionValidate.as_view()),
    path("decisions/<decision:name>/evaluate", decisions.DecisionEvaluate.as_view()),
    path("decisions/<decision:name>/what-if", decisions.DecisionWhatIf.as_view()),
    path("decisions/<decision:name>/versions/<version:number>", decisions.DecisionVersionOne.as_view()),
    path("decisions/<decision:name>/versions/<version:number>/report", decisions.DecisionReport.as_view()),
    path(
        "decisions/<decision:name>/versions/<version:number>.<decision_file:suffix>", decisions.DecisionFile.as_view()
    ),
    path("schemas/workflow", schemas.WorkflowSchema.as_view()),
    path("schemas/steps", schemas.StepTypes.as_view()),
    path("runs/<id:id>/open", privacy.RunOpen.as_view()),
    path("privacy/exports", privacy.PrivacyExports.as_view()),
    path("privacy/erasures", privacy.PrivacyErasures.as_view()),
    path("privacy/register", privacy.PrivacyRegister.as_view()),
    path("privacy/holds", privacy.PrivacyHolds.as_view()),
    path("privacy/holds/<hold:number>/release", privacy.PrivacyHoldRelease.as_view()),
    path("privacy/retention", privacy.PrivacyRetention.as_view()),
    path("secrets", secrets.Secrets.as_view()),
    path("secrets/<secret:name>", secrets.SecretOne.as_view()),
    path("flags", flags.Flags.as_view()),
    path("flags/<flag:name>", flags.FlagOne.as_view()),
    path("access/explain", access.Explain.as_view()),
    path("break-glass", break_glass.BreakGlasses.as_view()),
    path("break-glass/<key:number>/grant", break_glass.BreakGlassGrant.as_view()),
    path("break-glass/<key:number>/end", break_glass.BreakGlassEnd.as_view()),
    path("break-glass/<key:number>/review", break_glass.BreakGlassReview.as_view()),
    path("keys", keys.ApiKeys.as_view()),
    path("keys/<key:number>", keys.ApiKeyView.as_view()),
    path("keys/<key:number>/rotate", keys.ApiKeyRotate.as_view()),
    path("keys/<key:number>/revoke", keys.ApiKeyRevoke.as_view()),
]
