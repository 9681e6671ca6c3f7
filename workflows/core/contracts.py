"""The JSON Schemas of a step's models, as exact as what is known of the models.

Note [What a model says]
pydantic drops keys that a model does not know, unless its `extra` says otherwise, so a misspelt key of an optional
field goes unnoticed. We therefore say of a model what its author would: it takes its fields and gives its fields, and
nothing else. A model says otherwise itself: `extra="allow"` keeps unknown keys; `extra="ignore"`, written out, drops
them. Where a model's own code decides (validators that run before its fields, serializers without a return type),
nothing is said: what is not known is not refused.

This is for authors, when they publish. A body's input is validated by the model itself, which drops the keys that we
call unknown, and raises only where it says `extra="forbid"` (`validated`).
"""

from typing import Any, Literal

from pydantic import AliasChoices, AliasPath, BaseModel
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema


def accepted(model: type[BaseModel]) -> dict[str, Any]:
    """What the model takes as input, as a JSON Schema (2020-12)."""
    return _schema(model, "validation")


def validated(model: type[BaseModel]) -> dict[str, Any]:
    """The same, without refusing keys that the model's validation drops (Note [What a model says])."""
    return _schema(model, "validation", _AsValidated)


def given(model: type[BaseModel]) -> dict[str, Any]:
    """What `model_dump` gives of the model, as a JSON Schema (2020-12)."""
    return _schema(model, "serialization")


class _Exact(GenerateJsonSchema):
    """Note [What a model says]."""

    #: whether a model that says nothing about keys that it does not know refuses them
    closed = True

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        model = schema["cls"]
        config, by_alias = model.model_config, self.by_alias
        if self.mode == "serialization":
            # As `model_dump` does, which has names in place of aliases.
            self.by_alias = bool(config.get("serialize_by_alias", False))
        try:
            found = super().model_schema(schema)
        finally:
            self.by_alias = by_alias
        if found.get("type") != "object" or "properties" not in found or schema.get("root_model"):
            return found
        if self.mode == "serialization":
            found.setdefault("additionalProperties", False)
            return found
        before = model.__pydantic_decorators__.model_validators.values()
        if any(one.info.mode in ("before", "wrap") for one in before):
            return {"title": model.__name__}
        if self.closed and config.get("extra") is None:
            found.setdefault("additionalProperties", False)
        by_name = bool(config.get("validate_by_name") or config.get("populate_by_name"))
        for name, field in model.model_fields.items():
            _other_names(found, name, field, by_name=by_name)
        return found

    def ser_schema(
        self, schema: "core_schema.SerSchema | core_schema.IncExSeqSerSchema | core_schema.IncExDictSerSchema"
    ) -> JsonSchemaValue | None:
        found = super().ser_schema(schema)
        if found is None and schema["type"] in ("function-plain", "function-wrap", "any"):
            return {}
        return found


class _AsValidated(_Exact):
    closed = False


def _schema(
    model: type[BaseModel], mode: Literal["validation", "serialization"], generator: type[_Exact] = _Exact
) -> dict[str, Any]:
    if model is BaseModel:
        return {"type": "object"}
    return model.model_json_schema(schema_generator=generator, mode=mode)


def _other_names(found: JsonSchemaValue, name: str, field: FieldInfo, *, by_name: bool) -> None:
    """Let a field be given by each of its names. The generated schema has only its first alias."""
    alias = field.validation_alias if field.validation_alias is not None else field.alias
    if alias is None:
        return
    choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
    names = [str(choice.path[0]) if isinstance(choice, AliasPath) else choice for choice in choices]
    if by_name:
        names.append(name)
    if len(names) == 1 and isinstance(choices[0], str):
        return
    for one in names:
        # What a path leads to may be anything.
        whole = any(choice == one for choice in choices) or one == name
        found["properties"].setdefault(one, found["properties"].get(names[0], {}) if whole else {})
    found["required"] = [key for key in found.get("required", []) if key not in names]
