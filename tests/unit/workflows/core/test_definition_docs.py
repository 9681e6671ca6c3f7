"""The example of docs/reference/definitions.md is a definition that runs."""

import re
from pathlib import Path

from workflows import registry
from workflows.core.definition import parse, validate

DOCS = Path(__file__).parents[4] / "docs" / "reference" / "definitions.md"


def test_the_example_of_the_documentation_runs():
    example = re.search(r"```yaml\n(name: .*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    assert example
    document = parse(example[1], "yaml")
    graph = validate(document, registry.all())
    given = {"breach_id": "B-7", "cves": ["CVE-2024-1"]}
    threat = {"threat_level": "high", "known_exploited": True}
    context = {
        "input": given,
        "steps": {
            "enrich": {"output": {"kev_matches": [{"cve": "CVE-2024-1"}], **threat}, "status": "SUCCEEDED"},
            "decide": {"output": {"level": "board"}, "status": "SUCCEEDED"},
            "notify": {"output": None, "status": "PENDING"},
        },
        "run": {},
    }
    assert graph.input_faults(given) == []
    assert list(graph.steps) == ["enrich", "decide", "notify"]
    assert graph.steps["decide"].work.with_.render(context) == {"severity": "high", "known_exploited": True}
    assert graph.steps["notify"].condition.test(context) is True
    assert graph.steps["notify"].work.with_.render(context) == {"subject": "B-7: board"}
    assert graph.output.render(context) == {"decision": {"level": "board"}, "exploited": True}
