"""`benchmarks.where` wraps functions by their addresses: they exist, or no stack starts under it."""

from importlib import import_module

import pytest

from benchmarks import marks


@pytest.mark.parametrize("address", [address for address, _, _ in marks.PLACES])
def test_every_place_is_a_function_of_the_platform(address: str) -> None:
    module, _, path = address.partition(":")
    found = import_module(module)
    for name in path.split("."):
        found = getattr(found, name)
    assert callable(found)
