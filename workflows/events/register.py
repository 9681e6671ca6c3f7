"""What the register of processing says of events: the sensitive data of their types."""

from typing import Any

from workflows.core.sensitive import holds_sealed, parts_of
from workflows.engine.register import also_lists, fields_of
from workflows.events import types


@also_lists
def of_types() -> list[dict[str, Any]]:
    """The types whose latest version says what is sensitive, by name."""
    return [
        {
            "workflow": None,
            "event_type": version.type.name,
            "version": version.number,
            "space": "",
            "fields": [{"where": f"data{path}", **told} for path, told in fields_of(version.schema)],
        }
        for version in types.latest()
        if holds_sealed(parts_of(version.schema))
    ]
