"""Reads the text of a traceback, as Python formats it: what was raised from what, and through which functions.

Text is what is stored of a failed attempt, and another process reads it. Whatever the text is, reading it ends quickly
and raises nothing: what is not understood is left out.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from monitoring.core.masking import masked

#: characters and lines of a text that are read
MOST, LINES = 20_000, 1_000
#: exceptions of a chain or of a group, and frames of each, that are kept
EXCEPTIONS, FRAMES = 10, 60

_FRAME: Final = re.compile(r'  File "([^"\n]{1,400})", line (\d{1,9}), in (\S.{0,199})')
_RAISED: Final = re.compile(r"([^\W\d][\w.<>]{0,299})(?:: ?(.*))?", re.DOTALL)
_HEADER: Final = ("Traceback (most recent call last):", "Exception Group Traceback (most recent call last):")
_CAUSE: Final = "The above exception was the direct cause of the following exception:"
_CONTEXT: Final = "During handling of the above exception, another exception occurred:"
#: the lines that Python draws around the members of an exception group
_RULE: Final = re.compile(r" *\+[-+ .\d]*-{4,}[-+ .\d]*")
_BAR: Final = re.compile(r"^ *(?:\| ?|\+ (?=Exception Group))")
_MARKS: Final = re.compile(r"[\s~^]+")
#: of a frame that Python inlines since 3.12
_INNER: Final = frozenset({"<listcomp>", "<dictcomp>", "<setcomp>", "<genexpr>"})
_INSTALLED: Final = re.compile(r".*[/\\](?:site|dist)-packages[/\\](.+)", re.DOTALL)
_STANDARD: Final = re.compile(r".*[/\\][Ll]ib[/\\](?:python\d[.\d]*[a-z]?[/\\])(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Frame:
    """One call. source: the line of code, or "" if it is not known."""

    path: str
    line: int
    function: str
    source: str = ""

    @property
    def package(self) -> str | None:
        """The package that it was installed from; None: it was not installed into site-packages."""
        found = _INSTALLED.fullmatch(self.path)
        return re.split(r"[/\\.]", found[1])[0] if found else None

    @property
    def is_standard(self) -> bool:
        """Whether it belongs to Python itself."""
        return self.path.startswith("<frozen ") or (self.package is None and _STANDARD.fullmatch(self.path) is not None)

    @property
    def module(self) -> str:
        """The module, the same on every machine: from the package on, or the last two names of the path."""
        if self.path.startswith("<"):
            return self.path
        found = _INSTALLED.fullmatch(self.path) or _STANDARD.fullmatch(self.path)
        names = [name for name in re.split(r"[/\\]", found[1] if found else self.path) if name]
        names = names if found else names[-2:]
        if names and names[-1].endswith(".py"):
            names[-1] = names[-1][:-3]
        if len(names) > 1 and names[-1] == "__init__":
            names.pop()
        return ".".join(names)


@dataclass(slots=True)
class Raised:
    """One exception. after: what the one before it in the text is to it: `cause`, `context`, `member` (of a group, as
    this one is), or ""."""

    after: str = ""
    group: bool = False
    frames: list[Frame] = field(default_factory=list)
    type: str = ""
    message: str = ""

    @property
    def name(self) -> str:
        """The class without its package."""
        return self.type.rpartition(".")[2]


def read(text: str) -> list[Raised]:
    """The exceptions of a traceback in the order of the text: what was raised last is the last one, but the members of
    a group follow it."""
    found: list[Raised] = []
    after = ""
    current: Raised | None = None
    framed = False
    for line in _lines(text):
        if line in _HEADER or _RULE.fullmatch(line):
            if len(found) >= EXCEPTIONS:
                break
            if line not in _HEADER:
                # Its header comes next; a member without a traceback has none.
                after, current, framed = "member", None, False
                continue
            current = Raised(after=after, group=line == _HEADER[1])
            found.append(current)
            after, framed = "", False
        elif line in (_CAUSE, _CONTEXT):
            after = "cause" if line == _CAUSE else "context"
            current, framed = None, False
        elif (frame := _FRAME.fullmatch(line)) and (current is None or not current.type):
            if current is None:
                current = Raised(after=after)
                found.append(current)
                after = ""
            if len(current.frames) < FRAMES:
                current.frames.append(Frame(frame[1], int(frame[2]), frame[3]))
            framed = True
        elif framed and current is not None and line.startswith("    ") and not current.type:
            last = current.frames[-1]
            if not last.source and not _MARKS.fullmatch(line):
                current.frames[-1] = Frame(last.path, last.line, last.function, " ".join(line.split())[:200])
            framed = True
        elif current is not None and current.type:
            current.message += "\n" + line
        elif not line.startswith(" ") and (raised := _RAISED.fullmatch(line)):
            if current is None:
                current = Raised(after=after)
                found.append(current)
                after = ""
            current.type, current.message = raised[1][:200], raised[2] or ""
            framed = False
    for one in found:
        one.message = one.message.strip()
    return found


def final(found: Sequence[Raised]) -> Raised | None:
    """What was raised last: what the attempt or the request ended with."""
    return next((one for one in reversed(found) if one.after != "member"), None)


def chain(found: Sequence[Raised]) -> list[Raised]:
    """What was raised last, then what it was raised from (`raise … from …`), and so on. What merely happened before it
    was raised is no part of it."""
    last = final(found)
    if last is None:
        return []
    place = next(index for index, one in enumerate(found) if one is last)
    linked = [last]
    while found[place].after == "cause" and place > 0:
        place -= 1
        linked.append(found[place])
    return linked


def members(found: Sequence[Raised]) -> list[Raised]:
    """The members of the exception group that was raised last."""
    return [one for one in found if one.after == "member"]


def own_frames(raised: Raised, *, first_is_own: bool = False) -> list[Frame]:
    """The frames of the application: not those of Python or of installed packages.

    first_is_own: the package of the first frame belongs to the application as well: a step may come in a package.
    """
    own = raised.frames[0].package if first_is_own and raised.frames else None
    return [
        frame
        for frame in raised.frames
        if frame.function not in _INNER
        and not frame.is_standard
        and not frame.path.startswith("<")
        and (frame.package is None or frame.package == own)
    ]


def shown(found: Sequence[Raised], *, texts: bool = True) -> str:
    """The traceback of code alone: messages are masked, or left out without `texts`."""
    parts: list[str] = []
    words = {"cause": _CAUSE, "context": _CONTEXT, "member": "One of its members:"}
    for one in found:
        if parts:
            parts += ["", words.get(one.after, ""), ""]
        if one.frames:
            parts.append(_HEADER[0])
        for frame in one.frames:
            parts.append(f'  File "{frame.path}", line {frame.line}, in {frame.function}')
            if frame.source:
                parts.append(f"    {frame.source}")
        if one.type:
            message = masked(one.message) if texts else ""
            parts.append(f"{one.type}: {message}" if message else one.type)
    return "\n".join(parts)[:MOST]


def _lines(text: str) -> Iterator[str]:
    lines = text[:MOST].splitlines()[:LINES]
    grouped = any(line.lstrip(" ").startswith("+ Exception Group Traceback") for line in lines)
    for line in lines:
        yield line if not grouped or _RULE.fullmatch(line) else _BAR.sub("", line, count=1)
