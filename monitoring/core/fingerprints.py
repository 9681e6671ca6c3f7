"""Which errors are of one kind.

Note [Kinds of errors]
Two errors are of one kind if whoever fixes the one has fixed the other. What makes a kind:

- where the error comes from (a step's `uses`, the requests, an effect on events, a receiver), and its code, if the
  author of a step gave it one;
- the classes of what was raised, along `raise … from …`;
- the innermost function of the application that it was raised in, and the line of code there, without its number. So
  the same place reached in two ways is one kind, and two raises in one function are two. Lines that move do not matter;
- the message only where the code does not tell: if there is no traceback, or the line raises a text that was made
  somewhere else (`raise Refused(message)`). Its values are masked (Note [Masking]);
- neither code nor message where chance decides what they are: a time-out ends wherever the time is over.

Each kind has a second key, of what is known without a traceback. A worker keeps the traces of a run's first failed
items alone, and by that key the others go to the same group.
"""

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from monitoring.core import tracebacks
from monitoring.core.masking import masked, printable
from monitoring.core.tracebacks import Frame, Raised

#: raised whenever the same error would get another fingerprint: kinds of another version are not mixed with these
VERSION: Final = "1"
#: codes that say nothing that the class does not
_GENERAL: Final = frozenset({"", "step_raised", "step_error"})
#: codes of errors that end an attempt at a place of no meaning
_BY_CHANCE: Final = frozenset({"step_timed_out", "heartbeat_missed", "worker_lost"})
#: a line that raises a text which stands in it
_TEXT_IN_RAISE: Final = re.compile(r"raise\b.*?(?:'|\")")
_RAISE: Final = re.compile(r"raise\b|assert\b")
#: characters of a title
TITLE: Final = 300


class Source(StrEnum):
    """Where an error comes from."""

    ATTEMPT = "attempt"  # an attempt of a step failed
    RUN = "run"  # a run, or a step of it, failed without an attempt
    REQUEST = "request"  # a request ended with an error that nobody foresaw
    DEAD_LETTER = "dead_letter"  # an event could not take effect
    DELIVERY = "delivery"  # a receiver of events did not take one, and it was given up
    ALERT = "alert"  # a receiver of alerts did not take one, and it was given up


@dataclass(frozen=True, slots=True)
class Error:
    """What is known of an error.

    what: a step's `uses`, an effect and its target, or the host of a receiver. type: the class, if there is one.
    texts: whether what the exceptions of the traceback say is kept, masked; not for errors that may quote a request.
    """

    source: Source
    what: str
    code: str = ""
    type: str = ""
    message: str = ""
    traceback: str = ""
    texts: bool = True


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of errors.

    fingerprint: 32 hexadecimal digits; other: those of its second key, "" if it has none.
    why: what made the fingerprint, as (name, value). place: `module.function` in the application, or "".
    """

    fingerprint: str
    other: str
    why: tuple[tuple[str, str], ...]
    source: Source
    what: str
    code: str
    type: str
    title: str
    place: str
    traceback: str


def kind_of(error: Error) -> Kind:
    """Takes whatever there is; raises nothing."""
    found = tracebacks.read(error.traceback) if error.traceback else []
    chain = tracebacks.chain(found)
    message = masked(error.message)
    base = [("source", str(error.source)), ("what", _bounded(error.what)), ("code", _bounded(error.code))]
    type_ = error.type or (chain[0].name if chain else "")
    without = [*base, ("type", _bounded(type_)), ("message", message)]
    if error.code in _BY_CHANCE:
        why, frame = base, None
    else:
        raised = chain[0] if chain else None
        body_first = error.source is Source.ATTEMPT
        frame = _place(raised, tracebacks.members(found), body_first) if raised is not None else None
        told = _by_code(raised, chain, found, frame, message) if raised is not None and frame is not None else None
        why = without if told is None else [*base, *told]
    why, without = _telling(why), _telling(without)
    text = message if message else ("" if error.code in _GENERAL else error.code)
    head = type_ or error.code or str(error.source)
    title = f"{head}: {text}" if text and text != head else head
    return Kind(
        fingerprint=_digest(why),
        other=_digest(without) if why != without and message and error.code not in _BY_CHANCE else "",
        why=tuple(why),
        source=error.source,
        what=_bounded(error.what),
        code=_bounded(error.code),
        type=_bounded(type_),
        title=printable(title)[:TITLE],
        place=f"{frame.module}.{frame.function}"[:TITLE] if frame is not None else "",
        traceback=printable(tracebacks.shown(found, texts=error.texts)),
    )


def beyond(source: Source) -> Kind:
    """The kind that counts errors when there are too many kinds."""
    why = (("source", str(source)), ("what", "(other)"))
    title = "Errors of kinds beyond the number that is kept"
    return Kind(_digest(list(why)), "", why, source, "(other)", "", "", title, "", "")


def _by_code(
    raised: Raised, chain: list[Raised], found: list[Raised], frame: Frame, message: str
) -> list[tuple[str, str]]:
    types = " < ".join(_once([one.type for one in chain]))
    if raised.group:
        inner = sorted({one.type for one in tracebacks.members(found)})
        types += f" ({', '.join(inner)})"
    why = [("classes", types[:TITLE]), ("function", f"{frame.module}.{frame.function}"[:TITLE])]
    if frame.source:
        why.append(("line", frame.source))
    innermost = bool(raised.frames) and raised.frames[-1] == frame
    raises = innermost and (not frame.source or _RAISE.match(frame.source) is not None)
    if raises and not _TEXT_IN_RAISE.match(frame.source):
        why.append(("message", message))
    return why


def _place(raised: Raised, members: list[Raised], body_first: bool) -> Frame | None:
    """Where it was raised, in the application; of a group, where its first member was, as they come in any order.

    body_first: the traceback begins with the body of a step."""
    if raised.group and members:
        places = [frame for one in members if (frame := _place(one, [], body_first)) is not None]
        if places:
            return min(places, key=lambda frame: (frame.module, frame.function, frame.source))
    own = tracebacks.own_frames(raised, first_is_own=body_first)
    return own[-1] if own else None


def _telling(why: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in why if value and not (name == "code" and value in _GENERAL)]


def _once(names: list[str]) -> list[str]:
    return [name for index, name in enumerate(names) if index == 0 or names[index - 1] != name]


def _bounded(text: str) -> str:
    return printable(text[:200])


def _digest(why: list[tuple[str, str]]) -> str:
    text = "\0".join([VERSION, *(f"{name}\1{value}" for name, value in why)])
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).hexdigest()
