"""Alerts, silences and rules under /api/v1/alerts."""

from datetime import UTC, datetime, timedelta
from typing import Any

from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from erip.access.scopes import Scope
from erip.access.spaces import LISTS, of_caller
from erip.foundation.faults import Fault
from erip.foundation.http.fields import Choice, Flag, JsonObject, Moment, Number, StrictSerializer, Text
from erip.foundation.http.problems import Unprocessable
from erip.foundation.http.reading import principal_of, read_body, read_query
from erip.foundation.moments import later
from monitoring import store
from monitoring.alerting import in_force, shipped
from monitoring.api.fields import Span
from monitoring.backtest import MOST_RANGE, backtest
from monitoring.core.rules import MOST_RULES, NAME, BadRules, Rule, read_rule
from monitoring.errors import AlertNotOpen, NoSuchAlert, NoSuchRule, NoSuchSilence, RuleInvalid
from monitoring.silencing import silence_faults
from monitoring.store import listing, work
from monitoring.taking import take_on
from workflows.api.schema import operation

_RULE = OpenApiParameter("name", {"type": "string", "pattern": f"^{NAME}$"}, OpenApiParameter.PATH)
_ID = OpenApiParameter("id", {"type": "integer", "minimum": 1, "maximum": 10**18 - 1}, OpenApiParameter.PATH)


class AlertFilter(StrictSerializer):
    stage = Choice(["pending", "firing", "resolved"], required=False)
    cursor = Number(required=False, min_value=1, max_value=2**63 - 1, help_text="`next_cursor`.")
    limit = Number(required=False, min_value=1, max_value=200, default=50)


class AlertCause(serializers.Serializer[Any]):
    component = serializers.CharField()
    members = serializers.ListField(child=serializers.CharField(), help_text="Its servers or processes.")
    began_by = serializers.DateTimeField(help_text="When it was first seen changed.")
    ongoing = serializers.BooleanField(help_text="Whether it was not well then.")
    sentence = serializers.CharField()
    evidence = serializers.ListField(child=serializers.CharField())


class AlertShown(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    rule = serializers.CharField()
    labels = serializers.DictField(child=serializers.CharField())
    number = serializers.IntegerField(help_text="Counts the alerts of this rule and these labels.")
    stage = serializers.ChoiceField(choices=["pending", "firing", "resolved"])
    severity = serializers.ChoiceField(choices=["page", "ticket"])
    summary = serializers.CharField()
    value = serializers.FloatField(allow_null=True)
    unknown = serializers.BooleanField(help_text="Whether the value is not known at the moment.")
    since = serializers.DateTimeField(help_text="When the condition held first.")
    fired_at = serializers.DateTimeField(allow_null=True)
    resolved_at = serializers.DateTimeField(allow_null=True)
    announced = serializers.CharField(allow_null=True, help_text="What receivers were sent last; null: nothing.")
    acknowledged_at = serializers.DateTimeField(allow_null=True)
    acknowledged_by = serializers.CharField()
    note = serializers.CharField()
    impact = JsonObject(
        allow_null=True,
        help_text="What it puts at risk, as found when it began to fire or at the last call; null: not yet.",
    )
    impact_at = serializers.DateTimeField(allow_null=True)
    causes = AlertCause(
        many=True,
        allow_null=True,
        help_text="What may have caused it, the likeliest first, as found together with the impact; null: not yet.",
    )


class AlertPage(serializers.Serializer[Any]):
    items = AlertShown(many=True)
    next_cursor = serializers.IntegerField(allow_null=True)


class Acknowledge(StrictSerializer):
    note = Text(max_length=1_000, required=False, default="", allow_blank=True)


class NewSilence(StrictSerializer):
    rule = Text(max_length=63, required=False, default="", allow_blank=True, help_text="Empty: alerts of any rule.")
    labels = serializers.DictField(child=Text(max_length=200), required=False, help_text="Labels that they have.")
    reason = Text(max_length=500)
    ends_at = Moment(help_text="30 days ahead at most.")


class SilenceShown(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    rule = serializers.CharField()
    labels = serializers.DictField(child=serializers.CharField())
    reason = serializers.CharField()
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField()
    ends_at = serializers.DateTimeField()


class SilenceList(serializers.Serializer[Any]):
    items = SilenceShown(many=True)


class RuleShown(serializers.Serializer[Any]):
    name = serializers.CharField()
    origin = serializers.ChoiceField(choices=["shipped", "own"])
    enabled = serializers.BooleanField()
    rule = JsonObject(help_text="The rule, as it is put.")


class RuleList(serializers.Serializer[Any]):
    items = RuleShown(many=True)


class PutRule(StrictSerializer):
    rule = JsonObject(required=False, help_text="The rule; its name is that of the address and may be left out.")
    enabled = Flag(required=False, help_text="false: the shipped rule of this name is off.")


class Backtest(StrictSerializer):
    range = Span(least=60, most=MOST_RANGE, required=False, help_text="How far back, a day at most; without it, 6 h.")
    end = Moment(required=False, help_text="Without it, now.")
    rule = JsonObject(required=False, help_text="A rule to try in place of the one that is kept.")


class BacktestChange(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    labels = serializers.DictField(child=serializers.CharField())
    stage = serializers.ChoiceField(choices=["inactive", "pending", "firing", "resolved"])
    value = serializers.FloatField(allow_null=True)


class BacktestAnswer(serializers.Serializer[Any]):
    ticks = serializers.IntegerField(help_text="Frames that were judged.")
    missing = serializers.IntegerField(help_text="Ticks of the range without a frame: nothing is known of them.")
    fired = serializers.IntegerField(help_text="How often an alert began to fire.")
    firing = serializers.IntegerField(help_text="Alerts that fire at the end.")
    changes = BacktestChange(many=True)


def _shown(row: dict[str, Any], request: Request) -> dict[str, Any]:
    shown = {**row, "labels": dict(row["labels"]), "number": row["serial"]}
    if of_caller(request) is not None:
        # Both are about the whole platform: the runs that wait in a lane, the servers that are not well.
        shown |= {"impact": None, "impact_at": None, "causes": None}
    return shown


class Alerts(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["monitoring.view_alert"],
        of=LISTS,
        tag="monitoring",
        id="listAlerts",
        summary="List alerts",
        description="Newest first. Follow `next_cursor` until it is null.",
        parameters=[AlertFilter],
        answers={200: AlertPage},
    )
    def get(self, request: Request) -> Response:
        query = read_query(request, AlertFilter)
        rows = listing.alerts(
            stage=query.get("stage"), before=query.get("cursor"), limit=query["limit"] + 1, spaces=of_caller(request)
        )
        items = [AlertShown(_shown(row, request)).data for row in rows[: query["limit"]]]
        return Response({"items": items, "next_cursor": items[-1]["id"] if len(rows) > len(items) else None})


class AlertAcknowledgement(APIView):
    @operation(
        scope=Scope.OPERATOR,
        permissions=["monitoring.change_alert"],
        tag="monitoring",
        id="acknowledgeAlert",
        summary="Take an alert on",
        # Not for who has this in a space: the others of the same message may be the platform's.
        description="It goes on being judged, and its end is announced if it was. Its on-call ladder stops, and so do "
        "those of alerts that were announced in the same message.",
        parameters=[_ID],
        request=Acknowledge,
        answers={200: AlertShown},
        problems=[404, 409],
    )
    def post(self, request: Request, id: int) -> Response:
        body = read_body(request, Acknowledge, optional=True)
        taken = take_on(id, by=principal_of(request), note=body["note"])
        row = listing.alert(id)
        if row is None:
            raise NoSuchAlert
        if not taken:
            raise AlertNotOpen
        return Response(AlertShown(_shown(row, request)).data)


class Silences(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["monitoring.view_silence"],
        tag="monitoring",
        id="listSilences",
        summary="List the silences that last",
        answers={200: SilenceList},
    )
    def get(self, request: Request) -> Response:
        return Response({"items": SilenceShown(listing.silences(), many=True).data})

    @operation(
        scope=Scope.OPERATOR,
        permissions=["monitoring.add_silence"],
        tag="monitoring",
        id="addSilence",
        summary="Silence alerts for a while",
        description="Nobody is sent them until it ends; those that still fire then are sent.",
        request=NewSilence,
        answers={201: SilenceShown},
    )
    def post(self, request: Request) -> Response:
        body = read_body(request, NewSilence)
        labels = body.get("labels") or {}
        if faults := silence_faults(body["rule"], labels, body["ends_at"], datetime.now(UTC)):
            raise Unprocessable(faults)
        made = listing.silence(
            rule=body["rule"],
            labels=labels,
            reason=body["reason"],
            ends=body["ends_at"],
            by=principal_of(request),
        )
        return Response(SilenceShown(made).data, status=201)


class SilenceOne(APIView):
    @operation(
        scope=Scope.OPERATOR,
        permissions=["monitoring.change_silence"],
        tag="monitoring",
        id="endSilence",
        summary="End a silence now",
        parameters=[_ID],
        answers={204: None},
    )
    def delete(self, request: Request, id: int) -> Response:
        if not listing.end_silence(id):
            raise NoSuchSilence
        return Response(status=204)


class AlertRules(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["monitoring.view_alertrule"],
        tag="monitoring",
        id="listAlertRules",
        summary="List alert rules",
        description="The shipped ones and those of this site, which take the place of shipped ones of their name.",
        answers={200: RuleList},
    )
    def get(self, request: Request) -> Response:
        own = listing.own_rules()
        items = []
        for name in sorted({*shipped(), *own}):
            kept = own.get(name)
            document = kept["document"] if kept is not None else None
            rule = document if document is not None else shipped()[name].document() if name in shipped() else {}
            enabled = kept is None or document is not None
            items.append(
                {"name": name, "origin": "shipped" if document is None else "own", "enabled": enabled, "rule": rule}
            )
        return Response({"items": items})


class AlertRuleOne(APIView):
    @operation(
        scope=Scope.AUTHOR,
        permissions=["monitoring.change_alertrule"],
        tag="monitoring",
        id="putAlertRule",
        summary="Keep a rule, or switch a shipped one off",
        parameters=[_RULE],
        request=PutRule,
        answers={200: RuleShown, 201: RuleShown},
    )
    def put(self, request: Request, name: str) -> Response:
        body = read_body(request, PutRule)
        enabled = body.get("enabled", True)
        if enabled == ("rule" not in body):
            raise Unprocessable([Fault("rule", "is needed, unless `enabled` is false; then there must be none")])
        if not enabled and name not in shipped():
            raise Unprocessable([Fault("enabled", "only a shipped rule can be switched off; delete one of your own")])
        rule = _rule(name, body["rule"]) if enabled else None
        own = listing.own_rules()
        if name not in own and len(own) >= MOST_RULES:
            raise Unprocessable([Fault("rule", f"there are {MOST_RULES} rules of this site already; delete one first")])
        new = store.put_rule(name, rule, by=principal_of(request))
        shown = rule if rule is not None else shipped()[name]
        origin = "own" if rule is not None else "shipped"
        document = {"name": name, "origin": origin, "enabled": enabled, "rule": shown.document()}
        return Response(document, status=201 if new else 200)

    @operation(
        scope=Scope.AUTHOR,
        permissions=["monitoring.delete_alertrule"],
        tag="monitoring",
        id="deleteAlertRule",
        summary="Delete a rule of this site",
        description="The shipped rule of this name, if there is one, counts again. Its alerts are resolved.",
        parameters=[_RULE],
        answers={204: None},
    )
    def delete(self, request: Request, name: str) -> Response:
        if not store.drop_rule(name):
            raise NoSuchRule
        return Response(status=204)


class RuleBacktest(APIView):
    @operation(
        scope=Scope.OPERATOR,
        permissions=["monitoring.backtest_alertrule"],
        tag="monitoring",
        id="backtestAlertRule",
        summary="See what a rule would have done",
        description="Judges the stored frames of the last day, tick by tick, as they were judged live.",
        parameters=[_RULE],
        request=Backtest,
        answers={200: BacktestAnswer},
    )
    def post(self, request: Request, name: str) -> Response:
        body = read_body(request, Backtest, optional=True)
        if "rule" in body:
            rule = _rule(name, body["rule"])
        else:
            found = in_force(store.read_own_rules()).get(name)
            if found is None:
                raise NoSuchRule
            rule = found
        until = body.get("end") or work.clock()
        return Response(backtest(rule, since=later(until, -timedelta(seconds=body.get("range", 21_600))), until=until))


def _rule(name: str, document: dict[str, Any]) -> Rule:
    """The rule of this name. Raises RuleInvalid with every fault."""
    faults = []
    if document.get("name", name) != name:
        faults.append(Fault("rule.name", f'is not the name in the address, "{name}"'))
    try:
        rule = read_rule({**document, "name": name}, "rule")
    except BadRules as error:
        raise RuleInvalid(faults=sorted([*faults, *error.faults])) from error
    if faults:
        raise RuleInvalid(faults=faults)
    return rule
