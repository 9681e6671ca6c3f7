"""JSON in a column: what Note [Values] in `erip.foundation.json_values` calls a value, on its way in and out."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import models

from erip.foundation import json_values


class JsonText(forms.JSONField):
    """A form field that holds JSON. It names each fault with its path."""

    def to_python(self, value: Any) -> Any:
        if self.disabled or value in self.empty_values or not isinstance(value, str):
            return super().to_python(value)
        try:
            return json_values.read(value)
        except json_values.NotJson as error:
            raise ValidationError(str(error), code="invalid", params={"value": value[:200]}) from error
        except json_values.NotAValue as error:
            raise ValidationError([str(fault) for fault in error.faults], code="invalid") from error


class JsonField(models.JSONField):
    """A jsonb column that gives back what it was given. Raises NotAValue for what is no value.

    To migrations it is Django's own field: the column is the same.
    """

    def deconstruct(self) -> Any:
        name, _, arguments, options = super().deconstruct()
        return name, "django.db.models.JSONField", arguments, options

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        # Django's would read 1e22 as an integer of 74 bits.
        return json_values.load(value) if isinstance(value, str) else value

    def get_db_prep_save(self, value: Any, connection: Any) -> Any:
        if value is not None and not hasattr(value, "resolve_expression"):
            json_values.dump(value)
        return super().get_db_prep_save(value, connection)

    def validate(self, value: Any, model_instance: Any) -> None:
        super().validate(value, model_instance)
        if found := json_values.faults(value):
            raise ValidationError([str(fault) for fault in found])

    def formfield(self, **options: Any) -> Any:
        return super().formfield(**{"form_class": JsonText, **options})
