"""What a step's models accept and give, as a definition's checks know it: exact where it is known, silent where not."""

from collections.abc import Iterator
from typing import Any, Generic, Literal, TypeVar

import pytest
from pydantic import (
    AliasChoices,
    AliasPath,
    BaseModel,
    ConfigDict,
    Field,
    RootModel,
    SerializeAsAny,
    ValidationError,
    computed_field,
    field_serializer,
    model_serializer,
    model_validator,
)
from pydantic.dataclasses import dataclass
from typing_extensions import TypedDict

from workflows.core.contracts import accepted, given, validated
from workflows.core.schema import Schema
from workflows.core.shapes import Budget, Shape, ruled_out
from workflows.core.step_input import unknown_keys
from workflows.core.templates import Template

T = TypeVar("T")


class Inner(BaseModel):
    x: int = 1
    again: "Inner | None" = None


class More(Inner):
    y: int = 2


class Other(BaseModel):
    kind: Literal["other"] = "other"
    z: list[Inner] = [Inner()]


class Roots(RootModel[list[Inner]]):
    pass


class Typed(TypedDict):
    a: int


@dataclass
class Data:
    a: int = 1


class Page(BaseModel, Generic[T]):
    items: list[T]


class Aliased(BaseModel):
    one: int = Field(default=1, alias="Uno")
    two: int = Field(default=2, validation_alias=AliasChoices("Dos", "Deux"))
    three: int = Field(default=3, validation_alias=AliasPath("deep", "down"))
    four: int = Field(default=4, serialization_alias="Quatre")


class ByName(Aliased):
    model_config = ConfigDict(populate_by_name=True)


class ByAlias(Aliased):
    model_config = ConfigDict(serialize_by_alias=True)
    inner: ByName = ByName()


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int = 1


class Dropping(BaseModel):
    model_config = ConfigDict(extra="ignore")
    a: int = 1


class Before(BaseModel):
    a: int = 1

    @model_validator(mode="before")
    @classmethod
    def old_name(cls, value: Any) -> Any:
        return {"a": value["old"]} if isinstance(value, dict) and "old" in value else value


class OwnForm(BaseModel):
    a: int = 1

    @model_serializer
    def form(self):  # type: ignore[no-untyped-def]
        return {"other": self.a}


class OwnField(BaseModel):
    a: int = 1

    @field_serializer("a")
    def form(self, value: int):  # type: ignore[no-untyped-def]
        return {"other": value}

    @computed_field  # type: ignore[prop-decorator]
    @property
    def twice(self) -> int:
        return self.a * 2


class All(BaseModel):
    inner: Inner = Inner(again=Inner())
    optional: Inner | None = Inner()
    union: Inner | Other | int = Other()
    listed: list[Inner | None] = [Inner(), None]
    pair: tuple[Inner, Other] = (Inner(), Other())
    by_key: dict[str, Inner] = {"k": Inner()}
    anything: Any = {"free": [1]}
    free: dict[str, Any] = {"free": {"er": 1}}
    typed: Typed = {"a": 1}
    data: Data = Data()
    root: Roots = Roots([Inner()])
    page: Page[Inner] = Page(items=[Inner()])
    open: Open = Open.model_validate({"a": 1, "b": 2})
    any_of_them: SerializeAsAny[Inner] = More()
    own: OwnForm = OwnForm()
    field: OwnField = OwnField()
    by_alias: ByAlias = ByAlias()
    by_name: ByName = ByName()


MODELS = [All(), Aliased(), ByName(), ByAlias(), Open.model_validate({"b": 1}), OwnForm(), OwnField(), Page(items=[1])]


def paths_of(value: Any) -> Iterator[tuple[str | int, ...]]:
    yield ()
    keys = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in keys:
        yield from ((key, *path) for path in paths_of(item))


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_nothing_that_a_step_gives_is_ruled_out(model: BaseModel) -> None:
    output = model.model_dump(mode="json")
    schema = given(type(model))
    shape = Shape.of(schema, Budget())
    assert [path for path in paths_of(output) if ruled_out(shape, path)] == []
    assert Schema.compile(schema).faults(output, at="output") == []


@pytest.mark.parametrize(
    ("path", "lacking"),
    [
        ("innr", "innr"),
        ("inner.y", "y"),
        ("inner.again.again.again.y", "y"),
        ("optional.y", "y"),
        ("union.y", "y"),
        ("union.z.0.y", "y"),
        ("listed.0.y", "y"),
        ("listed.x", "x"),
        ("pair.1.x", "x"),
        ("pair.2", "2"),
        ("by_key.whatever.y", "y"),
        ("root.0.y", "y"),
        ("page.items.0.y", "y"),
        ("inner.x.deeper", "deeper"),
        ("by_alias.one", "one"),
        ("by_name.Uno", "Uno"),
        ("field.tvice", "tvice"),
    ],
)
def test_what_a_step_never_gives_is_ruled_out(path: str, lacking: str) -> None:
    keys = [int(part) if part.isdecimal() else part for part in path.split(".")]
    found = ruled_out(Shape.of(given(All), Budget()), keys)
    assert found is not None
    assert str(keys[found[0]]) == lacking


ACCEPTED: list[tuple[type[BaseModel], Any]] = [
    (Aliased, {"Uno": 1, "Dos": 1, "deep": {"down": 3}}),
    (Aliased, {"Deux": 1}),
    (ByName, {"one": 1, "two": 2, "three": 3}),
    (ByName, {"Uno": 1, "Deux": 2}),
    (Open, {"a": 1, "anything": 2}),
    (Dropping, {"a": 1, "anything": 2}),
    (Before, {"old": 1}),
    (OwnForm, {"a": 1}),
    (All, {"anything": {"a": 1}, "free": {"x": 1}, "open": {"b": 1}, "union": {"x": 1}, "typed": {"a": 1}}),
]


@pytest.mark.parametrize(("model", "data"), ACCEPTED, ids=lambda value: getattr(value, "__name__", "input"))
def test_nothing_that_a_step_accepts_by_a_name_it_knows_is_refused(model: type[BaseModel], data: Any) -> None:
    model.model_validate(data)
    schema = accepted(model)
    assert Schema.compile(schema).faults(data, at="input") == []
    shape = Shape.of(schema, Budget())
    assert [path for path in paths_of(data) if ruled_out(shape, path)] == []


def test_a_key_that_a_model_would_drop_is_unknown_unless_the_model_says_otherwise() -> None:
    assert [fault.path for fault in Schema.compile(accepted(Inner)).faults({"x": 1, "yy": 2}, at="with")] == ["with.yy"]
    nested = Schema.compile(accepted(All)).faults({"inner": {"again": {"yy": 2}}}, at="with")
    assert [fault.path for fault in nested] == ["with.inner.again"]
    assert accepted(BaseModel) == {"type": "object"}


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")
    plain: Inner | None = None
    kept: int = 0


class Holder(BaseModel):
    strict: Strict = Strict()
    several: list[Strict] = []
    either: Strict | int = 0


UNKNOWN: list[tuple[type[BaseModel], Any]] = [
    *ACCEPTED,
    (Inner, {"x": 1, "yy": 2}),
    (Strict, {"kept": 1}),
    (Strict, {"kept": 1, "new": 2}),
    (Strict, {"plain": {"x": 1, "new": 2}}),
    (Holder, {"new": 1}),
    (Holder, {"strict": {"new": 1}}),
    (Holder, {"strict": {"plain": {"x": 1, "new": 1}}}),
    (Holder, {"several": [{"kept": 1}, {"new": 1}]}),
    (Holder, {"either": {"new": 1}}),
    (Holder, {"either": {"kept": 1}}),
]


@pytest.mark.parametrize(("model", "data"), UNKNOWN, ids=lambda value: getattr(value, "__name__", str(value)))
def test_a_key_is_refused_where_validation_would_refuse_it(model: type[BaseModel], data: Any) -> None:
    try:
        model.model_validate(data)
        refused = False
    except ValidationError as error:
        refused = any(one["type"] == "extra_forbidden" for one in error.errors())
    template = Template.compile(data)
    assert bool(unknown_keys(template, Shape.of(validated(model), Budget()))) is refused
