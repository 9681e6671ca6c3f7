"""What is the same source in another spelling, and what could be taken for the platform's own."""

import string
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erip.access import origins
from erip.access.references import canonical, matches, names, pattern_fault

HOSTS = frozenset(["risk.example"])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("HTTPS://Feeds.Example/kev", "https://feeds.example/kev"),
        ("https://feeds.example:443/kev", "https://feeds.example/kev"),
        ("https://feeds.example:/kev", "https://feeds.example/kev"),
        ("https://feeds.example", "https://feeds.example/"),
        ("https://feeds.example/%6bev", "https://feeds.example/kev"),
        ("https://feeds.example/a%2fb", "https://feeds.example/a%2Fb"),
        ("https://feeds.example/x/../kev", "https://feeds.example/kev"),
        ("/feeds/./nexus", "/feeds/nexus"),
        ("/feeds/x/%2E%2e/nexus", "/feeds/nexus"),
        ("/feeds/nexus/.", "/feeds/nexus/"),
        ("./feeds", "feeds"),
        ("URN:feed:1", "urn:feed:1"),
    ],
)  # fmt: skip
def test_equivalent_references_have_one_form(first, second):
    assert canonical(first) == canonical(second) == second


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("/Feeds", "/feeds"),
        ("/feeds/a%2Fb", "/feeds/a/b"),
        ("/feeds", "/feeds/"),
        ("https://feeds.example:8443/", "https://feeds.example/"),
        ("https://feeds.example/?A", "https://feeds.example/?a"),
    ],
)
def test_different_references_stay_different(first, second):
    assert canonical(first) != canonical(second)


URI = st.text(string.ascii_letters + string.digits + "-._~:/?#[]@!$&'()*+,;=%", max_size=40)


@given(URI)
def test_the_canonical_form_is_its_own(reference):
    once = canonical(reference)

    assert canonical(once) == once


@given(st.text(max_size=40))
def test_every_text_has_a_form(text):
    canonical(text)
    names(text, "erip", HOSTS)


OWN = [
    "/erip/workflows/breach-response",
    "/erip", "/erip/", "/erip?x", "/erip#x",
    "/ERIP/workflows/x", "/Erip/x",
    "//erip/workflows/x", "//ERIP", "///erip/x", "////erip/x",
    "erip/workflows/x", "erip", "./erip/x", "../erip/x", "x/../erip/y",
    "/x/../erip/y", "/./erip/x", "/../erip/x",
    "/%65rip/x", "/%45RIP/x", "/%2565rip/x", "/%252565rip/x",
    "/erip%2Fworkflows%2Fx", "%2Ferip%2Fx", "/x/%2e%2e/erip/y", "/x%2F..%2Ferip/y",
    "\\erip\\workflows", "/\\erip/x", "%5Cerip%5Cx",
    "erip:workflows/x", "ERIP:x", "urn:erip:workflow:x", "URN:ERIP:x",
    "http://erip/workflows/x", "https://erip:443/x",
    "https://risk.example/erip/workflows/x", "https://RISK.example.:8443/ERIP/x", "//risk.example/erip/x",
    "http:/erip/x", "https:erip/x", "file:///erip/x",
    "/erip;v=1/workflows/x", " /erip/x", "/er%00ip/x", "/%EF%BD%85rip/x", "/er\u200bip/x", "/erip%20/x",
]  # fmt: skip


@pytest.mark.parametrize("source", OWN)
def test_what_could_be_taken_for_the_platforms_own_is(source):
    assert names(source, "erip", HOSTS)


@pytest.mark.parametrize(
    "source",
    [
        "/feeds/nexus", "/eripx/y", "/x/erip/y", "x", "", "https://feeds.example/erip/x", "mailto:erip@feeds.example",
        "urn:feed:erip",
        "https://erip.example/", "https://risk.example/other", "//feeds.example/erip", "/feeds?u=/erip/",
    ],
)  # fmt: skip
def test_what_is_somebody_elses_is_not(source):
    assert not names(source, "erip", HOSTS)


@given(
    st.lists(st.sampled_from(["plain", "percent", "upper", "twice"]), min_size=4, max_size=4),
    st.sampled_from(["/", "/./", "/x/../", "//", "/%2e/", "/a/b/../../", "./", ""]),
    st.sampled_from(["/workflows/x", "", "?q", "#f", "%2Fworkflows", ";a/b"]),
)
def test_no_spelling_of_the_platforms_own_passes(ways, before, after):
    """Each letter, and what stands around them, is written in one of several ways that a reader may undo."""

    def spelled(letter: str, way: str) -> str:
        if way == "upper":
            return letter.upper()
        encoded = f"%{ord(letter):02x}"
        return {"plain": letter, "percent": encoded, "twice": quote(encoded, safe="")}[way]

    word = "".join(spelled(letter, way) for letter, way in zip("erip", ways, strict=True))

    assert names(f"{before}{word}{after}", "erip", HOSTS)


@pytest.mark.parametrize(
    "pattern", ["*", "/feeds/*", "/feeds/nexus", "https://feeds.example/*", "urn:feed:*", "feeds/x"]
)
def test_patterns_that_can_be_compared(pattern):
    assert pattern_fault(pattern) is None


@pytest.mark.parametrize(
    ("pattern", "fault"),
    [
        ("", "must not be empty"),
        ("/a*/b", "may have `*` at its end only"),
        ("https://feeds.example*", "must name the whole host: end it with `/*`"),
        ("https*", None),
        ("https:*", "must name a host behind the scheme"),
        ("https://*", "must name the whole host: end it with `/*`"),
        ("HTTPS://feeds.example/*", "must be written in its canonical form: https://feeds.example/*"),
        ("/feeds/../x/*", "must be written in its canonical form: /x/*"),
        ("/fe eds/*", "must have printable ASCII characters only"),
    ],
)
def test_patterns_that_cannot(pattern, fault):
    assert pattern_fault(pattern) == fault


@given(URI, st.integers(0, 40))
def test_a_pattern_lets_through_what_begins_like_it(reference, length):
    text = canonical(reference)
    pattern = text[:length] + "*"

    assert matches(pattern, text)


@pytest.mark.parametrize(
    "type_",
    [
        "workflow.run.succeeded", "Workflow.Run.Succeeded", "workflow.step.new", " workflow.run.failed",
        "\uff57orkflow.run.failed", "erip.subscription.test", "erip",
    ],
)  # fmt: skip
def test_the_platforms_types_are_its_own(type_):
    assert origins.own_type(type_)


@pytest.mark.parametrize("type_", ["nexus.threat.detected", "workflows.x", "my.workflow.run.failed", "eripx.y"])
def test_other_types_are_not(type_):
    assert not origins.own_type(type_)


@pytest.mark.parametrize("pattern", ["/erip/*", "/ERIP/workflows/x", "erip:*"])
def test_no_key_can_be_bound_to_the_platforms_sources(pattern):
    assert origins.source_fault(pattern) is not None


@pytest.mark.parametrize("pattern", ["workflow.*", "workflow.run.failed", "erip.*"])
def test_no_key_can_be_bound_to_the_platforms_types(pattern):
    assert origins.type_fault(pattern) == "names types of the platform itself, which no key may send"
