"""Nobody has something approved that is not, whatever the door: each way round it is refused, and changes nothing."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import pgtrigger
import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core import signing
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.utils import timezone

from erip.access.scopes import Scope
from erip.foundation.errors import EripError
from people import delegating, links, voting
from people.models import Delegation, Vote
from tests.support.api import Api, key
from tests.support.four_eyes import ASKING, MAY_ASK, SETTINGS, SQL, Asked, ask_people, ballot
from workflows import engine
from workflows.models import ApprovalTask, StepRun

pytestmark = pytest.mark.django_db(transaction=True)

VOTERS = ("workflows.view_approvaltask", "people.add_vote", "people.add_delegation", "workflows.signal_run",
          "workflows.resolve_step", "workflows.retry_run")  # fmt: skip


@dataclass
class World:
    """What a way is tried on. may: whether people have the permission to vote."""

    asked: Asked
    superuser: User
    _clients: dict[str, Client] = field(default_factory=dict)

    def client(self, who: str, *permissions: str, csrf: bool = False) -> Client:
        user = User.objects.get(username=who)
        user.user_permissions.set(
            Permission.objects.filter(codename__in=[permission.partition(".")[2] for permission in permissions])
        )
        client = Client(raise_request_exception=False, enforce_csrf_checks=csrf)
        client.force_login(user)
        return client

    def api(self, who: str, *permissions: str, csrf: bool = False) -> Api:
        api = Api()
        api.client = self.client(who, *(permissions or VOTERS), csrf=csrf)
        return api

    def body(self, **changed: Any) -> dict[str, Any]:
        return {"choice": "approve", "content_hash": self.asked.task.content_hash, **changed}

    @property
    def at(self) -> str:
        return f"/approvals/{self.asked.task.pk}"

    @property
    def of_key(self) -> str:
        return f"/approvals/{self.asked.by_key.pk}"

    @property
    def run(self) -> str:
        return f"/runs/{self.asked.task.run_id}"


@pytest.fixture
def world(settings: Any) -> World:
    settings.ERIP_APPROVAL_LINK_HOURS = 24.0
    return World(ask_people(), User.objects.create_superuser("boss"))


Way = Callable[[World], Any]


def api(status: int, code: str = "", who: str = "", at: str = "at", **body: Any) -> Way:
    """A vote over the API that is answered so. who: a person; key: with a key; '': by nobody."""

    def go(world: World) -> None:
        caller = Api(key(Scope.ADMIN, f"admin {body}")) if who == "key" else world.api(who) if who else Api()
        done = caller.post(f"{getattr(world, at)}/votes", world.body(**body))
        assert (done.status_code, done.json()["code"]) == (status, code), done.content

    return go


def answers(statuses: set[int], send: Callable[[World], Any]) -> Way:
    def go(world: World) -> None:
        done = send(world)
        assert done.status_code in statuses, (done.status_code, done.content[:300])

    return go


def raises(error: type[BaseException], do: Callable[[World], Any]) -> Way:
    def go(world: World) -> None:
        with pytest.raises(error), transaction.atomic():
            do(world)

    return go


def without_permission(world: World) -> Any:
    return world.api("dan", "workflows.view_approvaltask").post(f"{world.at}/votes", world.body())


def inactive(world: World) -> Any:
    client = world.api("eve")
    User.objects.filter(username="eve").update(is_active=False)
    try:
        return client.post(f"{world.at}/votes", world.body())
    finally:
        User.objects.filter(username="eve").update(is_active=True)


def left_the_group(world: World) -> Any:
    client, group = world.api("dan"), Group.objects.get(name="dpo")
    group.user_set.remove(User.objects.get(username="dan"))
    try:
        return client.post(f"{world.at}/votes", world.body())
    finally:
        group.user_set.add(User.objects.get(username="dan"))


def ended_delegation(world: World) -> Any:
    given = Delegation.objects.get(delegator="user:eve")
    delegating.revoke(given.pk, by="user:eve", of="user:eve")
    return world.api("sam").post(f"{world.at}/votes", world.body(on_behalf_of="user:eve"))


def delegation_of_another(world: World) -> Any:
    soon = (timezone.now() + timezone.timedelta(hours=1)).isoformat()
    return world.api("sam").post("/delegations", {"to": "sam", "ends_at": soon, "delegator": "user:dan"})


def renamed(world: World) -> Any:
    """In the admin by a superuser; then she would not be the one who started it."""
    boss, ina = Client(), User.objects.get(username="ina")
    boss.force_login(world.superuser)
    form = {
        "username": "ina2",
        "is_active": "on",
        "is_staff": "on",
        "date_joined_0": "2026-01-01",
        "date_joined_1": "00:00",
    }
    boss.post(f"/admin/auth/user/{ina.pk}/change/", form)
    assert User.objects.filter(username="ina").exists()
    assert not User.objects.filter(username="ina2").exists()


def admin(path: str, data: dict[str, Any]) -> Callable[[World], Any]:
    def send(world: World) -> Any:
        boss = Client(raise_request_exception=False)
        boss.force_login(world.superuser)
        return boss.post(f"/admin/{path.format(task=world.asked.task.pk)}", data)

    return send


def console(
    who: str, *, csrf: bool = False, verb: str = "post", may: bool = True, **body: Any
) -> Callable[[World], Any]:
    def send(world: World) -> Any:
        permissions = ("workflows.view_approvaltask", *(["people.add_vote"] if may else []))
        client = world.client(who, *permissions, csrf=csrf)
        return getattr(client, verb)(f"/console{world.at}/vote", world.body(**body))

    return send


def by_link(
    who: str, *, of: str = "task", verb: str = "post", csrf: bool = False, **changed: str
) -> Callable[[World], Any]:
    def send(world: World) -> Any:
        user = User.objects.get(username=who)
        user.user_permissions.add(Permission.objects.get(codename="add_vote"))
        made = links.token_for(getattr(world.asked, of), f"user:{who}")
        assert made is not None
        given = {"t": made[0], "choice": "approve", "confirm": "yes", **changed}
        client = Client(raise_request_exception=False, enforce_csrf_checks=csrf)
        return getattr(client, verb)("/console/approvals/by-link", given)

    return send


def forged(salt: str = "people.links") -> Callable[[World], Any]:
    """A link for the initiator, who gets none, by somebody who has guessed everything but who she is."""

    def send(world: World) -> Any:
        ina, task = User.objects.get(username="ina"), world.asked.task
        ends = int(timezone.now().timestamp()) + 3_600
        token = signing.dumps([1, task.pk, ina.pk, task.content_hash, "0" * 32, ends], salt=salt)
        return Client().post("/console/approvals/by-link", {"t": token, "choice": "approve", "confirm": "yes"})

    return send


def row(world: World, **changed: Any) -> Vote:
    given = {"task": world.asked.task, "voter": "user:ina", "choice": "approve", "roles": ["dpo"],
             "content_hash": world.asked.task.content_hash, "via": "api"}  # fmt: skip
    return Vote(**{**given, **changed})


def saved(world: World) -> None:
    task = ApprovalTask.objects.get(pk=world.asked.task.pk)
    task.outcome, task.closed_at = "approved", timezone.now()
    task.save()


def ignored(do: Callable[[World], Any]) -> Callable[[World], Any]:
    """pgtrigger's own way to tell its triggers to stand aside."""

    def go(world: World) -> None:
        with pgtrigger.ignore():
            do(world)

    return go


def answered(world: World) -> None:
    engine.answer_step(str(world.asked.task.run_id), "approve", approved=True, votes=[])


def voted(by: str, of: str = "task", **changed: Any) -> Callable[[World], Any]:
    def go(world: World) -> None:
        task = getattr(world.asked, of)
        voting.vote(task.pk, ballot(task, by, **changed))

    return go


SUCCEEDED = {"state": "SUCCEEDED", "finished_at": timezone.now(), "output": {"approved": True, "guards": {}}}

WAYS: dict[str, Way] = {
    "API: the initiator": api(403, "four-eyes", "ina"),
    "API: the initiator in place of somebody": api(403, "four-eyes", "ina", on_behalf_of="user:dan"),
    "API: in place of the initiator": api(403, "four-eyes", "dan", on_behalf_of="user:ina"),
    "API: who wrote the definition": api(403, "four-eyes", "amy"),
    "API: who made the key that started it": api(403, "four-eyes", "kim", at="of_key"),
    "API: a key": api(403, "only-people-vote", "key"),
    "API: a key in place of a person": api(403, "only-people-vote", "key", on_behalf_of="user:dan"),
    "API: nobody": api(401, "not-authenticated"),
    "API: twice": api(409, "already-voted", "cara"),
    "API: a delegate of one who voted": api(409, "already-voted", "sam", on_behalf_of="user:cara"),
    "API: in no group that is asked": api(403, "not-an-approver", "sam"),
    "API: a superuser": api(403, "not-an-approver", "boss"),
    "API: in place of one who has not said so": api(403, "not-a-delegate", "eve", on_behalf_of="user:dan"),
    "API: for what was not shown": api(409, "content-changed", "dan", content_hash="0" * 64),
    "API: another choice": api(422, "invalid-body", "dan", choice="approved"),
    "API: without the permission": answers({403}, without_permission),
    "API: somebody who is not active": answers({401}, inactive),
    "API: somebody who left the group": answers({403}, left_the_group),
    "API: a delegate when that has ended": answers({403}, ended_delegation),
    "API: a delegation of somebody else": answers({422}, delegation_of_another),
    "API: by a link": answers({405}, lambda world: world.api("dan").get(f"{world.at}/votes", **world.body())),
    "API: from another site": answers(
        {403}, lambda world: world.api("dan", csrf=True).post(f"{world.at}/votes", world.body())
    ),
    "API: a signal of its name": answers(
        {404, 409, 422}, lambda world: world.api("dan").post(f"{world.run}/signals/approve", {"approved": True})
    ),
    "API: its outcome is known": answers(
        {409},
        lambda world: world.api("dan").post(
            f"{world.run}/steps/approve/resolve", {"outcome": "succeeded", "output": {"approved": True}}
        ),
    ),
    "API: the run once more": answers({409}, lambda world: world.api("dan").post(f"{world.run}/retry")),
    "admin: another outcome": answers({403}, admin("workflows/approvaltask/{task}/change/", {"outcome": "approved"})),
    "admin: removed": answers({403}, admin("workflows/approvaltask/{task}/delete/", {"post": "yes"})),
    "admin: a new one": answers({403}, admin("workflows/approvaltask/add/", {"outcome": "approved"})),
    "admin: removed in a list": answers(
        {403, 302, 200},
        admin("workflows/approvaltask/", {"action": "delete_selected", "_selected_action": "{task}", "post": "yes"}),
    ),
    "admin: a vote": answers({404}, admin("people/vote/add/", {"choice": "approve"})),
    "admin: a delegation": answers(
        {403}, admin("people/delegation/add/", {"delegator": "user:dan", "delegate": "user:sam"})
    ),
    "admin: another name": renamed,
    "console: the initiator": answers({422}, console("ina")),
    "console: who wrote the definition": answers({422}, console("amy")),
    "console: in place of the initiator": answers({422}, console("dan", on_behalf_of="user:ina")),
    "console: a superuser": answers({422}, console("boss")),
    "console: for what was not shown": answers({422}, console("dan", content_hash="0" * 64)),
    "console: by a link": answers({405}, console("dan", verb="get")),
    "console: from another site": answers({403}, console("dan", csrf=True)),
    "console: without the permission": answers({403}, console("dan", may=False)),
    "link: who wrote the definition": answers({410}, by_link("amy")),
    "link: in no group that is asked": answers({410}, by_link("sam")),
    "link: a superuser": answers({410}, by_link("boss")),
    "link: who made the key that started it": answers({410}, by_link("kim", of="by_key")),
    "link: by GET": answers({200}, by_link("lea", verb="get")),
    "link: by HEAD": answers({200}, by_link("lea", verb="head")),
    "link: without confirming": answers({422}, by_link("lea", confirm="")),
    "link: from another site": answers({403}, by_link("lea", csrf=True)),
    "link: the initiator, forged with another key": answers({410}, forged(salt="other")),
    "link: the initiator, forged with our key": answers({410}, forged()),
    "shell: the initiator votes": raises(EripError, voted("ina")),
    "shell: who made the key votes": raises(EripError, voted("kim", "by_key")),
    "shell: the platform votes": raises(EripError, voted("key:ci")),
    "shell: a vote is saved": raises(DatabaseError, lambda world: row(world).save()),
    "shell: votes are created": raises(DatabaseError, lambda world: Vote.objects.bulk_create([row(world)])),
    "shell: with the triggers ignored": raises(DatabaseError, ignored(lambda world: row(world).save())),
    "shell: a vote is changed": raises(DatabaseError, ignored(lambda _: Vote.objects.update(voter="user:dan"))),
    "shell: a vote is removed": raises(DatabaseError, ignored(lambda _: Vote.objects.all().delete())),
    "shell: a task is saved": raises(DatabaseError, ignored(saved)),
    "shell: a task is removed": raises(Exception, ignored(lambda world: world.asked.task.delete())),
    "shell: fewer seats": raises(DatabaseError, ignored(lambda _: ApprovalTask.objects.update(seats=1))),
    "shell: the step is answered": raises(DatabaseError, answered),
    "shell: the step is saved": raises(DatabaseError, ignored(lambda _: StepRun.objects.update(**SUCCEEDED))),
    "shell: as if a worker had": raises(
        DatabaseError, ignored(lambda _: StepRun.objects.update(**SUCCEEDED, attempt=1))
    ),
    "shell: another name": raises(DatabaseError, lambda _: User.objects.filter(username="ina").update(username="x")),
    "shell: manage.py runs resolve": raises(
        CommandError, lambda world: call_command("runs", "resolve", str(world.asked.task.run_id))
    ),
}


def test_there_are_forty_ways_and_more_at_each_door() -> None:
    doors = {way.partition(":")[0] for way in WAYS}
    assert doors == {"API", "admin", "console", "link", "shell"}
    assert len(WAYS) + len(SQL) >= 40


def test_each_way_round_it_is_refused_and_changes_nothing(world: World) -> None:
    wrong = []
    for name, way in WAYS.items():
        try:
            way(world)
            if not world.asked.untouched:
                wrong.append(f"{name}: something changed")
                break
        except BaseException as error:
            wrong.append(f"{name}: {type(error).__name__} {error}"[:400])
    assert "\n".join(wrong) == ""
    voted("dan")(world)
    assert ApprovalTask.objects.get(pk=world.asked.task.pk).outcome == "approved", "who may approve it can"


def test_the_database_refuses_each_way_whatever_the_session_says(world: World) -> None:
    """As the owner of the tables, whom privileges do not stop: test_database_roles does it as the application."""
    passed = []
    for name, statement in SQL.items():
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(SETTINGS.replace("false", "true"))
                cursor.execute(statement)
                assert cursor.rowcount, name
            passed.append(name)
        except DatabaseError:
            pass
    assert passed == []
    assert world.asked.untouched


def test_no_trigger_asks_its_session_whether_to_stand_aside() -> None:
    """Over all triggers that there are."""
    with closing(connection.cursor()) as cursor:
        cursor.execute(ASKING)
        assert {name for (name,) in cursor.fetchall()} == MAY_ASK
        cursor.execute("SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal")
        assert cursor.fetchone()[0] > 12


def test_each_trigger_of_a_model_is_firm() -> None:
    from erip.foundation.db.triggers import Firm

    found = pgtrigger.registered()
    assert len(found) >= 11
    assert [trigger.name for _, trigger in found if not isinstance(trigger, Firm)] == []
