"""Serializer fields and a base that take what they name and nothing else: no coercion, no unknown keys."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError

from erip.foundation.faults import MAX_FAULTS
from erip.foundation.moments import moment

#: no number that is meant is as long, and Python refuses to read very long ones
_DIGITS = re.compile(r"-?[0-9]{1,40}")


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses keys that it does not know, along with other faults: a misspelt key must not be ignored."""

    def to_internal_value(self, data: Any) -> Any:
        faults: dict[str, Any] = {}
        if isinstance(data, Mapping):
            known = ", ".join(self.fields)
            for key in data:
                if key not in self.fields and len(faults) <= MAX_FAULTS:
                    text = f"is not known; known are: {known}" if known else "is not known; no keys are"
                    faults[str(key)] = [ErrorDetail(text, code="unknown")]
        try:
            value = super().to_internal_value(data)
        except ValidationError as error:
            raise ValidationError({**faults, **error.detail}) from error  # type: ignore[dict-item]
        if faults:
            raise ValidationError(faults)
        return value


class Text(serializers.CharField):
    """A JSON string; a number is not turned into one."""

    default_error_messages = {"invalid": "must be a string"}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(trim_whitespace=False, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return str(super().to_internal_value(data))


class Whole(serializers.IntegerField):
    """A JSON whole number; "1", 1.5 and true are not."""

    default_error_messages = {"invalid": "must be a whole number"}

    def to_internal_value(self, data: Any) -> int:
        # 1.0 is a whole number to JSON Schema.
        if isinstance(data, bool) or not (isinstance(data, int | float) and data == int(data)):
            self.fail("invalid")
        return super().to_internal_value(int(data))


class Flag(serializers.BooleanField):
    """JSON's true or false; "no", "off" and 0 are neither."""

    default_error_messages = {"invalid": "must be true or false"}

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class Number(serializers.IntegerField):
    """A whole number in a query: digits of ASCII, perhaps with a minus. Python would read `1_000` and ` 1`, too."""

    default_error_messages = {"invalid": "must be a whole number"}

    def to_internal_value(self, data: Any) -> int:
        if not isinstance(data, str) or not _DIGITS.fullmatch(data):
            self.fail("invalid")
        return super().to_internal_value(data)


class Moment(serializers.DateTimeField):
    """A moment of RFC 3339, in a body or a query."""

    def to_internal_value(self, value: Any) -> datetime:
        if not isinstance(value, str):
            raise ValidationError("must be a string: a moment of RFC 3339")
        try:
            return moment(value)
        except ValueError as error:
            hint = "; in a URL, write its plus sign as %2B" if " " in value else ""
            raise ValidationError(f"{error}{hint}") from error


class Choice(serializers.ChoiceField):
    """One of a few strings."""

    def __init__(self, choices: Any, **kwargs: Any) -> None:
        super().__init__(choices=[str(choice) for choice in choices], **kwargs)
        self.error_messages["invalid_choice"] = f"must be one of {', '.join(self.choices)}"

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str) or data not in self.choices:
            self.fail("invalid_choice", input=data)
        return data


@extend_schema_field({"type": "object", "additionalProperties": {}})
class JsonObject(serializers.Field[Any, Any, Any, Any]):
    """A JSON object, taken as it is."""

    default_error_messages = {"invalid": "must be an object"}

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            self.fail("invalid")
        return data

    def to_representation(self, value: Any) -> Any:
        return value


@extend_schema_field({})
class AnyJson(JsonObject):
    """Any JSON value, null too, taken as it is."""

    def validate_empty_values(self, data: Any) -> tuple[bool, Any]:
        # Not by `allow_null`, which OpenAPI would describe as "either anything or null".
        return (True, None) if data is None else super().validate_empty_values(data)

    def to_internal_value(self, data: Any) -> Any:
        return data
