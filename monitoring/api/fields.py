"""Fields of queries and bodies that PULSE takes."""

from typing import Any

from rest_framework.exceptions import ValidationError

from erip.foundation.http.fields import Text
from workflows.core.durations import NotADuration, parse_duration


class Span(Text):
    """A length of time, as `15m`; its value is whole seconds between `least` and `most`."""

    def __init__(self, *, least: int, most: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._least, self._most = least, most

    def to_internal_value(self, data: Any) -> int:  # type: ignore[override]
        text = super().to_internal_value(data)
        try:
            exact = parse_duration(text)
        except NotADuration as error:
            raise ValidationError("must be a duration, as 90s, 15m, 6h or 14d") from error
        found = int(exact)
        if found != exact:
            raise ValidationError("must be whole seconds")
        if not self._least <= found <= self._most:
            raise ValidationError(f"must be from {self._least} s to {self._most // 86_400} d")
        return found
