"""Whom the page of an alert says was called."""

from typing import Any

import pytest

from console.views.alerts import called


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"rung": 0, "told": []}, ""),
        ({"rung": 1, "told": ["channel:ana"]}, "ana (1 call)"),
        ({"rung": 3, "told": ["channel:ana", "webhook:https://hooks.example/secret"]}, "ana (3 calls)"),
        ({"rung": 1, "told": []}, "nobody (1 call)"),
    ],
)
def test_channels_are_named_and_targets_that_hold_secrets_are_not(row: dict[str, Any], said: str) -> None:
    assert called(row) == said
