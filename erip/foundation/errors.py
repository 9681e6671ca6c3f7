"""The root of every error tree: what a caller is answered with, as a fact."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

from erip.foundation.faults import Fault


class EripError(Exception):
    """The request cannot be carried out."""

    #: a slug that programs compare
    code: ClassVar[str] = "erip_error"
    #: the HTTP status that the API answers with
    status: ClassVar[int] = 400
    #: what programs may need besides: members of the problem document (RFC 9457, section 3.2)
    members: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, message: str = "", *, faults: Sequence[Fault] = ()) -> None:
        """message: what happened and what to do; by default the first line of the class's docstring."""
        self.message = message or (self.__doc__ or "").split("\n")[0]
        self.faults: list[Fault] = list(faults)
        super().__init__(self.message)

    def __str__(self) -> str:
        if not self.faults:
            return self.message
        return f"{self.message} " + "; ".join(str(fault) for fault in self.faults)
