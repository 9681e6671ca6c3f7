"""Profiles: whose key goes where, and that nobody else can read it."""

import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from erip_client.cli.profiles import Config, Misconfigured, Profile, load, path, save, target

ONE = Config(
    "one", {"one": Profile("https://one.example", "key-one"), "two": Profile("https://two.example", "key-two")}
)


@pytest.mark.parametrize(
    ("url", "name", "environment", "expected"),
    [
        (None, None, {}, ("https://one.example", "key-one", "one")),
        (None, "two", {}, ("https://two.example", "key-two", "two")),
        (None, None, {"ERIP_PROFILE": "two"}, ("https://two.example", "key-two", "two")),
        # what is named on the command line is meant: not what stands in the environment
        (None, "two", {"ERIP_URL": "https://env.example"}, ("https://two.example", "key-two", "two")),
        (None, "two", {"ERIP_API_KEY": "env"}, ("https://two.example", "key-two", "two")),
        (None, None, {"ERIP_API_KEY": "env"}, ("https://one.example", "env", "one")),
        # a profile's key goes to its own address alone
        ("https://other.example", None, {}, ("https://other.example", None, None)),
        ("http://one.example", None, {}, ("http://one.example", None, None)),
        ("https://one.example:8443", None, {}, ("https://one.example:8443", None, None)),
        ("https://one.example.evil.example", None, {}, ("https://one.example.evil.example", None, None)),
        ("https://other.example", "two", {}, ("https://other.example", None, None)),
        (None, None, {"ERIP_URL": "https://env.example"}, ("https://env.example", None, None)),
        (None, None, {"ERIP_URL": "https://env.example", "ERIP_API_KEY": "env"}, ("https://env.example", "env", None)),
        ("https://one.example:443/", None, {}, ("https://one.example:443", "key-one", "one")),
        ("https://one.example", "two", {}, ("https://one.example", None, None)),
    ],
)  # fmt: skip
def test_the_first_that_is_given_holds(
    url: str | None, name: str | None, environment: dict[str, str], expected: tuple[str, str | None, str | None]
) -> None:
    found = target(ONE, url, name, environment)
    assert (found.url, found.key, found.profile) == expected
    assert "key-" not in repr(found) + repr(ONE)


def test_without_anything_it_is_the_stack_on_this_machine() -> None:
    assert target(Config(), None, None, {}).url == "http://127.0.0.1:8000"


@pytest.mark.parametrize(("name", "environment"), [("three", {}), (None, {"ERIP_PROFILE": "three"})])
def test_a_profile_that_is_not_there_is_named_with_those_that_are(
    name: str | None, environment: dict[str, str]
) -> None:
    with pytest.raises(Misconfigured, match=r"'three'; there are: one, two"):
        target(ONE, None, name, environment)


def test_a_key_that_is_none_is_not_shown() -> None:
    with pytest.raises(Misconfigured) as raised:
        target(ONE, None, None, {"ERIP_API_KEY": "secret with blanks"})
    assert "secret" not in str(raised.value)


def test_what_is_kept_is_read_back_and_can_be_read_by_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "config.toml"
    save(file, ONE)
    assert load(file) == ONE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert [one.name for one in file.parent.iterdir()] == ["config.toml"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o644, 0o666, 0o610])
def test_a_file_with_keys_that_others_can_use_is_refused(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "config.toml"
    save(file, ONE)
    file.chmod(mode)
    with pytest.raises(Misconfigured, match="chmod 600"):
        load(file)


def test_a_file_without_keys_may_be_read_by_all(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    save(file, Config("one", {"one": Profile("https://one.example")}))
    file.chmod(0o644)
    assert load(file).profiles["one"].key is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[", "no TOML"),
        ("\udcff", "no TOML"),
        ("default = 7", "default: must be the name"),
        ("profiles = 7", "profiles: must be a table"),
        ("[profiles]\nx = 7", "profiles.x: must be a table"),
        ('[profiles.x]\nurl = "ftp://y"\nkeys = "z"\n[other]', "other: is not known; profiles.x.keys: is not known"),
        ('[profiles.x]\nurl = "https://y"\nkey = "a b"', "profiles.x: the API key holds characters"),
        ('[profiles.x]\nurl = "https://y"\nkey = 7', "profiles.x"),
    ],
)
def test_a_file_at_fault_is_refused_with_every_fault(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    file.chmod(0o600)
    with pytest.raises(Misconfigured, match=r"config\.toml") as raised:
        load(file)
    assert words in str(raised.value)


def test_it_stands_where_the_platform_keeps_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ERIP_CONFIG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", "/somewhere")
    assert path() == Path("/somewhere/erip/config.toml")
    monkeypatch.setenv("ERIP_CONFIG", "/else/where.toml")
    assert path() == Path("/else/where.toml")


@settings(max_examples=30)
@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=30))
def test_any_name_of_a_profile_is_read_back(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    file = tmp_path_factory.getbasetemp() / "names.toml"
    config = Config(name, {name: Profile("https://one.example", "k")})
    save(file, config)
    assert load(file) == config
