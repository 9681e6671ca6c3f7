"""Small pieces that several tables share."""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from erip.foundation.db.json import JsonField


def a_list_of_words(value: Any) -> None:
    if not isinstance(value, list) or not all(isinstance(word, str) and word.strip() for word in value):
        raise ValidationError('Write a JSON list of texts, such as ["EU", "GB"].')


def words(help_text: str) -> JsonField:
    """A list of words, [] for none."""
    return JsonField(default=list, blank=True, validators=[a_list_of_words], help_text=help_text)


def share(help_text: str, **options: Any) -> models.FloatField:
    """A number from 0 to 1; the table has a CHECK for it."""
    return models.FloatField(
        help_text=help_text, validators=[MinValueValidator(0.0), MaxValueValidator(1.0)], **options
    )


def between(field: str, low: float, high: float, name: str) -> models.CheckConstraint:
    return models.CheckConstraint(condition=models.Q(**{f"{field}__gte": low, f"{field}__lte": high}), name=name)
