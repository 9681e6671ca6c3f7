"""Subscriptions and their deliveries: make, change, test, look at what was delivered, deliver again."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from erip.access.permissions import rule_of
from erip.access.principals import Principal
from erip.access.scopes import Scope
from erip.access.spaces import LISTS, of_caller
from erip.access.standing import where
from erip.foundation.faults import Fault
from erip.foundation.http.reading import principal_of, read_body, read_query
from workflows.api.schema import operation, response_header
from workflows.errors import InvalidInput
from workflows.events import subscriptions
from workflows.events.deliveries import message_id
from workflows.events.errors import OthersSecret
from workflows.events.models import Delivery, Subscription
from workflows.events.secrets import current_secret
from workflows.events.spaces import of_source, subscriptions_in

from .. import subscribing as shapes

_ID = OpenApiParameter("id", OpenApiTypes.UUID, OpenApiParameter.PATH, description="The subscription's id.")
_DELIVERY = OpenApiParameter("id", OpenApiTypes.INT64, OpenApiParameter.PATH, description="The delivery's id.")
_EXAMPLE = OpenApiExample(
    "The ends of runs",
    value={"url": "https://hooks.example.com/erip", "types": ["workflow.run.*"], "source": "/erip/workflows/breach-*"},
    request_only=True,
)


def shown(each: Subscription) -> dict[str, Any]:
    return {
        "id": each.pk,
        "url": each.url,
        "types": each.types,
        "source": each.source,
        "subject": each.subject,
        "description": each.description,
        "enabled": each.enabled,
        "created_at": each.created_at,
        "created_by": each.created_by,
        "secret_rotated_at": each.rotated_at,
        "failing_since": each.failing_since,
        "disabled_at": each.disabled_at,
        "disabled_reason": each.disabled_reason,
    }


def _shown_with_secret(made: subscriptions.Made) -> dict[str, Any]:
    return {**shown(made.subscription), "secret": made.secret}


def _with_secret(shown: Mapping[str, Any]) -> Mapping[str, Any]:
    """An answer that was kept without its secret: Note [Idempotent requests] in `workflows.api.once`."""
    found = subscriptions.subscription(UUID(shown["id"]))
    return {**shown, "secret": current_secret(found)}


def _need_the_owner(caller: Any, each: Subscription) -> None:
    """Raises OthersSecret unless the caller may use the secret, whose holder can forge messages that the receiver
    trusts.

    Administrators may use any secret, and so may members of staff with the permission, who may do the same in the
    admin. A subscription made by a command, or by a caller who has lost access, belongs to all operators.
    """
    below_admin = isinstance(caller, Principal) and caller.is_key and not caller.superuser
    if not below_admin or each.created_by == caller.name:
        return
    if where([each.created_by], rule_of(SubscriptionSecret, "post")):
        raise OthersSecret


def _need_a_source(request: Request, source: str | None) -> None:
    """Raises InvalidInput unless the caller may subscribe to events of this source: Note [Spaces of events]."""
    spaces = of_caller(request)
    if spaces is not None and of_source(source) not in spaces:
        message = "must be the source of a workflow in your space, such as /erip/workflows/NAME, without a pattern"
        raise InvalidInput("The subscription is not valid.", faults=[Fault("source", message)])


def _delivery(each: Delivery) -> dict[str, Any]:
    return {
        "id": each.pk,
        "webhook_id": message_id(each.pk),
        "subscription": each.subscription_id,
        "type": each.type,
        "event_id": each.event_id,
        "position": None if each.position is None else f"{each.partition}-{each.position}",
        "status": each.state,
        "attempts": each.attempts,
        "created_at": each.created_at,
        "next_attempt_at": each.due_at if each.state == "PENDING" else None,
        "finished_at": each.finished_at,
    }


def _with_log(each: Delivery) -> dict[str, Any]:
    fields = ("number", "at", "milliseconds", "status", "error")
    return {**_delivery(each), "log": [{name: getattr(one, name) for name in fields} for one in each.log.all()]}


class Subscriptions(APIView):
    @operation(
        scope=Scope.OPERATOR,
        permissions=["events.view_subscription"],
        of=LISTS,
        tag="subscriptions",
        id="listSubscriptions",
        summary="List subscriptions",
        description="Newest first.",
        answers={200: shapes.SubscriptionPage},
    )
    def get(self, request: Request) -> Response:
        found = Subscription.objects.filter(subscriptions_in(of_caller(request)))
        return Response({"items": [shown(each) for each in found]})

    @operation(
        scope=Scope.OPERATOR,
        permissions=["events.add_subscription"],
        of=LISTS,
        tag="subscriptions",
        id="subscribe",
        summary="Have events posted to a URL",
        description=(
            "Events that come from about a second later on are posted as CloudEvents in structured mode, signed as "
            "Standard Webhooks has it. The answer holds the secret, which nobody is shown again."
        ),
        parameters=[response_header("Location", "Where the subscription is.", 201)],
        request=shapes.Subscribe,
        examples=[_EXAMPLE],
        answers={201: shapes.SubscriptionMade},
        problems=[409],
        restore=_with_secret,
    )
    def post(self, request: Request) -> Response:
        body = read_body(request, shapes.Subscribe)
        _need_a_source(request, body["source"])
        made = subscriptions.subscribe(**body, principal=principal_of(request))
        location = {"Location": f"/api/v1/subscriptions/{made.subscription.pk}"}
        return Response(_shown_with_secret(made), status=201, headers=location)


class SubscriptionOne(APIView):
    @operation(
        scope=Scope.OPERATOR,
        permissions=["events.view_subscription"],
        of="subscription:id",
        tag="subscriptions",
        id="getSubscription",
        summary="Read a subscription",
        parameters=[_ID],
        answers={200: shapes.Subscription},
    )
    def get(self, request: Request, id: UUID) -> Response:
        return Response(shown(subscriptions.subscription(id)))

    @operation(
        scope=Scope.OPERATOR,
        permissions=["events.change_subscription"],
        of="subscription:id",
        tag="subscriptions",
        id="changeSubscription",
        summary="Change a subscription",
        parameters=[_ID],
        request=shapes.ChangeSubscription,
        answers={200: shapes.Subscription},
    )
    def patch(self, request: Request, id: UUID) -> Response:
        changes = read_body(request, shapes.ChangeSubscription)
        if "source" in changes:
            _need_a_source(request, changes["source"])
        return Response(shown(subscriptions.change(id, changes)))

    @operation(
        scope=Scope.OPERATOR,
        permissions=["events.delete_subscription"],
        of="subscription:id",
        tag="subscriptions",
        id="unsubscribe",
        summary="Delete a subscription with its deliveries",
        parameters=[_ID],
        answers={204: None},
    )
    def delete(self, request: Request, id: UUID) -> Response:
        subscriptions.unsubscribe(id)
        return Response(status=204)


class SubscriptionSecret(APIView):
    @operation(
        scope=Scope.OPERATOR,
        permissions=["events.change_subscription"],
        of="subscription:id",
        tag="subscriptions",
        id="rotateSecret",
        summary="Exchange the secret",
        description=(
            "The former secret signs too for 24 hours. The answer holds the new one, so an API key below `admin` can "
            "do so only with subscriptions that no other key and no person has made who may still come in."
        ),
        parameters=[_ID],
        request=shapes.Nothing,
        answers={200: shapes.SubscriptionMade},
        problems=[409],
        restore=_with_secret,
    )
    def post(self, request: Request, id: UUID) -> Response:
        read_body(request, shapes.Nothing, optional=True)
        _need_the_owner(request.user, subscriptions.subscription(id))
        return Response(_shown_with_secret(subscriptions.rotate_secret(id)))


class SubscriptionTest(APIView):
    @operation(
        scope=Scope.OPERATOR,
        permissions=["events.change_subscription"],
        of="subscription:id",
        tag="subscriptions",
        id="testSubscription",
        summary="Have a test event delivered",
        parameters=[_ID],
        request=shapes.Nothing,
        answers={202: shapes.DeliveryWithLog},
        problems=[409],
    )
    def post(self, request: Request, id: UUID) -> Response:
        read_body(request, shapes.Nothing, optional=True)
        return Response(_with_log(subscriptions.send_test(id, principal=principal_of(request))), status=202)


class SubscriptionDeliveries(APIView):
    @operation(
        scope=Scope.OPERATOR,
        permissions=["events.view_delivery"],
        of="subscription:id",
        tag="subscriptions",
        id="listDeliveries",
        summary="What was delivered, and how that went",
        description="Newest first. Follow `next_cursor` until it is null.",
        parameters=[_ID, shapes.DeliveryFilter],
        answers={200: shapes.DeliveryPage},
    )
    def get(self, request: Request, id: UUID) -> Response:
        query = read_query(request, shapes.DeliveryFilter)
        found = subscriptions.subscription(id).deliveries.prefetch_related("log").order_by("-id")
        if "status" in query:
            found = found.filter(state=query["status"])
        if "cursor" in query:
            found = found.filter(pk__lt=query["cursor"])
        page = list(found[: query["limit"] + 1])
        more = len(page) > query["limit"]
        page = page[: query["limit"]]
        return Response(
            {"items": [_with_log(each) for each in page], "next_cursor": str(page[-1].pk) if more else None}
        )


class DeliveryOne(APIView):
    @operation(
        scope=Scope.OPERATOR,
        permissions=["events.view_delivery"],
        of="delivery:id",
        tag="subscriptions",
        id="getDelivery",
        summary="Read a delivery",
        parameters=[_DELIVERY],
        answers={200: shapes.DeliveryWithLog},
    )
    def get(self, request: Request, id: int) -> Response:
        return Response(_with_log(subscriptions.delivery(id)))


class DeliveryAgain(APIView):
    @operation(
        scope=Scope.OPERATOR,
        permissions=["events.change_subscription"],
        of="delivery:id",
        tag="subscriptions",
        id="redeliver",
        summary="Deliver again",
        description="Whatever came of it before, with the same `webhook-id`.",
        parameters=[_DELIVERY],
        request=shapes.Nothing,
        answers={202: shapes.DeliveryWithLog},
        problems=[409],
    )
    def post(self, request: Request, id: int) -> Response:
        read_body(request, shapes.Nothing, optional=True)
        return Response(_with_log(subscriptions.redeliver(id)), status=202)
