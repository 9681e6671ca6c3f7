"""Ways to have something approved that is not, and what they are tried on.

SQL is tried with the application's login (test_database_roles) and with the owner's (test_four_eyes).
"""

from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import Group, Permission, User
from django.utils import timezone

from erip.access import keys
from erip.access.scopes import Scope
from people import voting
from people.models import Delegation, Vote
from workflows import engine
from workflows.models import ApprovalTask, StepRun

NOTIFY = """
name: notify
input: {type: object}
steps:
  approve:
    approval:
      title: "Notify ${{ input.who }}"
      evidence: {who: "${{ input.who }}"}
      form: {type: object, properties: {reason: {type: string, maxLength: 9}}}
      quorum: [{role: ciso}, {role: dpo}]
      veto: [legal, ciso]
  send: {uses: sample.echo, needs: [approve], guarded_by: approve, with: {value: "${{ input.who }}"}}
  again:
    needs: [send]
    approval: {title: Once more, quorum: [{role: ciso}, {role: dpo}], veto: [legal, ciso]}
output: ${{ steps.send.output.value }}
"""
#: ina starts runs, amy wrote the definition, kim made the key `ci`; all of them belong to groups that are asked
TEAM = {
    "cara": ["ciso"],
    "dan": ["dpo"],
    "eve": ["ciso", "dpo"],
    "lea": ["legal"],
    "sam": ["sales"],
    "ina": ["ciso", "dpo"],
    "amy": ["dpo"],
    "kim": ["dpo"],
}


@dataclass(frozen=True)
class Asked:
    """An approval of a run that ina started, and one of a run that the key `ci` started. cara approved the first."""

    task: ApprovalTask
    by_key: ApprovalTask

    @property
    def untouched(self) -> bool:
        """Whether nothing but cara's vote was counted, and nothing is approved."""
        tasks = ApprovalTask.objects.values_list("pk", "outcome", "seats")
        steps = StepRun.objects.filter(run__in=[self.task.run_id, self.by_key.run_id]).values_list("step", "state")
        return (
            [(vote.voter, vote.on_behalf_of, vote.choice) for vote in Vote.objects.all()]
            == [("user:cara", "", "approve")]
            and sorted(tasks) == [(self.task.pk, "", 2), (self.by_key.pk, "", 2)]
            and list(steps) == [("approve", "WAITING")] * 2
        )


def ask_people() -> Asked:
    """The team, the runs, and who stands in for whom: sam for cara and eve, dan for ina, ina for dan."""
    for name, groups in TEAM.items():
        user = User.objects.create_user(name, is_staff=True)
        user.user_permissions.add(Permission.objects.get(codename="add_vote"))
        user.groups.set([Group.objects.get_or_create(name=group)[0] for group in groups])
    now = timezone.now()
    for delegator, delegate in (("cara", "sam"), ("eve", "sam"), ("ina", "dan"), ("dan", "ina")):
        Delegation.objects.create(
            delegator=f"user:{delegator}",
            delegate=f"user:{delegate}",
            starts_at=now,
            ends_at=now + timezone.timedelta(hours=9),
            made_by=f"user:{delegator}",
        )
    engine.publish(None, NOTIFY, "yaml", author="user:amy")
    keys.create(name="ci", scope=Scope.OPERATOR, created_by="user:kim")
    runs = [
        engine.start_runs("notify", [engine.StartRequest({"who": "all"})], principal=by)[0].id
        for by in ("user:ina", "key:ci")
    ]
    asked = Asked(*(ApprovalTask.objects.get(run_id=run) for run in runs))
    voting.vote(asked.task.pk, ballot(asked.task, "cara"))
    return asked


def ballot(task: ApprovalTask, by: str, **changed: Any) -> voting.Ballot:
    given = {"choice": "approve", "content_hash": task.content_hash, "via": "api", **changed}
    return voting.Ballot(by if ":" in by else f"user:{by}", **given)


def _vote(voter: str, *, roles: str = "{dpo}", of: str = "ina", on_behalf_of: str = "", hash: str = "") -> str:
    """A row of a vote that says what the API would not."""
    return (
        "INSERT INTO people_vote (task_id, voter, on_behalf_of, choice, roles, comment, content_hash, via) "
        f"SELECT t.id, '{voter}', '{on_behalf_of}', 'approve', '{roles}', '', {hash or 't.content_hash'}, 'sql' "
        "FROM workflows_approvaltask t JOIN workflows_workflowrun r ON r.id = t.run_id "
        f"WHERE r.started_by {'LIKE ' + repr('key:%') if of == 'key' else '= ' + repr('user:ina')}"
    )


_GIVEN = """output = '{"approved": true, "guards": {}}'"""
_TASK = (
    "INSERT INTO workflows_approvaltask (run_id, step, workflow, version_id, title, content, content_hash, seats, "
    "roles, barred, outcome, closed_at) SELECT run_id, 'again', workflow, version_id, title, content, content_hash, "
)

#: what is refused whoever sends it
SQL = {
    "a vote of the initiator": _vote("user:ina"),
    "in place of the initiator": _vote("user:dan", on_behalf_of="user:ina"),
    "of the initiator in place of somebody": _vote("user:ina", on_behalf_of="user:dan"),
    "of who wrote the definition": _vote("user:amy"),
    "of who made the key": _vote("user:kim", of="key"),
    "of a key": _vote("key:ci"),
    "of nobody": _vote("user:"),
    "of a stranger": _vote("user:nobody"),
    "of somebody in no group that is asked": _vote("user:sam"),
    "in a group that its person is not in": _vote("user:dan", roles="{ciso,dpo}"),
    "in a group that is not asked": _vote("user:sam", roles="{sales}"),
    "in no group": _vote("user:dan", roles="{}"),
    "of somebody twice": _vote("user:cara", roles="{ciso}"),
    "of a delegate of one who voted": _vote("user:sam", roles="{ciso}", on_behalf_of="user:cara"),
    "in place of one who has not said so": _vote("user:eve", on_behalf_of="user:dan"),
    "for other content": _vote("user:dan", hash="repeat('0', 64)"),
    "a vote changed": "UPDATE people_vote SET voter = 'user:dan'",
    "a vote removed": "DELETE FROM people_vote",
    "a task approved": "UPDATE workflows_approvaltask SET outcome = 'approved', closed_at = now()",
    "fewer seats": "UPDATE workflows_approvaltask SET seats = 1",
    "nobody barred": "UPDATE workflows_approvaltask SET barred = '{}'",
    "other groups": "UPDATE workflows_approvaltask SET roles = '{sales}'",
    "other content": "UPDATE workflows_approvaltask SET content = '{}'",
    "another hash": "UPDATE workflows_approvaltask SET content_hash = repeat('0', 64)",
    "another step": "UPDATE workflows_approvaltask SET step = 'send'",
    "no task": "DELETE FROM workflows_approvaltask",
    "a task that is born approved": f"{_TASK} seats, roles, barred, 'approved', now() FROM workflows_approvaltask",
    "a task that asks one": f"{_TASK} 1, roles, barred, '', NULL FROM workflows_approvaltask",
    "a task that bars nobody": f"{_TASK} seats, roles, '{{}}', '', NULL FROM workflows_approvaltask",
    "a step approved": f"UPDATE workflows_steprun SET state = 'SUCCEEDED', finished_at = now(), {_GIVEN}",
    "a step approved as if a worker had": "UPDATE workflows_steprun SET state = 'SUCCEEDED', attempt = 1, "
    f"finished_at = now(), {_GIVEN}",
    "a step approved that guards nothing": "UPDATE workflows_steprun SET state = 'SUCCEEDED', attempt = 1, "
    """finished_at = now(), output = '{"approved": true}'""",
    "an approved step added": "INSERT INTO workflows_steprun (run_id, step, item, state, lane, output, finished_at) "
    """SELECT run_id, 'other', -1, 'SUCCEEDED', 'standard', '{"approved": true, "guards": {}}', now() """
    "FROM workflows_approvaltask",
    "an approval added as if a worker had given it": "INSERT INTO workflows_steprun (run_id, step, item, state, lane, "
    "attempt, output, finished_at) SELECT run_id, 'again', -1, 'SUCCEEDED', 'standard', 1, "
    """'{"approved": true, "guards": {}}', now() FROM workflows_approvaltask""",
    "somebody else started it": "UPDATE workflows_workflowrun SET started_by = 'user:nobody'",
    "another version": "UPDATE workflows_workflowrun SET version_id = version_id + 1",
    "another author": "UPDATE workflows_workflowversion SET author = ''",
    "another definition": "UPDATE workflows_workflowversion SET document = '{}'",
    "another name": "UPDATE auth_user SET username = 'ina2' WHERE username = 'ina'",
}
#: what a session may set before it: everything that a trigger could ask for
SETTINGS = (
    "SELECT set_config('pgtrigger.ignore', (SELECT array_agg(tgname::text)::text FROM pg_trigger), false), "
    "set_config('erip.audit_retire', 'yes', false)"
)
#: functions of triggers that ask the session for something, or whose condition does
ASKING = """
SELECT DISTINCT p.proname::text FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
WHERE NOT t.tgisinternal AND (p.prosrc ~* '(_pgtrigger_should_ignore|current_setting|pgtrigger\\.ignore)'
                              OR pg_get_triggerdef(t.oid) ~* 'current_setting')
"""
#: the two that may: one asks the owner of the audit log alone, who retires entries; the other refuses nothing
MAY_ASK = {"audit_stays", "audit_changed"}
