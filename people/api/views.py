"""Approvals: the inbox, one of them, votes, questions, delegations."""

from typing import Any

from django.db.models import Q
from drf_spectacular.utils import OpenApiExample, OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from erip.access.scopes import Scope
from erip.access.spaces import LISTS, of_caller
from erip.foundation.http.reading import principal_of, read_body, read_query
from people import asking, delegating, inbox, voting
from people.api import shapes
from people.models import Delegation, Vote
from workflows.api.schema import operation

NUMBER = OpenApiParameter("number", int, OpenApiParameter.PATH, description="The id of the approval.")
_DELEGATION = OpenApiParameter("number", int, OpenApiParameter.PATH, description="The id of the delegation.")


def _summary(one: inbox.Asked) -> dict[str, Any]:
    task = one.task
    same = ("step", "workflow", "business_key", "title", "roles", "opened_at", "claimed_by", "closed_at", "outcome")
    return {
        "id": task.pk,
        "run": task.run_id,
        "missing": one.missing,
        "due_at": one.due_at,
        **{name: getattr(task, name) for name in same},
    }


def _vote(vote: Vote) -> dict[str, Any]:
    same = ("choice", "roles", "comment", "form", "via", "at")
    return {
        "by": vote.voter,
        "on_behalf_of": vote.on_behalf_of or None,
        **{name: getattr(vote, name) for name in same},
    }


def _detail(number: int, me: str) -> dict[str, Any]:
    one = inbox.one(number)
    may = inbox.votes_of(one, me)
    return {
        **_summary(one),
        "content": one.task.content,
        "content_hash": one.task.content_hash,
        "form": None if one.missing is None else inbox.form_of(one.task),
        "barred": one.task.barred,
        "you_may_vote": "" in may,
        "you_may_vote_for": [person for person in may if person],
        "votes": [_vote(vote) for vote in one.votes],
        "questions": [{"by": each.by, "text": each.text, "at": each.at} for each in one.task.questions.all()],
    }


def _delegation(one: Delegation) -> dict[str, Any]:
    names = ("id", "delegator", "delegate", "starts_at", "ends_at", "reason", "made_by", "revoked_at")
    return {name: getattr(one, name) for name in names}


class Approvals(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["workflows.view_approvaltask"],
        of=LISTS,
        tag="approvals",
        id="listApprovals",
        summary="List approvals",
        description="Those that are open, oldest first; `assignee=me` are those that wait for your vote. With "
        "`state=ended`, newest first. Follow `next_cursor` until it is null.",
        parameters=[shapes.ApprovalFilter],
        answers={200: shapes.ApprovalPage},
    )
    def get(self, request: Request) -> Response:
        query = read_query(request, shapes.ApprovalFilter)
        ended, limit = query["state"] == "ended", query["limit"]
        found = inbox.asked(
            me=principal_of(request) if "assignee" in query else None,
            ended=ended,
            before=query.get("cursor") if ended else None,
            after=None if ended else query.get("cursor"),
            limit=limit + 1,
            spaces=of_caller(request),
        )
        more = len(found) > limit
        found = found[:limit]
        return Response(
            {"items": [_summary(one) for one in found], "next_cursor": str(found[-1].task.pk) if more else None}
        )


class ApprovalOne(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["workflows.view_approvaltask"],
        of="approval:number",
        tag="approvals",
        id="getApproval",
        summary="Read an approval: what is asked, who has voted, and whether you may",
        parameters=[NUMBER],
        answers={200: shapes.ApprovalDetail},
    )
    def get(self, request: Request, number: int) -> Response:
        return Response(_detail(number, principal_of(request)))


class ApprovalVotes(APIView):
    @operation(
        scope=Scope.OPERATOR,
        permissions=["people.add_vote"],
        of="approval:number",
        tag="approvals",
        id="vote",
        summary="Vote for or against an approval",
        description=(
            "Only a person can, who is signed in: an API key gets 403. Whoever started the run, owns the key that "
            "started it, or published its definition does not approve it. 409: the approval has ended, you have voted "
            "already, or what you saw is not what is to be approved."
        ),
        parameters=[NUMBER],
        request=shapes.CastVote,
        examples=[
            OpenApiExample(
                "Approve",
                value={"choice": "approve", "content_hash": "0" * 64, "comment": "Seen with counsel."},
                request_only=True,
            )
        ],
        answers={200: shapes.Voted},
        problems=[409],
    )
    def post(self, request: Request, number: int) -> Response:
        body = read_body(request, shapes.CastVote)
        ballot = voting.Ballot(
            principal_of(request),
            body["choice"],
            body["content_hash"],
            "api",
            body.get("on_behalf_of", ""),
            body["comment"],
            body.get("form"),
        )
        done = voting.vote(number, ballot)
        return Response({"outcome": done.outcome, "missing": done.missing})


class ApprovalClaim(APIView):
    @operation(
        scope=Scope.OPERATOR,
        permissions=["people.add_vote"],
        of="approval:number",
        tag="approvals",
        id="claimApproval",
        summary="Say that you look after an approval",
        description="It keeps nobody from voting.",
        parameters=[NUMBER],
        request=shapes.Nothing,
        answers={200: shapes.ApprovalDetail},
        problems=[409],
    )
    def post(self, request: Request, number: int) -> Response:
        read_body(request, shapes.Nothing, optional=True)
        asking.claim(number, by=principal_of(request))
        return Response(_detail(number, principal_of(request)))

    @operation(
        scope=Scope.OPERATOR,
        permissions=["people.add_vote"],
        of="approval:number",
        tag="approvals",
        id="releaseApproval",
        summary="Say that nobody looks after an approval",
        parameters=[NUMBER],
        answers={204: None},
        problems=[409],
    )
    def delete(self, request: Request, number: int) -> Response:
        asking.claim(number, by="")
        return Response(status=204)


class ApprovalQuestions(APIView):
    @operation(
        scope=Scope.OPERATOR,
        permissions=["people.add_vote"],
        of="approval:number",
        tag="approvals",
        id="askApproval",
        summary="Ask or answer something before you vote",
        description="Recorded with the approval and in the history of the run. Only a person can.",
        parameters=[NUMBER],
        request=shapes.Ask,
        answers={201: shapes.QuestionAsked},
        problems=[409],
    )
    def post(self, request: Request, number: int) -> Response:
        body = read_body(request, shapes.Ask)
        done = asking.ask(number, by=principal_of(request), text=body["text"])
        return Response({"by": done.by, "text": done.text, "at": done.at}, status=201)


class Delegations(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["people.view_delegation"],
        of=LISTS,
        walled=False,
        tag="approvals",
        id="listDelegations",
        summary="List who votes in your place, and in whose place you vote",
        description="Newest first; a caller that is no person sees all. Follow `next_cursor` until it is null.",
        parameters=[shapes.DelegationFilter],
        answers={200: shapes.DelegationPage},
    )
    def get(self, request: Request) -> Response:
        query = read_query(request, shapes.DelegationFilter)
        me, limit = principal_of(request), query["limit"]
        found = Delegation.objects.order_by("-id")
        if me.startswith("user:") or of_caller(request) is not None:
            # Who stands in for whom is about no workflow: but what is about oneself.
            found = found.filter(Q(delegator=me) | Q(delegate=me))
        if "cursor" in query:
            found = found.filter(pk__lt=query["cursor"])
        rows = list(found[: limit + 1])
        more = len(rows) > limit
        rows = rows[:limit]
        return Response(
            {"items": [_delegation(one) for one in rows], "next_cursor": str(rows[-1].pk) if more else None}
        )

    @operation(
        scope=Scope.OPERATOR,
        permissions=["people.add_delegation"],
        of=LISTS,
        tag="approvals",
        id="delegate",
        summary="Let somebody else vote in your place",
        description="Until `ends_at`. Whoever votes in your place counts as you too: neither of you votes again.",
        request=shapes.Delegate,
        examples=[
            OpenApiExample(
                "A holiday",
                value={"to": "ben", "ends_at": "2026-12-31T17:00:00Z", "reason": "Holiday."},
                request_only=True,
            )
        ],
        answers={201: shapes.DelegationOne},
    )
    def post(self, request: Request) -> Response:
        body = read_body(request, shapes.Delegate)
        me = principal_of(request)
        made = delegating.delegate(
            me, body["to"], ends_at=body["ends_at"], starts_at=body.get("starts_at"), by=me, reason=body["reason"]
        )
        return Response(_delegation(made), status=201)


class DelegationOne(APIView):
    @operation(
        scope=Scope.OPERATOR,
        permissions=["people.add_delegation"],
        of=LISTS,
        tag="approvals",
        id="revokeDelegation",
        summary="End a delegation now",
        description="Yours, or one that was given to you.",
        parameters=[_DELEGATION],
        answers={200: shapes.DelegationOne},
    )
    def delete(self, request: Request, number: int) -> Response:
        me = principal_of(request)
        return Response(_delegation(delegating.revoke(number, by=me, of=me)))
