"""Feature flags and kill switches: read, turned on or off, and as the release has them again."""

from collections.abc import Sequence

from erip_client.models import FeatureFlag, Listing

from .base import Call, to_json

_ONE = "/api/v1/flags/{name}"


def list_flags() -> Call[Listing[FeatureFlag]]:
    """All flags, by name: what each does, what the release says of it, and what an operator says."""
    return Call(operation="listFlags", method="GET", template="/api/v1/flags", answers={200: Listing[FeatureFlag]})


def get_flag(name: str) -> Call[FeatureFlag]:
    """One flag."""
    return Call(operation="getFlag", method="GET", template=_ONE, path={"name": name}, answers={200: FeatureFlag})


def put_flag(
    name: str,
    *,
    everyone: bool | None = None,
    off_for: Sequence[str] = (),
    on_for: Sequence[str] = (),
    percent: float | None = None,
    note: str = "",
) -> Call[FeatureFlag]:
    """Say what a flag is from now on; the first of these that says something decides. off_for, on_for: such as
    `user:ada`. percent: 0 to 100."""
    body = {
        "everyone": everyone,
        "off_for": list(off_for),
        "on_for": list(on_for),
        "percent": percent,
        "note": note,
    }
    return Call(
        operation="putFlag",
        method="PUT",
        template=_ONE,
        path={"name": name},
        content=to_json(body),
        answers={200: FeatureFlag},
    )


def delete_flag(name: str) -> Call[None]:
    """Take back what was said of a flag: it is as the release has it."""
    return Call(operation="deleteFlag", method="DELETE", template=_ONE, path={"name": name}, answers={204: None})
