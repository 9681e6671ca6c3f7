"""JSON Schema, compiled once; never opens a file or a connection to resolve a `$ref`."""

from dataclasses import dataclass, field
from typing import Any

import jsonschema_rs

from workflows.core.faults import Fault, join


def _refuse(uri: str) -> Any:
    raise ValueError(f"refused to load {uri}")


@dataclass(frozen=True, slots=True)
class Schema:
    document: dict[str, Any]
    _validator: Any = field(repr=False, compare=False)

    @classmethod
    def compile(cls, document: dict[str, Any]) -> "Schema":
        return cls(document, jsonschema_rs.validator_for(document, retriever=_refuse))

    def faults(self, data: Any, *, at: str) -> list[Fault]:
        faults = []
        for error in self._validator.iter_errors(data):
            path = at
            for key in error.instance_path:
                path = join(path, key)
            faults.append(Fault(path, error.message))
        return faults
