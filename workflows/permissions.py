"""What may be done with workflows and their runs, and the built-in roles that may do it."""

from erip.access.catalog import APPROVERS, AUDITORS, AUTHORS, NOBODY, OPERATORS, SECURITY_ADMINS, VIEWERS, permission
from workflows.decisions import spaces as of_tables  # noqa: F401  (registers what belongs to a space)
from workflows.engine import spaces  # noqa: F401  (likewise)

_ALL_OF_A_RUN = ("workflows.change_workflowrun",)

permission("workflows.view_workflowdefinition", "see definitions and the steps that they can use", VIEWERS)
permission("workflows.view_workflowversion", "see the versions of definitions", VIEWERS)
permission("workflows.add_workflowversion", "check and publish definitions", AUTHORS)
permission("workflows.view_workflowrun", "see runs, their steps, events, pauses and batches", VIEWERS)
permission("workflows.view_archivedrun", "see archived runs in the admin", VIEWERS)
permission("workflows.view_worker", "see the workers and what each does", VIEWERS)
permission("workflows.change_workflowrun", "do all of what follows with runs", OPERATORS)
permission("workflows.start_run", "start runs, one or many", OPERATORS, implied_by=_ALL_OF_A_RUN)
permission("workflows.cancel_run", "cancel runs, one or many", OPERATORS, implied_by=_ALL_OF_A_RUN)
permission("workflows.pause_run", "pause and resume runs, one or many", OPERATORS, implied_by=_ALL_OF_A_RUN)
permission("workflows.retry_run", "start runs that failed once more, one or many", OPERATORS, implied_by=_ALL_OF_A_RUN)
permission("workflows.signal_run", "send signals to runs that wait for one", APPROVERS, implied_by=_ALL_OF_A_RUN)
permission("workflows.resolve_step", "say how a step of unknown outcome ended", OPERATORS, implied_by=_ALL_OF_A_RUN)
permission(
    "workflows.pause_workflow",
    "pause and resume workflows and lanes",
    OPERATORS,
    implied_by=_ALL_OF_A_RUN,
    dangerous=True,
)
permission("decisions.view_decisiontable", "see decision tables, and ask them", VIEWERS)
permission("decisions.view_decisionversion", "see the versions of decision tables", VIEWERS)
permission("decisions.add_decisionversion", "check and publish decision tables", AUTHORS)
permission("clocks.view_legalclock", "see legal clocks, and what changed them", VIEWERS)
permission("clocks.view_reassessment", "see in the admin what a new fact or the law changed", VIEWERS)
permission(
    "clocks.change_legalclock", "file, stop, amend and dismiss legal clocks, and tell new facts of a case", OPERATORS
)
permission(
    "privacy.open_data", "read sensitive data of runs and of persons, each time with a reason", NOBODY, dangerous=True
)
permission("privacy.erase_person", "erase a person's data for good", NOBODY, dangerous=True)
permission("privacy.change_hold", "put legal holds on data, and lift them", NOBODY, dangerous=True)
permission(
    "privacy.view_register",
    "see which sensitive data workflows handle, how long it is kept, and legal holds",
    AUTHORS | AUDITORS,
)
permission("secrets.view_secret", "see the names of secrets, who has them and who may use them", AUTHORS | AUDITORS)
permission(
    "secrets.change_secret", "store and delete secrets for steps; nobody can read one", SECURITY_ADMINS, dangerous=True
)
