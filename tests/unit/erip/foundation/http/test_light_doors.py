"""What surrounds requests of the light path is named, not passed."""

from typing import Any, cast

import pytest

from erip.foundation.hooks import light_door
from erip.foundation.http.light.app import _doors


def test_a_function_in_the_place_of_its_name_is_refused_by_the_name_of_the_hook() -> None:
    def door(*_: Any) -> None: ...

    _doors.cache_clear()
    with light_door.only(cast("str", door)), pytest.raises(TypeError, match="hook light_door takes the dotted name"):
        _doors()
