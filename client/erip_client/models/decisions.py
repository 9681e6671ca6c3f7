"""Decision tables, and what they say."""

from datetime import datetime

from .base import Document, Json


class TablePublished(Document):
    name: str
    version: int
    hash: str


class DecisionCase(Document):
    """Cases: what each input is in them, and an example, both as texts of FEEL."""

    tests: dict[str, str]
    example: dict[str, str]


class DecisionClash(DecisionCase):
    first: str
    second: str


class TableReport(Document):
    """What is wrong with a table. complete: False: there may be more."""

    gaps: list[DecisionCase]
    clashes: list[DecisionClash]
    unreached: list[str]
    unsure: list[str]
    complete: bool
    sound: bool


class TableValidated(Document):
    valid: bool
    rules: int
    table: dict[str, Json]
    report: TableReport


class DecisionTableListed(Document):
    name: str
    version: int
    hash: str
    description: str
    hit_policy: str
    rules: int
    author: str
    published_at: datetime


class TableVersionListed(Document):
    version: int
    hash: str
    author: str
    created_at: datetime


class DecisionTable(DecisionTableListed):
    table: dict[str, Json]
    versions: list[TableVersionListed]


class TableVersion(TableVersionListed):
    name: str
    table: dict[str, Json]


class WhyTest(Document):
    input: str
    value: Json
    test: str


class WhyRule(Document):
    rule: str
    note: str
    when: list[WhyTest]


class FactFault(Document):
    path: str
    message: str


class Decided(Document):
    """What the table says about one case. decided: False: no rule matches, or `fault` says why it cannot decide."""

    output: Json
    decided: bool
    rules: list[str]
    why: list[WhyRule]
    fault: str | None
    faults: list[FactFault]


class Evaluated(Document):
    name: str
    version: int
    results: list[Decided]


class DecisionSaid(Document):
    """What a table said. version: None: the other table, or not known; fault: why it said nothing."""

    version: int | None
    result: Json
    rules: list[str]
    fault: str | None


class DecisionDifference(Document):
    """A decision that would be another one. after: None: its facts are not known yet."""

    run_id: str
    workflow: str
    business_key: str | None
    status: str
    step: str
    decided: bool
    before: DecisionSaid | None
    after: DecisionSaid | None


class DecisionsWhatIf(Document):
    compared: int
    different: int
    unknown: int
    items: list[DecisionDifference]
    next_cursor: str | None
