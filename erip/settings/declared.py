"""How a setting is declared: its name, type, unit, bounds, default and meaning in one place, from which the reference,
the JSON Schema and `manage.py settings` are made.

    env = Declarations("Workers")
    ERIP_WORKER_THREADS = env.whole("ERIP_WORKER_THREADS", 16, "Threads of one worker.", unit="threads", least=1)

A value that is wrong is recorded with its place, and the default is used in its stead. `check` then raises SettingsError
with all such faults at once, and with what does not fit together (`rules`), before anything starts.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from django.core.exceptions import ImproperlyConfigured

from . import rules, sources, values
from .values import BadValue, Reader

_Optional = TypeVar("_Optional", "int", "int | None")

#: when a new value counts: each process at its own restart
RESTART: Final = "restart"
#: all processes must have the same value: stop them all, then start them
TOGETHER: Final = "restart of all"
#: a command reads it at each call
CALL: Final = "each call"

#: the end of a name, and the unit that it says
_UNITS = {
    "_SECONDS": "s",
    "_MINUTES": "minutes",
    "_HOURS": "hours",
    "_DAYS": "days",
    "_MONTHS": "months",
    "_TIMEOUT": "s",
    "_BYTES": "bytes",
    "_PORT": "port",
}
_KINDS: dict[str, Reader] = {
    "text": values.text,
    "whole number": values.whole,
    "number": values.number,
    "yes or no": values.flag,
    "list": values.items,
    "name=number list": values.numbers,
    "database URL": values.database_url,
    "e-mail URL": values.email_url,
}
NUMBERS: Final = ("whole number", "number")


@dataclass(frozen=True, slots=True)
class Declared:
    """One setting.

    kind: one of _KINDS.
    default: as a user would write it; "" if there is none.
    secret: its value is never shown. by_file: it may come from the file that NAME_FILE names.
    unit: of a number. least, most: bounds of a number, which are values still; above: a bound that is none.
    choices: the only texts that there are. form: what a text, or each item of a list, must be.
    required: production has no default.
    applies: RESTART, TOGETHER or CALL. since: the release that brought it.
    """

    name: str
    section: str
    kind: str
    default: str
    about: str
    secret: bool = False
    by_file: bool = False
    unit: str = ""
    least: float | None = None
    above: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()
    form: Reader | None = field(default=None, repr=False)
    required: bool = False
    applies: str = RESTART
    since: str = "0.1.0"

    def value_of(self, text: str) -> Any:
        """Raises BadValue."""
        value = _KINDS[self.kind](text)
        self.refuse(value)
        return value

    def refuse(self, value: Any) -> None:
        """Raises BadValue if a value of the right type is not allowed here."""
        if self.choices and value not in self.choices:
            raise BadValue(f"is none of {', '.join(self.choices)}")
        if self.form is not None:
            for one in value if isinstance(value, list) else [value]:
                if one:
                    self.form(one)
        for one in value.values() if isinstance(value, dict) and self.kind == "name=number list" else [value]:
            if isinstance(one, int | float) and not self._is_within(one):
                raise BadValue(f"must be {self.bounds}")

    def _is_within(self, value: float) -> bool:
        return (
            (self.least is None or value >= self.least)
            and (self.above is None or value > self.above)
            and (self.most is None or value <= self.most)
        )

    @property
    def bounds(self) -> str:
        """The bounds in words, such as `from 1 to 100`; "" without any."""
        if self.least is not None and self.most is not None:
            return f"from {_short(self.least)} to {_short(self.most)}"
        words = [
            *([f"{_short(self.least)} or more"] if self.least is not None else []),
            *([f"above {_short(self.above)}"] if self.above is not None else []),
            *([f"{_short(self.most)} at the most"] if self.most is not None else []),
        ]
        return " and ".join(words)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a setting, and where its value stands. unknown: nobody here can tell."""

    name: str
    place: str
    what: str
    unknown: bool = False

    def __str__(self) -> str:
        return f"{self.name} {self.what} ({self.place})"


class SettingsError(ImproperlyConfigured):
    """Settings are wrong: all of them are in `faults`. Correct each where it is set, and start again."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = faults
        super().__init__(f"settings that are wrong: {'; '.join(map(str, faults))}")


#: by name, in the order of declaration
DECLARED: dict[str, Declared] = {}
#: by name: the value that was read, or the default
VALUES: dict[str, Any] = {}
#: by name: what is wrong with its value
_faults: dict[str, Fault] = {}
#: whether what is required must be there
_strict = False


def in_production() -> None:
    """From here on a setting without a default must be set. Call it before any setting is read."""
    global _strict
    _strict = True


class Declarations:
    """Declares the settings of one section, and reads them."""

    def __init__(self, section: str) -> None:
        self.section = section

    def text(self, name: str, default: str, about: str, *, shown: str | None = None, **more: Any) -> str:
        """shown: the text for the reference in place of the default. more: as in Declared."""
        return self._read(name, "text", default, about, shown, more)  # type: ignore[no-any-return]

    def whole(self, name: str, default: _Optional, about: str, *, shown: str | None = None, **more: Any) -> _Optional:
        return self._read(name, "whole number", default, about, shown, more)  # type: ignore[no-any-return]

    def number(self, name: str, default: float, about: str, *, shown: str | None = None, **more: Any) -> float:
        return self._read(name, "number", default, about, shown, more)  # type: ignore[no-any-return]

    def flag(self, name: str, default: bool, about: str, **more: Any) -> bool:
        return self._read(name, "yes or no", default, about, None, more)  # type: ignore[no-any-return]

    def items(self, name: str, default: list[str], about: str, *, shown: str | None = None, **more: Any) -> list[str]:
        """Comma-separated."""
        return self._read(name, "list", default, about, shown, more)  # type: ignore[no-any-return]

    def numbers(self, name: str, default: dict[str, float], about: str, **more: Any) -> dict[str, float]:
        """Comma-separated name=number; what is not named keeps its default."""
        VALUES[name] = {**default, **self._read(name, "name=number list", default, about, None, more)}
        return VALUES[name]  # type: ignore[no-any-return]

    def email_url(self, name: str, default: str, about: str) -> dict[str, Any]:
        return self._read(name, "e-mail URL", default, about, None, {"secret": True})  # type: ignore[no-any-return]

    def database_url(
        self, name: str, default: str, about: str, *, shown: str | None = None, **more: Any
    ) -> dict[str, Any]:
        return self._read(name, "database URL", default, about, shown, {"secret": True, **more})  # type: ignore[no-any-return]

    def mention(self, name: str, kind: str, default: str, about: str, **more: Any) -> None:
        """A variable that is read elsewhere: by the local stack, a command or a probe, which do not load Django. Its
        value is checked all the same."""
        self._read(name, kind, default, about, default, {"by_file": False, **more})

    def _read(self, name: str, kind: str, default: Any, about: str, shown: str | None, more: Mapping[str, Any]) -> Any:
        with_unit = kind in (*NUMBERS, "name=number list")
        unit = next((unit for end, unit in _UNITS.items() if name.endswith(end)), "") if with_unit else ""
        fields = {"unit": unit, "by_file": more.get("secret", False), **more}
        one = Declared(name, self.section, kind, _written(default) if shown is None else shown, about, **fields)
        DECLARED[name] = one
        if kind in ("database URL", "e-mail URL"):
            default = _KINDS[kind](default)
        VALUES[name] = default
        place = sources.place_of(name, by_file=one.by_file)
        text = None
        try:
            text = sources.given(name, by_file=one.by_file)
            if text is not None:
                VALUES[name] = one.value_of(text)
            elif one.required and _strict:
                place = sources.HERE
                raise BadValue("is not set, and production has no default for it")
        except BadValue as error:
            seen = ""
            if text is not None and not one.secret and not _may_hold_a_password(text) and repr(text) not in str(error):
                seen = f": {text[:60]!r}"
            _faults[name] = Fault(name, place, f"{error}{seen}", unknown=isinstance(error, sources.NotThere))
        return VALUES[name]


def faults() -> list[Fault]:
    """All that is wrong with the settings as they are: values, and what does not fit together."""
    found = list(_faults.values())
    for name, what in rules.broken(VALUES, but=_faults.keys(), strict=_strict):
        found.append(Fault(name, sources.place_of(name, by_file=DECLARED[name].by_file), what))
    return found


def check() -> None:
    """Raises SettingsError."""
    if found := faults():
        raise SettingsError(found)


def refused(have: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Names, and what is wrong with their values in `have`: for a settings module that sets some itself."""
    bad = []
    for name, one in DECLARED.items():
        if (value := have.get(name)) is not None:
            try:
                one.refuse(value)
            except BadValue as error:
                bad.append(name)
                yield name, str(error)
    yield from rules.broken({**VALUES, **have}, but=bad, strict=True)


def _may_hold_a_password(text: str) -> bool:
    """Of a setting that is no secret: somebody wrote one into its URL, where none belongs."""
    return "://" in text and "@" in text


def _written(default: Any) -> str:
    if default is None or default in ("", []):
        return ""
    if isinstance(default, bool):
        return "true" if default else "false"
    if isinstance(default, float):
        return _short(default)
    if isinstance(default, list):
        return ",".join(default)
    if isinstance(default, dict):
        return ",".join(f"{name}={_short(value)}" for name, value in default.items())
    return str(default)


def _short(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else str(value)
