"""A body that may be left out: only an absent one counts as {}."""

from typing import Any

import pytest
from django.http import QueryDict
from rest_framework import serializers

from erip.foundation.http.fields import StrictSerializer
from erip.foundation.http.problems import Unprocessable
from erip.foundation.http.reading import read_body


class Body(StrictSerializer):
    reason = serializers.CharField(default="none given")


class Asked:
    """A request of which only the body is read."""

    def __init__(self, data: Any) -> None:
        self.data = data


@pytest.mark.parametrize("data", [{}, QueryDict("")], ids=["json", "form"])
def test_no_body_is_an_empty_one(data: Any) -> None:
    assert read_body(Asked(data), Body, optional=True) == {"reason": "none given"}  # type: ignore[arg-type]


@pytest.mark.parametrize("data", [False, 0, 0.0, "", [], None, True, 1, "x", [{}]])
def test_a_body_of_another_kind_is_refused_however_little_it_says(data: Any) -> None:
    with pytest.raises(Unprocessable):
        read_body(Asked(data), Body, optional=True)  # type: ignore[arg-type]
