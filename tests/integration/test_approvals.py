"""Approvals: votes are counted right whatever comes at once, and nobody approves what is theirs."""

import re
import threading
from collections import Counter
from itertools import chain
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from erip.access import granting
from erip.access.models import ApiKey, Space
from erip.access.scopes import Scope
from people import delegating, inbox, notices, voting, waiting
from people.errors import (
    AlreadyVoted,
    ApprovalEnded,
    ApprovalPaused,
    ContentChanged,
    FourEyes,
    NotADelegate,
    NotAnApprover,
    OnlyPeopleVote,
    UnknownApproval,
    VoteInvalid,
)
from people.models import Notice, Question, Vote
from people.steps import CastInput, cast
from tests.definitions import publish
from tests.integration.test_library_steps import context
from tests.support.api import Api, key
from tests.workers import until
from workflows import engine
from workflows.engine.spaces import move
from workflows.explain import explain_run
from workflows.models import ApprovalTask, RunEvent, StepRun, WorkflowRun
from workflows.worker.executor import Executor

pytestmark = pytest.mark.django_db(transaction=True)

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
output: ${{ steps.send.output.value }}
"""


def person(name: str, *groups: str, active: bool = True) -> str:
    user = User.objects.create_user(name, is_active=active)
    user.groups.set([Group.objects.get_or_create(name=group)[0] for group in groups])
    granting.grant("approver", f"user:{name}", by="test")
    return f"user:{name}"


@pytest.fixture
def team() -> None:
    for name, groups in {
        "cara": ["ciso"],
        "dan": ["dpo"],
        "eve": ["ciso", "dpo"],
        "lea": ["legal"],
        "sam": ["sales"],
    }.items():
        person(name, *groups)


def begin(source: str = NOTIFY, by: str = "user:ina", **input: Any) -> ApprovalTask:
    name = publish(source)
    run_id = engine.start_runs(name, [engine.StartRequest(input or {"who": "all"})], principal=by)[0].id
    return ApprovalTask.objects.get(run_id=run_id)


def vote(task: ApprovalTask, by: str, choice: str = "approve", **more: Any) -> voting.Counted:
    ballot = {"content_hash": task.content_hash, "via": "api", "comment": "no" if choice == "refuse" else "", **more}
    return voting.vote(task.pk, voting.Ballot(by if ":" in by else f"user:{by}", choice, **ballot))


def finished(executor: Executor, task: ApprovalTask) -> bool:
    executor.execute([str(task.run_id)])
    return WorkflowRun.objects.get(pk=task.run_id).finished_at is not None


def test_a_quorum_of_two_groups_lets_the_run_go_on(team: None, executor: Executor) -> None:
    task = begin()
    assert (task.title, task.seats, task.roles, task.barred) == (
        "Notify all", 2, ["ciso", "dpo", "legal"], ["user:ina", "test"],
    )  # fmt: skip
    assert vote(task, "cara", form={"reason": "due"}) == voting.Counted("", {"dpo": 1})
    assert WorkflowRun.objects.get().state == "WAITING"
    waits = explain_run(str(task.run_id))["waits"][0]
    assert (waits["step"], waits["waits_for"]) == ("approve", "person")
    assert "1 of ciso and 1 of dpo" in waits["sentence"]
    assert vote(task, "dan").outcome == "approved"
    found = cast(CastInput(), context("cast", run=str(task.run_id)))
    assert ([one.by for one in found.votes], found.expired) == (["user:cara", "user:dan"], [])
    until(lambda: finished(executor, task), what="the run has ended")
    run = WorkflowRun.objects.get()
    assert (run.state, run.output) == ("SUCCEEDED", "all")
    output = StepRun.objects.get(step="approve").output
    assert (output["approved"], [one["by"] for one in output["votes"]]) == (True, ["user:cara", "user:dan"])
    task.refresh_from_db()
    assert (task.outcome, task.closed_at is not None) == ("approved", True)


@pytest.mark.parametrize(("who", "ends"), [("lea", True), ("cara", True), ("dan", False)])
def test_only_those_with_a_veto_refuse(team: None, who: str, ends: bool) -> None:
    task = begin()
    assert vote(task, who, "refuse").outcome == ("refused" if ends else "")
    run = WorkflowRun.objects.get()
    assert run.state == ("FAILED" if ends else "WAITING")
    if ends:
        assert run.error["cause"]["code"] == "approval_refused"


def test_a_person_in_two_groups_fills_one_seat(team: None) -> None:
    task = begin()
    assert vote(task, "eve").missing in ({"dpo": 1}, {"ciso": 1})
    assert vote(task, "dan").outcome == "approved", "she takes the other seat"


def test_who_may_not_vote_is_refused_with_the_reason(team: None) -> None:
    task = begin(by="user:cara")
    person("gone", "dpo", active=False)
    for by, more, error in [
        ("cara", {}, FourEyes),
        ("sam", {}, NotAnApprover),
        ("nobody", {}, NotAnApprover),
        ("gone", {}, NotAnApprover),
        ("key:ci", {}, OnlyPeopleVote),
        ("event:x", {}, OnlyPeopleVote),
        ("user:", {}, OnlyPeopleVote),
        ("dan", {"content_hash": "0" * 64}, ContentChanged),
        ("dan", {"on_behalf_of": "user:eve"}, NotADelegate),
        ("dan", {"form": {"reason": "far too long a reason"}}, VoteInvalid),
        ("dan", {"form": []}, VoteInvalid),
    ]:
        with pytest.raises(error):
            vote(task, by, **more)
    with pytest.raises(VoteInvalid) as caught:
        vote(task, "dan", "refuse", comment=" ", form={"reason": 1})
    assert {fault.path for fault in caught.value.faults} == {"comment", "form.reason"}
    with pytest.raises(UnknownApproval):
        voting.vote(10**9, voting.Ballot("user:dan", "approve", "", "api"))
    assert Vote.objects.count() == 0
    vote(task, "dan")
    with pytest.raises(AlreadyVoted):
        vote(task, "dan", "refuse")


def test_the_owner_of_the_key_that_started_it_and_the_author_are_barred(team: None) -> None:
    from erip.access import keys

    owner = User.objects.get(username="sam")
    keys.create(name="ci", scope=Scope.OPERATOR, created_by="user:dan", owner=owner)
    name = engine.publish(None, NOTIFY, "yaml", author="user:cara").name
    engine.start_runs(name, [engine.StartRequest({"who": "all"})], principal="key:ci")
    task = ApprovalTask.objects.get()
    assert set(task.barred) == {"key:ci", "user:cara", "user:dan", "user:sam"}
    for who in ("dan", "cara"):
        with pytest.raises(FourEyes):
            vote(task, who)


def test_whoever_is_behind_keys_that_made_keys_or_published_is_barred(team: None) -> None:
    from erip.access import keys

    for name, by in (("first", "user:dan"), ("ci", "key:first"), ("author", "key:ci")):
        keys.create(name=name, scope=Scope.OPERATOR, created_by=by, owner=User.objects.get(username="sam"))
    # Keys that exchanged each other's secrets: the walk ends.
    ApiKey.objects.filter(name="first").update(rotated_by="key:author")
    name = engine.publish(None, NOTIFY, "yaml", author="key:author").name
    engine.start_runs(name, [engine.StartRequest({"who": "all"})], principal="user:cara")
    task = ApprovalTask.objects.get()
    assert set(task.barred) == {"user:cara", "key:author", "key:ci", "key:first", "user:dan", "user:sam"}
    with pytest.raises(FourEyes):
        vote(task, "dan")


def test_whoever_has_owned_the_key_or_exchanged_its_secret_before_is_barred(team: None) -> None:
    from erip.access import changing, keys

    owner = User.objects.get(username="sam")
    made = keys.create(name="ci", scope=Scope.OPERATOR, created_by="user:ina", owner=owner).row
    keys.create(name="other", scope=Scope.OPERATOR, created_by="user:lea", owner=owner)
    for by in ("user:dan", "key:other", "user:root"):
        changing.rotate(made.pk, by=by)
    changing.change(made.pk, {"owner": "cara"})
    changing.change(made.pk, {"owner": "eve"})
    # Nothing takes it out again.
    ApiKey.objects.filter(pk=made.pk).update(behind=[], created_by="", rotated_by="")
    name = engine.publish(None, NOTIFY, "yaml", author="test").name
    engine.start_runs(name, [engine.StartRequest({"who": "all"})], principal="key:ci")

    task = ApprovalTask.objects.get()

    people = {f"user:{one}" for one in ("ina", "dan", "root", "sam", "cara", "eve", "lea")}
    assert set(task.barred) == {"test", "key:ci", "key:other", *people}
    for who in ("dan", "cara", "eve"):
        with pytest.raises(FourEyes):
            vote(task, who)


def test_a_delegate_counts_as_both(team: None) -> None:
    task = begin()
    ends = timezone.now() + timezone.timedelta(hours=1)
    delegating.delegate("user:dan", "sam", ends_at=ends, by="user:dan")
    given = delegating.delegate("user:cara", "sam", ends_at=ends, by="user:cara")
    assert inbox.votes_of(inbox.one(task.pk), "user:sam") == ["user:cara", "user:dan"]
    assert vote(task, "sam", on_behalf_of="user:dan").missing == {"ciso": 1}
    for by, more in [("sam", {"on_behalf_of": "user:cara"}), ("dan", {})]:
        with pytest.raises(AlreadyVoted):
            vote(task, by, **more)
    delegating.revoke(given.pk, by="user:cara", of="user:cara")
    other = begin(by="user:dan")
    with pytest.raises(NotADelegate):
        vote(other, "sam", on_behalf_of="user:cara")
    with pytest.raises(FourEyes):
        vote(other, "sam", on_behalf_of="user:dan")


def test_who_stands_in_counts_where_the_other_person_may_vote_and_nowhere_else(team: None) -> None:
    task = begin()
    ends = timezone.now() + timezone.timedelta(hours=1)
    delegating.delegate("user:cara", "sam", ends_at=ends, by="user:cara")
    for name in ("north", "south"):
        Space.objects.create(name=name)
    granting.take_away("approver", "user:cara")
    granting.grant("approver", "user:cara", space="north", by="test")

    def waits_for_sam() -> list[tuple[int, list[str]]]:
        """As pages for many have it; as the inbox has it."""
        found = waiting.found(list(chain.from_iterable(waiting.parts(["user:sam"]))))
        listed = [(one.number, may) for one, may in found.of("user:sam")]
        mine = inbox.mine("user:sam", inbox.asked(me="user:sam", limit=9))
        assert listed == [(one.task.pk, may) for one, may in mine]
        return listed

    for space in ("", "south"):
        move(task.workflow, space)
        assert inbox.votes_of(inbox.one(task.pk), "user:sam") == []
        assert waits_for_sam() == []
        with pytest.raises(NotAnApprover):
            vote(task, "sam", on_behalf_of="user:cara")
    move(task.workflow, "north")
    assert inbox.votes_of(inbox.one(task.pk), "user:sam") == ["user:cara"]
    assert waits_for_sam() == [(task.pk, ["user:cara"])]
    counts = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as asked:
            inbox.mine("user:sam", inbox.asked(me="user:sam", limit=9))
        counts.append(len(asked))
        engine.start_runs(task.workflow, [engine.StartRequest({"who": "all"})], principal="user:ina")
    assert counts[0] == counts[1], "it asks where somebody may vote once, not for each approval"
    assert vote(task, "sam", on_behalf_of="user:cara").missing == {"dpo": 1}


def test_an_approval_that_nobody_decides_expires_and_never_approves(team: None) -> None:
    source = NOTIFY.replace("veto: [legal, ciso]", "sla: 100ms\n      on_expiry: continue")
    task = begin(source.replace("output: ${{ steps.send.output.value }}", "output: ${{ steps.approve.output }}"))
    vote(task, "cara")
    due = StepRun.objects.get().due_at
    assert due is not None
    while timezone.now() < due or WorkflowRun.objects.get().finished_at is None:
        engine.release_due(["standard"], limit=10)
    task.refresh_from_db()
    assert task.outcome == "expired"
    run = WorkflowRun.objects.get()
    assert (run.state, run.error["cause"]["code"]) == ("FAILED", "not_approved"), "what it guards does not run"
    with pytest.raises(ApprovalEnded):
        vote(task, "dan")
    found = cast(CastInput(), context("cast", run=str(task.run_id)))
    assert [(one.approval, one.by, one.choice, one.roles) for one in found.expired] == [
        ("approve", "user:cara", "approve", ["ciso"])
    ]
    assert found.votes == found.expired


def test_a_run_that_ends_withdraws_it_and_a_paused_one_takes_no_votes(team: None) -> None:
    task = begin()
    engine.pause_run(str(task.run_id), principal="t")
    with pytest.raises(ApprovalPaused):
        vote(task, "dan")
    engine.resume_run(str(task.run_id), principal="t")
    vote(task, "dan")
    engine.cancel_run(str(task.run_id), principal="t")
    task.refresh_from_db()
    assert task.outcome == "withdrawn"
    with pytest.raises(ApprovalEnded):
        vote(task, "cara")


def test_fifty_votes_at_once_fill_the_seats_there_are() -> None:
    source = NOTIFY.replace("quorum: [{role: ciso}, {role: dpo}]", "quorum: [{role: ciso, count: 3}]").replace(
        "veto: [legal, ciso]", "veto: [legal]"
    )
    task = begin(source)
    people = [person(f"p{index}", "ciso") for index in range(25)]
    outcomes: Counter[str] = Counter()
    lock = threading.Lock()

    def cast(who: str) -> None:
        try:
            said = vote(task, who).outcome or "open"
        except (AlreadyVoted, ApprovalEnded) as error:
            said = type(error).__name__
        finally:
            connections.close_all()
        with lock:
            outcomes[said] += 1

    threads = [threading.Thread(target=cast, args=[who]) for who in people * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (outcomes["open"], outcomes["approved"], sum(outcomes.values())) == (2, 1, 50)
    assert Vote.objects.count() == 3
    assert len(StepRun.objects.get(step="approve").output["votes"]) == 3


def test_what_was_approved_is_what_runs(team: None) -> None:
    """The input of a guarded step is rendered again when it begins, and must be what was approved."""
    task = begin(who="all")
    assert task.content["runs"] == {"send": {"uses": "sample.echo", "with": {"value": "all"}}}
    WorkflowRun.objects.update(input={"who": "somebody else"})
    vote(task, "cara")
    vote(task, "dan")
    run = WorkflowRun.objects.get()
    assert (run.state, run.error["cause"]["code"]) == ("FAILED", "not_as_approved")


def signed_in(name: str, *permissions: str) -> Api:
    from django.contrib.auth.models import Permission

    user = User.objects.get(username=name)
    user.is_staff = True
    user.save()
    for permission in ("workflows.view_approvaltask", "people.add_vote", "people.add_delegation", *permissions):
        app, _, codename = permission.partition(".")
        user.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
    api = Api()
    api.client.force_login(user)
    return api


def test_the_inbox_and_votes_over_http(team: None) -> None:
    task = begin()
    mine, key_ = signed_in("dan", "people.view_delegation"), Api(key(Scope.OPERATOR))
    (item,) = mine.get("/approvals", assignee="me").json()["items"]
    assert (item["id"], item["missing"], item["due_at"]) == (task.pk, {"ciso": 1, "dpo": 1}, None)
    assert key_.get("/approvals", assignee="me").json()["items"] == []
    assert signed_in("sam").get("/approvals", assignee="me").json()["items"] == []
    detail = mine.get(f"/approvals/{task.pk}").json()
    assert (detail["you_may_vote"], detail["content"]["title"]) == (True, "Notify all")
    at = f"/approvals/{task.pk}"
    assert mine.post(f"{at}/claim").json()["claimed_by"] == "user:dan"
    assert mine.send("DELETE", f"{at}/claim", b"").status_code == 204
    assert mine.post(f"{at}/questions", {"text": "Why now?"}).status_code == 201
    assert Question.objects.get().text == "Why now?"
    assert mine.post("/delegations", {"to": "sam", "ends_at": "2020-01-01T00:00:00Z"}).status_code == 422
    given = mine.post("/delegations", {"to": "sam", "ends_at": "2099-01-01T00:00:00Z"})
    assert given.status_code == 422, "more than a year"
    soon = (timezone.now() + timezone.timedelta(days=3)).isoformat()
    given = mine.post("/delegations", {"to": "sam", "ends_at": soon}).json()
    assert [one["id"] for one in mine.get("/delegations").json()["items"]] == [given["id"]]
    assert mine.send("DELETE", f"/delegations/{given['id']}", b"").json()["revoked_at"] is not None
    body = {"choice": "approve", "content_hash": detail["content_hash"]}
    assert key_.post(f"{at}/votes", body).json()["code"] == "only-people-vote"
    assert signed_in("sam").post(f"{at}/votes", body).json()["code"] == "not-an-approver"
    assert mine.post(f"{at}/votes", body).json() == {"outcome": "", "missing": {"ciso": 1}}
    assert mine.post(f"{at}/votes", body).json()["code"] == "already-voted"
    assert mine.get("/approvals", assignee="me").json()["items"] == []
    assert signed_in("lea").post(f"{at}/votes", {**body, "choice": "refuse", "comment": "no"}).json()["outcome"] == (
        "refused"
    )
    assert mine.get("/approvals", state="ended").json()["items"][0]["outcome"] == "refused"


def test_the_inbox_goes_on_page_by_page_and_shows_each_once(team: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever lies in between: what others are asked, what one has voted on, what one started oneself."""
    monkeypatch.setattr("console.snapshots.MOST_APPROVALS", 3)
    name = publish(NOTIFY)

    def start(by: str) -> ApprovalTask:
        run = engine.start_runs(name, [engine.StartRequest({"who": "all"})], principal=by)[0].id
        return ApprovalTask.objects.get(run_id=run)

    mine = []
    for index in range(24):
        task = start("user:dan" if index % 3 == 0 else "user:ina")
        if index % 3 == 1:
            vote(task, "dan")
        elif index % 3 == 2:
            mine.append(task.pk)
    api, seen, cursor = signed_in("dan"), [], None
    while True:
        more = {"cursor": cursor} if cursor else {}
        page = api.get("/approvals", assignee="me", limit=3, **more).json()
        seen.append([one["id"] for one in page["items"]])
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == [mine[0:3], mine[3:6], mine[6:8]]
    assert [one.task.pk for one in inbox.asked(me="user:dan", limit=100)] == mine
    assert inbox.asked(me="user:dan", ended=True, limit=100) == []
    address, shown = "/console/approvals", []
    while address:
        text = api.client.get(address).content.decode()
        own = text[text.index('id="mine"') : text.index('data-part="open"')]
        shown += [int(one) for one in re.findall(r"/console/approvals/(\d+)", own)]
        following = re.search(r'href="([^"]*mine=\d+[^"]*)">Newer', own)
        address = following[1].replace("&amp;", "&") if following else ""
    assert shown == mine
    for odd in ("x", "-1", "9" * 40, "٣", "", "%00"):
        assert api.client.get(f"/console/approvals?mine={odd}&after={odd}").status_code == 200
    delegating.delegate(
        "user:lea", "dan", ends_at=timezone.now() + timezone.timedelta(hours=1), by="user:lea"
    )  # she may vote on what dan has started; he may not, also not for her
    assert [one.task.pk for one in inbox.asked(me="user:dan", limit=100)] == mine


def test_people_vote_in_the_console_and_are_told_what_is_wrong(team: None) -> None:
    task = begin()
    dan = signed_in("dan").client
    page = f"/console/approvals/{task.pk}"
    assert task.title in dan.get("/console/approvals").content.decode()
    shown = dan.get(page).content.decode()
    assert 'value="approve"' in shown
    assert task.content_hash in shown
    form = {"choice": "refuse", "content_hash": task.content_hash, "comment": "", "form": "{"}
    again = dan.post(f"{page}/vote", form)
    assert again.status_code == 422
    assert "is not JSON" in again.content.decode()
    assert dan.post(f"{page}/vote", {**form, "form": ""}).status_code == 422, "a refusal needs a comment"
    assert dan.post(f"{page}/ask", {"text": "Why?"}).status_code == 303
    assert dan.post(f"{page}/claim").status_code == 303
    assert "Why?" in dan.get(page).content.decode()
    done = dan.post(
        f"{page}/vote", {"choice": "approve", "content_hash": task.content_hash, "form": '{"reason": "due"}'}
    )
    assert done.status_code == 303
    assert (Vote.objects.get().via, Vote.objects.get().form) == ("console", {"reason": "due"})
    assert 'value="approve"' not in dan.get(page).content.decode()
    sam = signed_in("sam").client
    assert 'value="approve"' not in sam.get(page).content.decode()
    assert sam.post(f"{page}/vote", {"choice": "approve", "content_hash": task.content_hash}).status_code == 422
    for verb in ("vote", "ask", "claim"):
        assert dan.get(f"{page}/{verb}").status_code == 405, "a link never votes"
        assert dan.post(f"/console/approvals/999999/{verb}", {**form, "text": "x", "form": ""}).status_code == 404
    assert dan.get("/console/approvals/999999").status_code == 404
    boss = User.objects.create_superuser("boss")
    dan.force_login(boss)
    for address in ("workflows/approvaltask/", f"workflows/approvaltask/{task.pk}/change/", "people/delegation/"):
        assert dan.get(f"/admin/{address}").status_code == 200
    assert dan.post(f"{page}/vote", {"choice": "approve", "content_hash": task.content_hash}).status_code == 422
    assert Vote.objects.count() == 1


def test_people_are_told_reminded_and_others_notified_once_each(team: None, mailoutbox: Any) -> None:
    for name in ("cara", "dan", "lea", "ina"):
        User.objects.filter(username=name).update(email=f"{name}@example.org")
    person("boss", "board")
    User.objects.filter(username="boss").update(email="boss@example.org")
    ladder = "remind: [1h]\n      escalate: [{after: 2h, to: board}]"
    task = begin(NOTIFY.replace("veto: [legal, ciso]", f"veto: [legal]\n      {ladder}"))

    def told() -> list[str]:
        mailoutbox.clear()
        threads = [threading.Thread(target=looked) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sorted(one.to[0].partition("@")[0] for one in mailoutbox)

    def looked() -> None:
        try:
            notices.look()
        finally:
            connections.close_all()

    assert told() == ["cara", "dan", "lea"], "eve has no address"
    assert f"/console/approvals/{task.pk}" in mailoutbox[0].body
    assert told() == []
    vote(task, "dan")
    engine.pause_run(str(task.run_id), principal="t")
    later(task)
    assert told() == [], "its run is paused"
    engine.resume_run(str(task.run_id), principal="t")
    assert told() == ["cara", "lea"], "who has voted is not reminded"
    later(task)
    assert told() == ["boss"]
    later(task)
    assert told() == []
    types = list(RunEvent.objects.filter(run=task.run_id, type__startswith="approval.").values_list("type", flat=True))
    assert types == ["approval.reminded", "approval.escalated"]


def later(task: ApprovalTask) -> None:
    """The next rung is due now."""
    ApprovalTask.objects.filter(pk=task.pk, next_at__isnull=False).update(next_at=timezone.now())


def test_a_mail_server_that_is_away_is_asked_again(team: None, settings: Any) -> None:
    settings.EMAIL_BACKEND = "erip.foundation.outbound.nomail.NoMail"
    User.objects.filter(username="dan").update(email="dan@example.org")
    begin()
    notices.look()
    notice = Notice.objects.get(person="user:dan")
    assert (notice.sent_at, notice.attempts) == (None, 1)
    assert "no mail server is named" in notice.error
    assert notice.due_at is not None
    assert notice.due_at > timezone.now()
    assert Notice.objects.get(person="user:cara").error == "no e-mail address"
