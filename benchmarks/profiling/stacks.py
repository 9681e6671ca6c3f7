"""What py-spy's stacks say: a line for each stack, outermost frame first, `function (file:line);…`, and its count."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_FRAME = re.compile(r"(.*) \((.*?)(?::\d+)?\)$")

#: what a frame belongs to: the first group in which its file begins with one of the paths. A frame of no group (the
#: standard library, a dataclass's own code) counts towards its caller.
GROUPS: Mapping[str, tuple[str, ...]] = {
    "machine: decides": ("workflows/core/machine/", "workflows/core/kinds/"),
    "definitions, expressions": ("workflows/core/", "workflows/graphs.py", "common_expression_language"),
    "store: rows and SQL": ("workflows/store/",),
    "writer, executor, bodies": (
        "workflows/worker/writer.py",
        "workflows/worker/executor.py",
        "workflows/worker/bodies.py",
    ),
    "steps of the workflows": ("workflows/library/", "benchmarks/steps.py"),
    "rest of workflows": ("workflows/", "erip/"),
    "numpy": ("numpy/",),
    "pydantic": ("pydantic/",),
    "psycopg2, Django's database layer": ("django/db/", "psycopg2/", "sqlalchemy/"),
    "Django's templates": ("django/template/", "django/utils/"),
    "Celery, Kombu, Redis client": ("celery/", "kombu/", "redis/", "vine/", "amqp/", "billiard/"),
    "json": ("json/", "orjson/"),
    "logs": ("structlog/", "logging/", "django_structlog/"),
}
OTHER = "other"
#: C functions are no frames: these functions of ours do nothing but call orjson
_JSON = frozenset({("to_json", "workflows/store/values.py")})
#: where a thread of the writer or of a batch is when its innermost frame does not compute
_IN_POSTGRES = ("django/db/backends/", "psycopg2/", "django/db/utils.py", "sqlalchemy/")


@dataclass(frozen=True, slots=True)
class Frame:
    function: str
    file: str


@dataclass(frozen=True, slots=True)
class Stack:
    """One stack as it was seen `count` times; the innermost frame is the last."""

    frames: tuple[Frame, ...]
    count: int


def read(raw: str) -> list[Stack]:
    """What `py-spy record --format raw` wrote. Raises ValueError for a line that is no stack."""
    stacks = []
    for line in raw.splitlines():
        frames, _, count = line.rpartition(" ")
        stacks.append(Stack(tuple(_frame(one) for one in frames.split(";")), int(count)))
    return stacks


def _frame(text: str) -> Frame:
    found = _FRAME.match(text)
    return Frame(found[1].rpartition(".")[2], found[2]) if found else Frame(text, "")


def by_module(stacks: Iterable[Stack]) -> dict[str, float]:
    """The share of the samples in percent, by group of the innermost frame that belongs to one; largest first."""
    counts: Counter[str] = Counter()
    for stack in stacks:
        counts[next((group for frame in reversed(stack.frames) if (group := _group(frame))), OTHER)] += stack.count
    return _shares(counts)


def _group(frame: Frame) -> str | None:
    if (frame.function, frame.file) in _JSON:
        return "json"
    return next((name for name, paths in GROUPS.items() if frame.file.startswith(paths)), None)


def by_function(stacks: Iterable[Stack], most: int) -> dict[str, float]:
    """The share of the samples in percent that have this function of ours anywhere in them, the `most` largest."""
    counts: Counter[str] = Counter()
    total = 0
    for stack in stacks:
        total += stack.count
        own = {frame for frame in stack.frames if frame.file.startswith(("workflows/", "benchmarks/"))}
        counts.update({f"{frame.function} ({frame.file})": stack.count for frame in own})
    return {name: 100.0 * count / total for name, count in counts.most_common(most)}


def of_writer(stacks: Iterable[Stack]) -> dict[str, float]:
    """What the checkpoint writer's thread does, in percent of its time; largest first."""
    counts: Counter[str] = Counter()
    for stack in stacks:
        functions = {frame.function for frame in stack.frames if frame.file == "workflows/worker/writer.py"}
        if "_write_for_ever" not in functions:
            continue
        if "_take" in functions:
            counts["waits for outcomes and claims"] += stack.count
        elif stack.frames[-1].file.startswith(_IN_POSTGRES):
            counts["waits for PostgreSQL, or in psycopg2"] += stack.count
        else:
            counts["computes, or waits for the interpreter"] += stack.count
    return _shares(counts)


def _shares(counts: Counter[str]) -> dict[str, float]:
    total = counts.total()
    return {name: 100.0 * count / total for name, count in counts.most_common()}
