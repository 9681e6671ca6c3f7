"""What must not be seen is struck out, in whichever of the known forms it stands."""

import base64
import html
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from erip.foundation import redacting
from erip.foundation.redacting import MARK, Struck

SECRET = 'p@ss"w/o+r\\d=é 1'
texts = st.text(max_size=12)
secrets = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=8, max_size=40)

FORMS = {
    "as it is": lambda text: text,
    "in JSON": lambda text: json.dumps(text),
    "in JSON of other characters than ASCII": lambda text: json.dumps(text, ensure_ascii=False),
    "as Python shows it": repr,
    "in a path": lambda text: quote(text),
    "in a query": lambda text: quote_plus(text),
    "in XML": lambda text: html.escape(text),
    "in hexadecimal": lambda text: text.encode().hex(),
    "in base64": lambda text: base64.b64encode(text.encode()).decode(),
    "in base64 of URLs": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@settings(max_examples=40)
@given(secret=secrets, before=texts, after=texts)
def test_a_value_is_found_in_every_form(form, secret: str, before: str, after: str) -> None:
    # base64 hides what is around it as well, which therefore need not stay readable.
    written = form(secret)
    text = f"{before} {written} {after}"

    told = Struck([secret]).text(text)

    assert MARK in told
    assert secret not in told
    assert written.strip("'\"=")[:-1] not in told


@settings(max_examples=40)
@given(secret=secrets, before=st.binary(max_size=7), after=st.binary(max_size=7))
def test_a_value_is_found_in_base64_wherever_it_stands_in_what_was_encoded(secret, before, after) -> None:
    text = base64.b64encode(before + secret.encode() + after).decode()

    told = Struck([secret]).text(text)

    assert MARK in told
    # At most the two characters at each end that also stand for what is beside it are left.
    assert len(told.replace(MARK, "")) <= len(base64.b64encode(before + after)) + 8


def test_the_lines_of_a_value_are_found_one_by_one() -> None:
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0\nQIDAQABAoIBAQC7VJTUt9U\n-----END KEY-----\n"

    assert Struck([key]).text("it is MIIEvQIBADANBgkqhkiG9w0, then QIDAQABAoIBAQC7VJTUt9U") == "it is ***, then ***"


def test_json_is_searched_in_its_keys_and_numbers_as_well() -> None:
    struck = Struck(["12345678", "hunter2-hunter2"])
    value = {"hunter2-hunter2": [12345678, {"x": "<hunter2-hunter2>"}, True, None, 1.5], "a": 7}

    assert struck.json(value) == {MARK: [MARK, {"x": f"<{MARK}>"}, True, None, 1.5], "a": 7}


def test_what_a_process_remembers_is_struck_out_of_its_log(capsys, caplog) -> None:
    import logging

    from erip.foundation.logs import Formatter, without_secrets

    redacting.remember([SECRET])
    record = logging.LogRecord("x", logging.INFO, "f", 1, "sent %s", (SECRET,), None)

    assert Formatter("%(message)s").format(record) == f"sent {MARK}"
    assert without_secrets(None, "info", json.dumps({"event": f"to {SECRET}"})) == '{"event": "to ***"}'
    assert redacting.strike("nothing of it") == "nothing of it"
