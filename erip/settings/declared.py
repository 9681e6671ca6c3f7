"""How a setting is declared: its name, type, default and meaning in one place, from which the reference is generated.

    env = Declarations("Workers")
    ERIP_WORKER_THREADS = env.whole("ERIP_WORKER_THREADS", 16, "Threads of one worker that run steps.")

Values come from the environment. If a value cannot be read, that is recorded and the default is used. `check` then
raises ImproperlyConfigured with all such faults at once, each with its name.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import environ
from django.core.exceptions import ImproperlyConfigured

_Optional = TypeVar("_Optional", "int", "int | None")


@dataclass(frozen=True, slots=True)
class Declared:
    """One setting.

    kind: text, whole number, number, yes or no, list, URL.
    default: as a user would write it; "" if there is none.
    secret: its value is never shown.
    """

    name: str
    section: str
    kind: str
    default: str
    about: str
    secret: bool


#: by name, in the order of declaration
DECLARED: dict[str, Declared] = {}
#: by name: what is wrong with its value
_faults: dict[str, str] = {}
_environment = environ.Env()
#: kinds whose default is written as text
_PARSED: dict[str, Callable[[str], Any]] = {
    "database URL": environ.Env.db_url_config,
    "e-mail URL": environ.Env.email_url_config,
}
# For mail when no server is named; the library's own default prints it, and printed mail ends up in a log.
environ.Env.EMAIL_SCHEMES["nomail"] = "erip.foundation.outbound.nomail.NoMail"


class Declarations:
    """Declares the settings of one section, and reads them."""

    def __init__(self, section: str) -> None:
        self.section = section

    def text(self, name: str, default: str, about: str, *, shown: str | None = None, secret: bool = False) -> str:
        """shown: the text for the reference in place of the default."""
        return self._read(_environment.str, name, "text", default, about, shown, secret)  # type: ignore[no-any-return]

    def whole(self, name: str, default: _Optional, about: str, *, shown: str | None = None) -> _Optional:
        return self._read(_environment.int, name, "whole number", default, about, shown)  # type: ignore[no-any-return]

    def number(self, name: str, default: float, about: str, *, shown: str | None = None) -> float:
        return self._read(_number, name, "number", default, about, shown)  # type: ignore[no-any-return]

    def flag(self, name: str, default: bool, about: str) -> bool:
        return self._read(_boolean, name, "yes or no", default, about)  # type: ignore[no-any-return]

    def items(
        self, name: str, default: list[str], about: str, *, shown: str | None = None, secret: bool = False
    ) -> list[str]:
        """Comma-separated."""
        return self._read(_environment.list, name, "list", default, about, shown, secret)  # type: ignore[no-any-return]

    def email_url(self, name: str, default: str, about: str) -> dict[str, Any]:
        return self._read(_environment.email_url, name, "e-mail URL", default, about, secret=True)  # type: ignore[no-any-return]

    def database_url(self, name: str, default: str, about: str, *, shown: str | None = None) -> dict[str, Any]:
        return self._read(_environment.db_url, name, "database URL", default, about, shown, secret=True)  # type: ignore[no-any-return]

    def database_of(self, name: str, url: str) -> dict[str, Any]:
        """Django's configuration for the database at this URL, which came from the setting `name`."""
        try:
            return environ.Env.db_url_config(url)  # type: ignore[no-any-return]
        except (ValueError, ImproperlyConfigured):
            _faults[name] = "is not a database URL"
            return environ.Env.db_url_config("postgres://127.0.0.1/erip")  # type: ignore[no-any-return]

    def mention(self, name: str, kind: str, default: str, about: str, *, secret: bool = False) -> None:
        """A variable that is read elsewhere: by the local stack, gunicorn or a probe, which do not load Django."""
        DECLARED[name] = Declared(name, self.section, kind, default, about, secret)

    def _read(
        self,
        read: Callable[..., Any],
        name: str,
        kind: str,
        default: Any,
        about: str,
        shown: str | None = None,
        secret: bool = False,
    ) -> Any:
        DECLARED[name] = Declared(
            name, self.section, kind, _written(default) if shown is None else shown, about, secret
        )
        try:
            return read(name, default=default)
        except (ValueError, ImproperlyConfigured):
            _faults[name] = "is neither true nor false" if kind == "yes or no" else f"is not a {kind}"
            return _PARSED[kind](default) if kind in _PARSED else default


def check() -> None:
    """Raises ImproperlyConfigured with every value that could not be read."""
    if _faults:
        faults = "; ".join(f"{name} {what}" for name, what in _faults.items())
        raise ImproperlyConfigured(f"settings that cannot be read: {faults}")


def _boolean(name: str, default: bool) -> bool:
    text = _environment.str(name, default="").strip().lower()
    if not text:
        return default
    if text in ("true", "yes", "on", "1", "y", "t"):
        return True
    if text in ("false", "no", "off", "0", "n", "f"):
        return False
    raise ValueError(name)


def _number(name: str, default: float) -> float:
    text = _environment.str(name, default="").strip()
    number = float(text) if text else default
    if not math.isfinite(number):
        raise ValueError(name)
    return number


def _written(default: Any) -> str:
    if default is None or default in ("", []):
        return ""
    if isinstance(default, bool):
        return "true" if default else "false"
    if isinstance(default, float) and default.is_integer():
        return str(int(default))
    if isinstance(default, list):
        return ",".join(default)
    return str(default)
