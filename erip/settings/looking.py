"""Loads the settings that DJANGO_SETTINGS_MODULE names and prints, as JSON, what is wrong and what would be in force,
without secrets: `erip.management.configuration` runs it. Its one door is the environment, as at any start.

    python -m erip.settings.looking
"""

import json
import os
from importlib import import_module
from typing import Any

from erip.settings import declared, sources


def looked() -> dict[str, Any]:
    own = None
    try:
        own = import_module(os.environ["DJANGO_SETTINGS_MODULE"])
    except declared.SettingsError:
        pass
    except Exception as error:  # a settings module of one's own may raise anything; its text may quote a secret
        return {"error": type(error).__name__}
    values: dict[str, Any] = {}
    places: dict[str, str] = {}
    for name, one in declared.DECLARED.items():
        read = declared.VALUES[name]
        values[name] = getattr(own, name, read)
        places[name] = sources.place_of(name, by_file=one.by_file)
        if places[name] == sources.DEFAULT and str(values[name]) != str(read):
            places[name] = os.environ["DJANGO_SETTINGS_MODULE"]
        if one.secret:
            values[name] = None
    faults = [
        {"name": one.name, "place": one.place, "what": one.what, "unknown": one.unknown} for one in declared.faults()
    ]
    return {"faults": faults, "values": values, "places": places}


if __name__ == "__main__":
    print(json.dumps(looked(), default=str))
