"""What an overlay names and is an example, whatever its kind: hosts, buckets and registries that nobody can have, and
settings that only look like a value. The Helm chart refuses the same in its values (`chart_examples`)."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from erip.ops.kubernetes.chart_examples import EXAMPLES, RESERVED

_RESERVED: Final = re.compile(RESERVED)
#: by the name of a setting, what its JSON is then
_SETTINGS: Final = {
    one.path.removeprefix("settings."): re.compile(one.wrong) for one in EXAMPLES if one.path.startswith("settings.")
}
#: names of other things than hosts: groups of an API, programs, modules of Python
_NO_HOSTS: Final = frozenset({"apiVersion", "command", "DJANGO_SETTINGS_MODULE"})


def left(documents: Iterable[Mapping[str, Any]]) -> list[str]:
    """`ObjectStore/erip-db: spec.configuration.destinationPath: s3://a.example.org/ is an example`, all of them."""
    return [
        f"{one['kind']}/{one['metadata']['name']}: {'.'.join(way)}: {text} is an example"
        for one in documents
        for way, text in _texts(one)
        if _RESERVED.search(text) or (way[-1] in _SETTINGS and _SETTINGS[way[-1]].search(json.dumps(text)))
    ]


def _texts(node: Any, way: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(node, str):
        yield way, node
    elif isinstance(node, Mapping):
        # A variable of a container is named beside its value.
        variable = node.get("name") if "value" in node else None
        for name, value in node.items():
            if _NO_HOSTS.isdisjoint({name, variable} if name == "value" else {name}):
                yield from _texts(value, (*way, str(variable if name == "value" and variable else name)))
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from _texts(value, (*way, str(number)))
