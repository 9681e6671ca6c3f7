"""Decision tables: list, read, check, publish, ask."""

from collections.abc import Mapping
from functools import partial
from typing import IO, Any, ClassVar

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from erip.access.flags import asking as flags
from erip.access.permissions import requires
from erip.access.scopes import Scope
from erip.access.spaces import LISTS, of_caller
from erip.foundation.http.parsers import read_plain
from erip.foundation.http.reading import principal_of, read_body, read_query, refuse_query
from workflows.core.tables.document import TableInvalid
from workflows.decisions import files, stored
from workflows.decisions.asking import ask, ask_each
from workflows.decisions.compiled import compiled
from workflows.decisions.errors import TableNotValid
from workflows.decisions.files import MEDIA_TYPES, Language
from workflows.decisions.models import DecisionVersion
from workflows.decisions.reporting import report
from workflows.replay.what_if import what_if

from .. import decision_shapes as shapes
from ..schema import VERSION_PARAMETER, operation, reading, response_header
from ..what_if_shapes import PAGED, answered

NAME = OpenApiParameter(
    "name",
    {"type": "string", "pattern": f"^{stored.NAME}$"},
    OpenApiParameter.PATH,
    description="The table's name.",
)
_EXAMPLE = """\
inputs:
  - {name: severity, type: string, values: [low, high]}
  - {name: loss, type: number, optional: true}
outputs: [{name: level, type: string}]
hit_policy: FIRST
rules:
  - {when: {loss: ">= 1000000"}, then: {level: '"board"'}}
  - {then: {level: '"team"'}}
"""
_BODY = {
    "application/yaml": OpenApiTypes.STR,
    "application/json": {"type": "object", "additionalProperties": {}, "description": "A decision table."},
    "application/xml": {"type": "string", "description": "A file of DMN 1.2 to 1.5."},
    "text/csv": {"type": "string", "description": "A spreadsheet."},
    MEDIA_TYPES[Language.XLSX]: {"type": "string", "format": "binary", "description": "A workbook of spreadsheets."},
}
_EXAMPLES = [OpenApiExample("who approves", value=_EXAMPLE, media_type="application/yaml", request_only=True)]


class _Parser(BaseParser):
    """The bytes, and the language they are in."""

    language: ClassVar[Language]

    def parse(  # type: ignore[override]
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> tuple[bytes, Language]:
        return read_plain(stream, media_type, parser_context), self.language


def _parsers() -> list[type[BaseParser]]:
    """YAML first: it is what a body without a media type is."""
    others = {"application/x-yaml": Language.YAML, "text/yaml": Language.YAML, "text/xml": Language.DMN}
    named = {media: language for language, media in MEDIA_TYPES.items()} | others
    return [
        type("Parser", (_Parser,), {"media_type": media, "language": language}) for media, language in named.items()
    ]


def _document(request: Request) -> dict[str, Any]:
    """The table in the body. Raises TableNotValid."""
    query = read_query(request, shapes.FromFile)
    data: Any = request.data
    # Without a body, REST framework does not ask the parser.
    source, language = data if isinstance(data, tuple) else (b"", Language.YAML)
    try:
        return files.read_document(source, language, decision=query.get("decision"))
    except TableInvalid as error:
        raise TableNotValid(faults=error.faults) from None


def _listed(version: DecisionVersion) -> dict[str, Any]:
    return {
        "version": version.number,
        "hash": version.content_hash,
        "author": version.author,
        "created_at": version.created_at,
    }


def _summary(version: DecisionVersion) -> dict[str, Any]:
    document = version.document
    return {
        "name": version.table.name,
        "version": version.number,
        "hash": version.content_hash,
        "description": document.get("description", ""),
        "hit_policy": document.get("hit_policy", "UNIQUE"),
        "rules": len(document["rules"]),
        "author": version.author,
        "published_at": version.created_at,
    }


class Decisions(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["decisions.view_decisiontable"],
        of=LISTS,
        tag="decisions",
        id="listDecisionTables",
        summary="List decision tables",
        description="By name, each with the version in force. Follow `next_cursor` until it is null.",
        parameters=[shapes.TableFilter],
        answers={200: shapes.TablePage},
    )
    def get(self, request: Request) -> Response:
        query = read_query(request, shapes.TableFilter)
        after = query["cursor"].removeprefix(shapes.BEHIND) if "cursor" in query else None
        found, following = stored.page(after=after, limit=query["limit"], spaces=of_caller(request))
        cursor = None if following is None else f"{shapes.BEHIND}{following}"
        return Response({"items": [_summary(version) for version in found], "next_cursor": cursor})


class DecisionOne(APIView):
    parser_classes = _parsers()

    @operation(
        scope=Scope.VIEWER,
        permissions=["decisions.view_decisiontable"],
        of="decision:name",
        tag="decisions",
        id="getDecisionTable",
        summary="Read a decision table, and which versions it has",
        parameters=[NAME],
        answers={200: shapes.DecisionTableAnswer},
    )
    def get(self, request: Request, name: str) -> Response:
        latest = stored.version(name)
        versions = [_listed(one) for one in stored.history(name)]
        return Response({**_summary(latest), "table": latest.document, "versions": versions})

    @operation(
        scope=Scope.AUTHOR,
        permissions=["decisions.add_decisionversion"],
        tag="decisions",
        id="publishDecisionTable",
        summary="Publish a decision table",
        description=(
            "In YAML, JSON, DMN 1.2 to 1.5, CSV or XLSX. Changed content becomes the next version (201), which is in "
            "force at once; the same content as the latest version changes nothing (200). A table with faults is "
            "refused with all of them. Gaps and clashes are no faults: see `validate`."
        ),
        parameters=[NAME, shapes.FromFile, response_header("Location", "Where the published version is.", 200, 201)],
        request=_BODY,
        examples=_EXAMPLES,
        answers={200: shapes.TablePublished, 201: shapes.TablePublished},
    )
    def put(self, request: Request, name: str) -> Response:
        done = stored.publish(name, _document(request), author=principal_of(request))
        return Response(
            {"name": done.name, "version": done.number, "hash": done.hash},
            status=201 if done.created else 200,
            headers={"Location": f"/api/v1/decisions/{done.name}/versions/{done.number}"},
        )


class DecisionValidate(APIView):
    parser_classes = _parsers()

    @operation(
        scope=Scope.AUTHOR,
        permissions=["decisions.add_decisionversion"],
        tag="decisions",
        id="validateDecisionTable",
        summary="Check a decision table without publishing it",
        description="Answers the table as it would be stored, and its gaps, clashes and rules that never decide.",
        parameters=[NAME, shapes.FromFile],
        request=_BODY,
        examples=_EXAMPLES,
        answers={200: shapes.TableValidated},
        no_key="is not read here: nothing is stored.",
    )
    def post(self, request: Request, name: str) -> Response:
        document = _document(request)
        table = stored.check(document)
        return Response({"valid": True, "rules": len(table.rules), "table": document, "report": report(table)})


class DecisionVersionOne(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["decisions.view_decisionversion"],
        of="decision:name",
        tag="decisions",
        id="getDecisionTableVersion",
        summary="Read one version of a decision table",
        description="The address with `.yaml`, `.json`, `.dmn`, `.csv` or `.xlsx` behind it answers it as such a file.",
        parameters=[NAME, VERSION_PARAMETER],
        answers={200: shapes.TableVersionAnswer},
    )
    def get(self, request: Request, name: str, number: int) -> Response:
        version = stored.version(name, number)
        return Response({"name": name, **_listed(version), "table": version.document})


class DecisionFile(APIView):
    """Not among the operations of the API: it answers files, not JSON."""

    @extend_schema(exclude=True)
    @requires(Scope.VIEWER, "decisions.view_decisionversion")
    @reading
    def get(self, request: Request, name: str, number: int, suffix: str) -> HttpResponse:
        refuse_query(request)
        language = Language(suffix)
        version = stored.version(name, number)
        try:
            body = files.write_document(name, version.document, language)
        except TableInvalid as error:
            raise TableNotValid(faults=error.faults) from None
        charset = "" if language is Language.XLSX else "; charset=utf-8"
        found = HttpResponse(body, content_type=MEDIA_TYPES[language] + charset)
        found["Content-Disposition"] = f'attachment; filename="{name}-v{number}.{suffix}"'
        return found

    get.about = "decision:name"  # type: ignore[attr-defined]


class DecisionReport(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["decisions.view_decisionversion"],
        of="decision:name",
        tag="decisions",
        id="analyseDecisionTable",
        summary="See the gaps of a decision table, its clashes and the rules that never decide",
        parameters=[NAME, VERSION_PARAMETER],
        answers={200: shapes.TableReport},
    )
    def get(self, request: Request, name: str, number: int) -> Response:
        return Response(report(stored.check(stored.version(name, number).document)))


class DecisionEvaluate(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["decisions.view_decisiontable"],
        of="decision:name",
        tag="decisions",
        id="evaluateDecisionTable",
        summary="Ask a decision table",
        description=(
            "About one case (`facts`) or several (`cases`, at most 1,000). Nothing is stored. Facts of a single case "
            "that the table does not take are refused; among several, such a case has `faults` in its result."
        ),
        parameters=[NAME],
        request=shapes.Evaluate,
        examples=[OpenApiExample("one case", value={"facts": {"severity": "high", "loss": 2e6}}, request_only=True)],
        answers={200: shapes.Evaluated},
        no_key="is not read here: nothing is stored.",
    )
    def post(self, request: Request, name: str) -> Response:
        body = read_body(request, shapes.Evaluate)
        found = compiled(name, body.get("version"))
        results = ask_each(found, body["cases"]) if "cases" in body else [ask(found, body["facts"])]
        return Response({"name": found.name, "version": found.number, "results": results})


class DecisionWhatIf(APIView):
    @operation(
        scope=Scope.VIEWER,
        permissions=["decisions.view_decisiontable", "workflows.view_workflowrun"],
        tag="decisions",
        id="whatIfDecisionTable",
        summary="See which runs another table would have decided otherwise",
        description="Each decision by the table is made again by another one, and compared. " + PAGED,
        parameters=[NAME],
        request=shapes.WhatIf,
        answers={200: shapes.WhatIfAnswer},
        no_key="is not read here: nothing is stored.",
    )
    def post(self, request: Request, name: str) -> Response:
        flags.need("what-if", principal_of(request))
        body = read_body(request, shapes.WhatIf)
        other = stored.check(body["table"]) if "table" in body else compiled(name, body["version"]).table
        return answered(partial(what_if, name, other), body)
