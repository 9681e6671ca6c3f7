"""Expressions and templates: what they give, what they refuse, and that no input makes CEL hang or abort."""

import json
import subprocess
import sys
import textwrap

import cel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflows.core.cost import pattern_cost
from workflows.core.expressions import Expression, ExpressionError
from workflows.core.templates import Template
from workflows.core.tokens import quote

CONTEXT = {
    "input": {
        "cves": ["CVE-2024-1", "CVE-2024-2"],
        "n": 3,
        "ratio": 0.5,
        "none": None,
        "odd key": {"a.b": 1},
        "hosts": [{"name": "db", "open": True}, {"name": "web", "open": False}],
    },
    "steps": {
        "enrich": {"output": {"level": "high", "score": 9.1}, "status": "SUCCEEDED"},
        "posture": {"output": None, "status": "SKIPPED"},
    },
    "run": {
        "id": "01",
        "workflow": "breach-response",
        "business_key": None,
        "created_at": "2026-11-23T10:00:00+00:00",
        "status": "RUNNING",
    },
}


def evaluate(source: str, context=CONTEXT):
    return Expression.compile(source).evaluate(context)


def wide(value) -> dict:
    return {"input": {"a": value}, "steps": {}, "run": {}}


# --- what expressions give


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("input.cves", ["CVE-2024-1", "CVE-2024-2"]),
        ("input.cves[1]", "CVE-2024-2"),
        ("input['odd key']['a.b']", 1),
        ("steps.enrich.output", {"level": "high", "score": 9.1}),
        ("steps['enrich'].status", "SUCCEEDED"),
        ("steps.posture.output", None),
        ("run.workflow", "breach-response"),
        ("steps.enrich.output.level != 'none'", True),
        ("input.n > 2 && steps.enrich.output.score >= 9.0", True),
        ("input.hosts.exists(h, h.open && h.name == 'db')", True),
        ("input.hosts.all(h, h.open)", False),
        ("input.hosts.exists_one(h, has(h.name) && h.open)", True),
        ("has(input.missing) ? input.missing : 'none'", "none"),
        ("has(input.none)", True),
        ("!has(input.missing) || input.missing > 3", True),
        ("'map(' + 'filter('", "map(filter("),
        ("size(input.cves) + input.cves.size()", 4),
        ("input.cves[0].matches('^CVE-[0-9]{4}-[0-9]+$')", True),
        ("{'b': steps.enrich.output.level, 'a': [1, 2.5, null, true]}", {"a": [1, 2.5, None, True], "b": "high"}),
        ("timestamp(run.created_at) < timestamp('2027-01-01T00:00:00Z')", True),
        ("timestamp('2026-11-23T10:00:00Z')", "2026-11-23T10:00:00+00:00"),
        ("string(duration('90m'))", "1h30m0s"),
        ("r'\\d' + \"it's\"", "\\dit's"),
        ("type(input.n) == int", True),
        ("// a comment\n input.n", 3),
    ],
)
def test_an_expression_gives_its_value(source, value):
    result = evaluate(source)
    assert result == value
    assert type(result) is type(value)


def test_the_keys_of_a_result_always_come_in_the_same_order():
    expression = Expression.compile("{'b': 1, 'a': 2, 'd': 3, 'c': 4}")
    assert {json.dumps(expression.evaluate(CONTEXT)) for _ in range(20)} == {'{"a": 2, "b": 1, "c": 4, "d": 3}'}


def test_an_expression_knows_the_steps_that_it_reads():
    expression = Expression.compile("has(steps.a.output.x) && steps['b'].status == 'FAILED' && input.n > 1")
    assert expression.references == {"a", "b"}


@pytest.mark.parametrize(
    ("source", "plain"),
    [("input.cves", True), ("steps.a.output.x[0]", True), ("(input.cves)", False), ("input.n + 1", False)],
)
def test_only_a_path_goes_without_cel(source, plain):
    assert Expression.compile(source).plain is plain


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("input.missing", "there is no input.missing"),
        ("input.cve", "did you mean 'cves'?"),
        ("input.cves[2]", "there is no input.cves[2]: input.cves has 2 items"),
        ("input.n.x", "there is no input.n.x: input.n is an integer"),
        ("steps.posture.output.score > 1", "steps.posture.output is null"),
        ("input.missing + 1", "there is no input.missing"),
        ("input.hosts.exists(h, h.nme == 'db')", "there is no key 'nme'"),
        ("input.n / 0", "division by zero"),
        ("9223372036854775807 + input.n", "overflow"),
        ("input.n + 'a'", "int"),
        ("1.0 / 0.0", "JSON cannot hold"),
        ("double('nan')", "JSON cannot hold"),
        ("duration('10s')", "use string(...)"),
        ("{1: 2}", "keys of an object must be strings"),
        ("[{true: 2}]", "keys of an object must be strings"),
    ],
)
def test_a_wrong_value_is_an_error_that_says_what(source, message):
    with pytest.raises(ExpressionError) as caught:
        evaluate(source)
    assert message in str(caught.value)


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, float("inf"), float("nan")])
def test_a_number_that_json_or_cel_cannot_hold_is_an_error_with_and_without_cel(value):
    for source in ("input.a", "[input.a]"):
        with pytest.raises(ExpressionError):
            evaluate(source, wide(value))


def test_an_if_must_give_true_or_false():
    assert Expression.compile("input.n > 1").test(CONTEXT) is True
    with pytest.raises(ExpressionError, match="needs true or false"):
        Expression.compile("input.n").test(CONTEXT)


# --- what is refused when it is compiled


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", "empty"),
        ("'" + "a" * 1100 + "'", "1024 bytes"),
        ("'" + "é" * 600 + "'", "1024 bytes"),
        ("input.cves.map(c, c)", "map() is not allowed"),
        ("input.cves . map (c, c)", "map() is not allowed"),
        ("input.cves.// x\nmap(c, c)", "map() is not allowed"),
        ("input.cves.filter(c, true)", "filter() is not allowed"),
        ("input.cves.exists(c, input.cves.exists(d, c == d))", "only one exists()"),
        ("input.cves.all(c, true) && input.cves.exists(c, true)", "only one exists()"),
        ("input.cves.exists_one(c, input.cves.existsOne(d, c == d))", "only one exists()"),
        ("input.cves.exists(input, true)", "the name is taken"),
        ("input.cves.exists(__p0, true)", "the name is taken"),
        ("input.cves.exists(a.b, true)", "written list.exists(name, condition)"),
        ("foo == 1", "unknown name 'foo'"),
        ("inptu.x == 1", "did you mean input?"),
        ("steps == 1", "name the step"),
        ("steps[input.n]", "name the step"),
        ("steps.a", "name the step"),
        ("steps.a.level", "did you mean steps.a.output.level?"),
        ("run.secret", "run has"),
        ("now()", "unknown function now()"),
        ("input.cves.transformList(i, v, v)", "unknown function transformList()"),
        ("optional.of(1)", "unknown name 'optional'"),
        ("input.n.of(1)", "unknown function of()"),
        ("b'abc'", "not supported"),
        ("'''abc'''", "not supported"),
        ("a{b: 1}", "only {'key': value}"),
        (".input", "may not begin with a dot"),
        ("__p0", "reserved"),
        ("input.n >", "not a CEL expression"),
        ("input.n == 'a", "unexpected"),
        ("input.n # 1", "unexpected"),
        ("'\\q'", "not an escape"),
        ("input.n.matches(input.n)", "string literal"),
        ("input.n.matches('(')", "not a regular expression"),
        ("input.n.matches('(x{1000}){1000}')", "too large"),
        ("input.n.matches('x{300}')", "too large"),
        ("has(input)", "has() takes a path"),
        ("has(input.a + 1)", "has() takes a path"),
    ],
)
def test_what_is_not_allowed_is_refused_when_it_is_compiled(source, message):
    with pytest.raises(ExpressionError) as caught:
        Expression.compile(source)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "source",
    [
        "(" * 300 + "1" + ")" * 300,
        "[" * 300 + "1" + "]" * 300,
        "{'a':" * 100 + "1" + "}" * 100,
        "size(" * 100 + "input" + ")" * 100,
        "true?" * 60 + "true" + ":true" * 60,
        "!" * 1000 + "true",
        "-" * 1000 + "1",
        "1" + "+1" * 500,
    ],
)
def test_deep_and_long_expressions_are_refused_before_cel_sees_them(source):
    with pytest.raises(ExpressionError, match=r"nested more than|words and signs"):
        Expression.compile(source)


def test_the_largest_expressions_and_deepest_data_allowed_fit_a_thread_with_a_small_stack():
    # A stack overflow in CEL aborts the process, so this is tried in one of its own.
    program = """
        import threading
        from workflows.core.expressions import Expression, ExpressionError
        deep = None
        for _ in range(253):
            deep = [deep]
        deeper = [[[[deep]]]]
        def run():
            for source in ("(" * 24 + "1" + ")" * 24, "1" + "+1" * 124, "!" * 248 + "true", "-" * 240 + "1",
                           "[" * 24 + "1" + "]" * 24, "true?" * 24 + "true" + ":true" * 24,
                           "true" + "&&true" * 124, "[input.a] == [input.a]", "input.a" + "[0]" * 80,
                           "size(" * 20 + "'a'" + ")" * 20):
                try:
                    Expression.compile(source).evaluate({"input": {"a": deep}})
                except ExpressionError as error:
                    print(source[:40], str(error)[:80])
            try:
                Expression.compile("[input.a]").evaluate({"input": {"a": deeper}})
            except ExpressionError as error:
                assert "nested too deeply" in str(error), error
            print("all done")
        threading.stack_size(1024 * 1024)
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "all done" in done.stdout, done.stderr


# --- what is refused when it is evaluated: each of these took seconds, or the process, without the guard

ONES = [1] * 30_000


@pytest.mark.parametrize(
    "source",
    [
        "input.a.exists(x, input.a + input.a == [])",
        "input.a.exists(x, [input.a, input.a] == [input.a])",
        "input.a.exists(x, {'k': input.a}.k == [])",
        "input.a.exists(x, input.a != input.a)",
        "input.a.all(x, x in input.a)",
        "input.a.all(x, size([input.a][0]) > x)",
        "input.a.exists(x, 'abc'.matches('\\\\w+@\\\\w+'))",
        "[input.a, input.a].exists(x, x == [input.a])",
        "input.a" + " + input.a" * 50,
        "{'a': " + " + ".join(["input.a"] * 40) + "}",
    ],
)
def test_too_much_work_is_refused(source):
    with pytest.raises(ExpressionError, match="too much data"):
        evaluate(source, wide(ONES))


def test_expensive_patterns_are_refused_whatever_the_data():
    source = "[" + ",".join(["1"] * 80) + "].exists(x, 'b'.matches('(\\\\w\\\\d){50}'))"
    with pytest.raises(ExpressionError, match="too costly"):
        Expression.compile(source)


def test_an_expression_reads_64_kb_at_most_and_a_path_any_amount():
    text = "x" * 70_000
    with pytest.raises(ExpressionError, match="70,004 bytes"):
        evaluate("input.a == ''", wide(text))
    assert evaluate("input.a", wide(text)) is text


def test_only_what_an_expression_reads_counts_against_its_limit():
    context = {"input": {"big": ["x" * 100] * 1000, "n": 1}, "steps": {}, "run": {}}
    assert evaluate("input.n == 1 && has(input.big)", context) is True


@pytest.mark.parametrize(
    ("source", "data"),
    [
        ("input.a.exists(x, x.startsWith('CVX'))", [f"CVE-2024-{i:05d}" for i in range(3000)]),
        ("input.a.exists(x, x.score > 9.5 && x.kev)", [{"score": 9.0, "kev": True, "id": str(i)} for i in range(1400)]),
        ("input.a.exists(x, x in input.a && x == '')", [f"CVE-2024-{i:05d}" for i in range(1000)]),
        ("input.a.exists(x, x.matches('^CVE-[0-9]{4}-[0-9]{4,7}x$'))", ["CVE-2024-00001"] * 500),
        ("input.a.exists(x, x > 1)", ONES),
    ],
)
def test_ordinary_work_on_ordinary_amounts_is_allowed(source, data):
    assert evaluate(source, wide(data)) is False


@pytest.mark.parametrize(
    ("pattern", "to_match"),
    [
        ("abc", 3),
        ("a{3}", 3),
        ("(ab){10}", 20),
        ("((a{3}b){2}c){5}", 45),
        (r"\w+@\w+", 3),
        ("[a-z]{2,8}", 8),
        ("a{0}", 1),
    ],
)
def test_the_size_of_a_pattern_counts_its_repetitions(pattern, to_match):
    assert pattern_cost(pattern)[1] == to_match


# --- laws

KEYS = st.sampled_from(["a", "b", "c", "items", "size"])
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)
PATHS = st.lists(KEYS.map(lambda key: f".{key}") | st.integers(0, 4).map(lambda index: f"[{index}]"), max_size=5)


def outcome(call):
    try:
        return call()
    except Exception:
        return "an error"


@given(value=VALUES, path=PATHS)
@settings(max_examples=300, deadline=None)
def test_a_path_gives_what_cel_gives_for_it(value, path):
    source, context = "input" + "".join(path), {"input": value, "steps": {}, "run": {}}
    assert Expression.compile(source).plain
    ours = outcome(lambda: Expression.compile(source).evaluate(context))
    assert ours == outcome(lambda: cel.evaluate(source, context))
    assert ours == outcome(lambda: Expression.compile(f"({source})").evaluate(context))


EXPRESSIONS = st.sampled_from(
    [
        "has(input.a)",
        "has(input.a.b)",
        "has(input.a) && input.a == input.b",
        "has(input.a.b) ? input.a.b : input.c",
        "input.a == input.b || input.c == 1",
        "input.a in input.b",
        "input.items.exists(x, x == input.a)",
        "input.items.all(x, has(x.a) && x.a == input.b)",
        "input.items.exists_one(x, x == input.a)",
        "[input.a, input['b'], input.items[0]]",
        "{'k': input.a, 'l': [input.b]}",
        "size(input.a) + size(input.b)",
        "size(input.a) == input.b.size()",
        "input.size",
        "input.a[input.b]",
        "!has(input.c) || input.c.size() > 0 || 1 / 0 == 1",
    ]
)


@given(value=st.dictionaries(KEYS, VALUES, max_size=5), source=EXPRESSIONS)
@settings(max_examples=400, deadline=None)
def test_looking_paths_up_for_cel_changes_no_result(value, source):
    context = {"input": value, "steps": {}, "run": {}}
    ours = outcome(lambda: Expression.compile(source).evaluate(context))
    theirs = outcome(lambda: cel.evaluate(source, context))
    assert ours == theirs


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0"), max_size=100))
@settings(deadline=None)
def test_a_string_literal_is_given_to_cel_unchanged(text):
    assert cel.evaluate(quote(text)) == text


WORDS = "input .a steps .b .output in x has( matches( .exists( .map( 'x' r' b' 1 0"
SIGNS = "( ) [ ] { } \" ' : , ? + - == && ! // \\"
PIECES = st.sampled_from([*WORDS.split(), *SIGNS.split(), " ", "\n"])


@given(st.lists(PIECES, max_size=25).map("".join) | st.text(max_size=40))
@settings(max_examples=400, deadline=None)
def test_any_text_is_an_expression_or_an_expression_error(text):
    try:
        value = Expression.compile(text).evaluate(CONTEXT)
    except ExpressionError:
        return
    json.dumps(value, allow_nan=False)


# --- templates


def test_a_template_without_expressions_is_the_constant_itself():
    template = Template.compile({"a": [1, {"b": "text"}], "c": None})
    assert template.constant
    assert template.render(CONTEXT) is template.render({})
    assert template.render({}) == {"a": [1, {"b": "text"}], "c": None}


def test_a_whole_expression_keeps_its_type_and_its_identity():
    template = Template.compile({"cves": "${{ input.cves }}", "n": " ${{ input.n }}", "m": "${{ input.n }}"})
    rendered = template.render(CONTEXT)
    assert rendered == {"cves": ["CVE-2024-1", "CVE-2024-2"], "n": " 3", "m": 3}
    assert rendered["cves"] is CONTEXT["input"]["cves"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Level ${{ steps.enrich.output.level }}, score ${{steps.enrich.output.score}}.", "Level high, score 9.1."),
        ("${{ input.none }}|${{ input.n > 1 }}|${{ input.cves }}", '|true|["CVE-2024-1", "CVE-2024-2"]'),
        ("${{ {'a': {'b': input.n}} }}", {"a": {"b": 3}}),
        ("${{ {'a': {'b': input.n}}.a.b }}!", "3!"),
        ("${{ '}}' }}", "}}"),
        ("${{ '}}' }} and ${{ '${{' }}", "}} and ${{"),
        ("write $${{ input.n }}", "write ${{ input.n }}"),
        ("$${{ ${{ input.n }}", "${{ 3"),
        ("costs $5 {a} }}", "costs $5 {a} }}"),
    ],
)
def test_text_around_expressions(text, value):
    assert Template.compile(text).render(CONTEXT) == value


def test_a_template_names_every_fault_with_its_place():
    template, faults, sound = Template.check(
        {"a": ["${{ input.x", "${{ foo }}"], "b": "${{ }}", "k${{": 1, "c": "${{ steps.s.output }}"}, at="with"
    )
    assert template is None
    assert [fault.path for fault in faults] == ["with.a[0]", "with.a[1]", "with.b", "with['k${{']"]
    assert [location for location, _ in sound] == [("c",)]


def test_a_template_says_where_rendering_failed():
    template, _, _ = Template.check({"a": [1, "${{ input.missing }}"]}, at="steps.x.with")
    with pytest.raises(ExpressionError, match=r"^steps\.x\.with\.a\[1\]: there is no input\.missing"):
        template.render(CONTEXT)


@given(VALUES)
@settings(deadline=None)
def test_plain_values_render_to_themselves(value):
    assert Template.compile(value).render({}) == value
