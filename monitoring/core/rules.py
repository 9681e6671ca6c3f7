"""Rules: which values of a metric mean that somebody must know.

A rule names a metric, perhaps divided by another one, and a bound; it is judged at each frame. `for` keeps a short peak
from alerting, `keep_firing_for` keeps a value that swings around the bound from alerting again and again.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from erip.foundation.faults import Fault, bounded
from monitoring.core.components import NEEDS
from workflows.core.durations import NotADuration, parse_duration

#: days that `for` and `keep_firing_for` may have; rules in all
MOST_SECONDS, MOST_RULES = 7 * 86_400.0, 500


def _seconds(text: str) -> str:
    try:
        found = parse_duration(text)
    except NotADuration as error:
        raise ValueError("write a duration such as 10s, 5m or 1h30m") from error
    if found > MOST_SECONDS:
        raise ValueError("is more than 7 days")
    return text


def _component(name: str) -> str:
    if name not in NEEDS:
        raise ValueError(f"is no component; known are: {', '.join(NEEDS)}")
    return name


Metric = Annotated[str, Field(pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]{0,199}$")]
LABEL = r"[a-zA-Z_][a-zA-Z0-9_]{0,63}"
Label = Annotated[str, Field(pattern=rf"^{LABEL}$")]
Value = Annotated[str, Field(max_length=200)]
Span = Annotated[str, Field(max_length=40), AfterValidator(_seconds)]
Component = Annotated[str, AfterValidator(_component)]
NAME = r"[a-z][a-z0-9-]{0,62}"


def is_label(name: str) -> bool:
    """Whether it can be the name of a label."""
    return re.fullmatch(LABEL, name, re.ASCII) is not None


class Selector(BaseModel):
    """Series of a metric, those with these labels, added up."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    metric: Metric
    where: dict[Label, Value] = Field(default_factory=dict, max_length=10)


class Rule(BaseModel):
    """One rule. It alerts for each value of the labels in `by`; without them, once."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True)

    name: Annotated[str, Field(pattern=rf"^{NAME}$")]
    #: one sentence for the person who is woken
    summary: Annotated[str, Field(min_length=1, max_length=300)]
    #: `page` wakes somebody; `ticket` can wait until the morning
    severity: Literal["page", "ticket"]
    metric: Metric
    where: dict[Label, Value] = Field(default_factory=dict, max_length=10)
    by: Annotated[list[Label], Field(max_length=5)] = Field(default_factory=list)
    divide_by: Selector | None = None
    above: float | None = Field(default=None, allow_inf_nan=False)
    below: float | None = Field(default=None, allow_inf_nan=False)
    for_: Span = Field(default="0s", alias="for")
    keep_firing_for: Span = "1m"
    #: the component that this is about: alerts of what it depends on inhibit this one
    component: Component | None = None
    #: further components whose alerts inhibit this one
    depends: Annotated[list[Component], Field(max_length=12)] = Field(default_factory=list)
    #: the name of a page in docs/how-to/runbooks, or an https URL
    runbook: Annotated[str, Field(max_length=300, pattern=r"^(https://\S+|[a-z0-9-]+)$")] | None = None

    #: the on-call ladder that it climbs; without one, pages climb the ladder `default`
    ladder: Annotated[str, Field(pattern=rf"^{NAME}$")] | None = None

    @model_validator(mode="after")
    def _one_bound(self) -> "Rule":
        if (self.above is None) == (self.below is None):
            raise ValueError("names either `above` or `below`")
        return self

    @property
    def waits(self) -> float:
        """Seconds for which the condition must hold before it alerts."""
        return parse_duration(self.for_)

    @property
    def keeps(self) -> float:
        """Seconds for which it goes on alerting after the condition held last."""
        return parse_duration(self.keep_firing_for)

    @property
    def selectors(self) -> tuple[Selector, ...]:
        own = Selector(metric=self.metric, where=self.where)
        return (own, self.divide_by) if self.divide_by is not None else (own,)

    def document(self) -> dict[str, Any]:
        """As `read_rule` takes it."""
        return self.model_dump(by_alias=True, exclude_none=True)


class BadRules(ValueError):
    """A rule that cannot be used. faults: everything that is wrong, each with its path."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = sorted(faults)
        super().__init__("; ".join(map(str, self.faults)))


def read_rule(document: Any, path: str = "") -> Rule:
    """Raises BadRules with every fault of the document, which is what JSON or YAML gave."""
    try:
        return Rule.model_validate(document)
    except ValidationError as error:
        raise BadRules(_fault(one, path) for one in error.errors(include_url=False, include_input=False)) from error


def read_rules(document: Any) -> list[Rule]:
    """The rules of a file, `rules: [...]`. Raises BadRules with every fault of all of them."""
    listed = document.get("rules") if isinstance(document, Mapping) else None
    if not isinstance(listed, list):
        raise BadRules([Fault("rules", "must be a list of rules")])
    if len(listed) > MOST_RULES:
        raise BadRules([Fault("rules", f"has more than {MOST_RULES} rules")])
    found: list[Rule] = []
    faults = [Fault(str(key)[:80], "is not known; known is: rules") for key in document if key != "rules"]
    for number, one in enumerate(listed):
        try:
            rule = read_rule(one, f"rules[{number}]")
        except BadRules as error:
            faults += error.faults
            continue
        if any(other.name == rule.name for other in found):
            faults.append(Fault(f"rules[{number}].name", f'"{rule.name}" is there more than once'))
        found.append(rule)
    if faults:
        raise BadRules(faults)
    return found


def _fault(error: Any, path: str) -> Fault:
    where = path
    for part in error["loc"]:
        # A union's branches are no place in the document.
        if isinstance(part, int):
            where += f"[{part}]"
        elif str(part).isidentifier() or "-" in str(part):
            where += f".{part}" if where else str(part)[:80]
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        message = f"is not known; known are: {', '.join(one.alias or name for name, one in Rule.model_fields.items())}"
    return Fault(bounded(where), message)
