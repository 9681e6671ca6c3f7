"""`${{ secrets.name }}`: where it may stand, and that nothing but the definition can name a secret."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from erip.ops.stack.state import ROOT
from tests.sample import steps  # noqa: F401  (registers the steps)
from tests.unit.docs.blocks import blocks_of
from workflows import registry
from workflows.core import definition
from workflows.core.definition import DefinitionInvalid
from workflows.core.graph import Graph
from workflows.core.secrets import Filling, Named, fill, names_of
from workflows.core.templates import Template
from workflows.testing import run_workflow

TOKEN = "s3cret-token-value"
PAGE = ROOT / "docs/how-to/secrets.md"


def graph(with_: Any, **more: Any) -> Graph:
    document = {"name": "w", "steps": {"a": {"uses": "sample.echo", "with": with_}}, **more}
    return definition.validate(document, registry.all())


def faults(**document: Any) -> list[str]:
    with pytest.raises(DefinitionInvalid) as refused:
        definition.validate({"name": "w", **document}, registry.all())
    return [str(fault) for fault in refused.value.faults]


def test_a_step_says_which_texts_of_its_input_get_which_secrets() -> None:
    with_ = {"value": ["${{ secrets.a }}", {"x": "Basic ${{ secrets.user }}:${{secrets.b}}!"}, "${{ input.y }}"]}
    work = graph(with_).steps["a"].work

    assert work is not None
    assert names_of(work.secrets) == ["a", "user", "b"]
    assert [filling.location for filling in work.secrets] == [("value", 0), ("value", 1, "x")]
    rendered = work.with_.render({"input": {"y": "${{ secrets.a }}"}})  # type: ignore[union-attr]
    assert rendered == {"value": [*with_["value"][:2], "${{ secrets.a }}"]}
    filled = fill(rendered, work.secrets, {"a": "1", "user": "2", "b": "3"})
    assert filled == {"value": ["1", {"x": "Basic 2:3!"}, "${{ secrets.a }}"]}
    assert rendered == {"value": [*with_["value"][:2], "${{ secrets.a }}"]}


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("${{ size(secrets.a) }}", "a secret is given as it is"),
        ("${{ secrets.a + 'x' }}", "a secret is given as it is"),
        ("${{ has(secrets.a) }}", "a secret is given as it is"),
        ("${{ secrets.a == input.b }}", "a secret is given as it is"),
        ("${{ {'x': secrets.a} }}", "a secret is given as it is"),
        ("${{ secrets }}", "name one secret"),
        ("${{ secrets.a.b }}", "name one secret"),
        ("${{ secrets['A B'] }}", "name one secret"),
        ("${{ secrets[0] }}", "name one secret"),
        ("${{ secrets.a }}${{ input.b }}", "may hold no other expression"),
        ("${{ input.b }} ${{ secrets.a }}", "may hold no other expression"),
        ("${{ 1 + 1 }} ${{ secrets.a }}", "may hold no other expression"),
    ],
)
def test_a_secret_is_given_as_it_is_and_beside_nothing_that_the_run_says(source: str, says: str) -> None:
    found = faults(steps={"a": {"uses": "sample.echo", "with": {"value": source}}})

    assert len(found) == 1
    assert found[0].startswith("steps.a.with.value: ")
    assert says in found[0]


SECRET = "${{ secrets.a }}"
ECHO = {"uses": "sample.echo"}


@pytest.mark.parametrize(
    "document",
    [
        {"steps": {"a": {**ECHO, "if": "secrets.a == 'x'"}}},
        {"steps": {"a": {**ECHO, "foreach": SECRET}}},
        {"steps": {"a": {**ECHO, "foreach": [SECRET]}}},
        {"steps": {"a": ECHO}, "output": SECRET},
        {"steps": {"a": ECHO}, "output": {"x": f"b{SECRET}"}},
        {"steps": {"a": {"decision": "d", "input": {"n": SECRET}}}},
        {"steps": {"a": {"wait": {"until": SECRET}}}},
        {"steps": {"a": ECHO}, "on": [{"event": "x", "input": {"a": "${{ secrets.a }}"}}]},
        {"steps": {"a": {**ECHO, "with": SECRET}}},
    ],
)
def test_a_secret_stands_nowhere_but_in_the_input_of_what_workers_run(document: dict[str, Any]) -> None:
    assert any("secret" in fault for fault in faults(**document))


def test_a_definition_with_secrets_is_not_for_workers_that_would_take_them_for_text() -> None:
    assert (graph({"value": 1}).level, graph({"value": SECRET}).level) == (1, 8)


def test_a_definition_without_secrets_has_nothing_to_do() -> None:
    work = graph({"value": "$${{ secrets.a }}"}).steps["a"].work

    assert work is not None
    assert work.secrets == ()
    assert work.with_.render({}) == {"value": "${{ secrets.a }}"}  # type: ignore[union-attr]


@given(st.recursive(st.none() | st.text(max_size=5) | st.integers(), lambda below: st.lists(below, max_size=3)))
def test_filling_changes_the_named_text_and_nothing_else(beside: Any) -> None:
    before = {"a": [beside, "x"], "b": beside}

    filled = fill(before, [Filling(("a", 1), ("<", Named("n"), ">"))], {"n": TOKEN})

    assert filled == {"a": [beside, f"<{TOKEN}>"], "b": beside}
    assert before["a"][1] == "x"


@given(st.text(max_size=30))
def test_only_the_text_itself_names_a_secret(text: str) -> None:
    """Whatever stands around it, a template that compiles has as many fillings as texts that name a secret."""
    template, found, _ = Template.check([text, f"{SECRET}"], at="", roots=("secrets",))

    if template is not None:
        assert [filling.location for filling in template.secrets][-1] == (1,)
        assert found == []


DEFINITION = {
    "name": "leaks",
    "steps": {
        "a": {"uses": "sample.leak", "with": {"token": "${{ secrets.token }}", "other": "${{ input.other }}"}},
        "each": {
            "uses": "sample.leak",
            "needs": ["a"],
            "foreach": [1, 2],
            "with": {"token": "${{ secrets.token }}", "other": "${{ item }}${{ index }}"},
        },
    },
    "output": "${{ steps.a.output }}",
}


def test_a_body_gets_the_secret_and_nothing_of_it_is_kept() -> None:
    result = run_workflow(DEFINITION, {"other": "${{ secrets.token }}"}, secrets={"token": TOKEN})

    assert result.state == "SUCCEEDED"
    assert result.output["length"] == len(TOKEN)
    # What the run's data say is only text.
    assert result.output["texts"][-1] == "${{ secrets.token }}"
    assert TOKEN not in repr(result)
    assert "${{ secrets.token }}" in repr(result.steps["a"])


def test_a_test_without_the_secret_fails_and_says_which() -> None:
    result = run_workflow(DEFINITION, {"other": ""})

    assert result.state == "FAILED"
    assert "token" in repr(result.steps["a"])


def test_the_example_of_the_documentation_runs() -> None:
    example = next(block.text for block in blocks_of(PAGE) if block.language == "yaml")
    example = example.replace("acme.call_vendor", "sample.echo")
    seen: list[Any] = []

    def takes(data: Any) -> dict[str, Any]:
        seen.append(data.value)
        return {"value": 1}

    result = run_workflow(
        yaml.safe_load(example), {"url": "https://x"}, {"page": takes}, secrets={"vendor_token": TOKEN}
    )

    assert result.state == "SUCCEEDED"
    assert seen == [{"url": "https://x", "authorization": f"Bearer {TOKEN}"}]
    assert TOKEN not in repr(result)
