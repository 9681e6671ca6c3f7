"""Note [Envelopes]: what is encrypted is only read with its keys, for what it was encrypted for, and unchanged."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erip.foundation import keyring
from erip.foundation.keyring import KeyMissing, KeysInvalid, NotDecrypted

OLD, NEW = (f"{name}:{base64.b64encode(bytes([n]) * 32).decode()}" for n, name in enumerate(("k-2026", "k-2027")))


@given(plain=st.binary(max_size=200), place=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_one_bit_that_was_changed_is_noticed(plain: bytes, place: int, bit: int) -> None:
    key = keyring.new_key()
    stored = bytearray(keyring.encrypt(key, plain, about="a"))
    assert keyring.decrypt(key, bytes(stored), about="a") == plain

    stored[place % len(stored)] ^= 1 << bit

    with pytest.raises(NotDecrypted):
        keyring.decrypt(key, bytes(stored), about="a")


@pytest.mark.parametrize("stored", [b"", b"short", bytes(12), bytes(27)])
def test_what_is_no_ciphertext_is_not_decrypted(stored: bytes) -> None:
    with pytest.raises(NotDecrypted):
        keyring.decrypt(keyring.new_key(), stored, about="a")


def test_a_ciphertext_is_not_read_as_that_of_something_else() -> None:
    key = keyring.new_key()

    with pytest.raises(NotDecrypted):
        keyring.decrypt(key, keyring.encrypt(key, b"x", about="secret a"), about="secret b")


def test_the_first_key_wraps_and_all_unwrap(settings, tmp_path) -> None:
    file = tmp_path / "keys"
    settings.ERIP_ENCRYPTION_KEYS_FILE = str(file)
    file.write_text(f"# the keys\n{OLD}\n")
    key = keyring.new_key()
    before = keyring.wrap(key, about="a")

    file.write_text(f"{NEW}\n{OLD}\n")
    after = keyring.wrap(key, about="a")

    assert (before.by, after.by, keyring.in_force()) == ("k-2026", "k-2027", "k-2027")
    assert keyring.unwrap(before, about="a") == keyring.unwrap(after, about="a") == key
    file.write_text(NEW)
    assert keyring.unwrap(after, about="a") == key
    with pytest.raises(KeyMissing, match="k-2026"):
        keyring.unwrap(before, about="a")


@pytest.mark.parametrize(
    "text",
    ["", "# none", "nonsense", "k:short", f"{OLD}\n{OLD}", f"K:{OLD.partition(':')[2]}", OLD[:-1], "k:" + "=" * 44],
)
def test_keys_that_cannot_be_read_are_refused_without_being_shown(settings, tmp_path, text: str) -> None:
    file = tmp_path / "keys"
    file.write_text(text)
    settings.ERIP_ENCRYPTION_KEYS_FILE = str(file)

    with pytest.raises(KeysInvalid) as refused:
        keyring.in_force()

    assert OLD.partition(":")[2] not in str(refused.value)


def test_a_file_that_is_not_there_is_no_reason_to_use_another_key(settings, tmp_path) -> None:
    settings.ERIP_ENCRYPTION_KEYS_FILE = str(tmp_path / "none")
    settings.ERIP_ENCRYPTION_KEYS = [OLD]

    with pytest.raises(KeysInvalid):
        keyring.wrap(keyring.new_key(), about="a")


def test_without_a_list_the_key_follows_from_the_secret_key(settings) -> None:
    settings.ERIP_ENCRYPTION_KEYS_FILE, settings.ERIP_ENCRYPTION_KEYS = "", []
    wrapped = keyring.wrap(bytes(32), about="a")

    settings.SECRET_KEY = "another one that is long enough for it"

    assert wrapped.by == keyring.DERIVED
    with pytest.raises(NotDecrypted):
        keyring.unwrap(wrapped, about="a")


@pytest.mark.parametrize("in_file", [True, False])
def test_the_key_of_the_beginning_can_stand_in_a_list_until_it_is_rotated_away(settings, tmp_path, in_file) -> None:
    settings.ERIP_ENCRYPTION_KEYS_FILE, settings.ERIP_ENCRYPTION_KEYS = "", []
    data = keyring.new_key()
    wrapped = keyring.wrap(data, about="a")

    def listed(*lines: str) -> None:
        (tmp_path / "keys").write_text("\n".join(lines))
        settings.ERIP_ENCRYPTION_KEYS_FILE = str(tmp_path / "keys") if in_file else ""
        settings.ERIP_ENCRYPTION_KEYS = [] if in_file else list(lines)

    listed(OLD, keyring.DERIVED)
    assert (keyring.in_force(), keyring.names()) == ("k-2026", ["k-2026", keyring.DERIVED])
    assert keyring.unwrap(wrapped, about="a") == data
    listed(OLD)
    with pytest.raises(KeyMissing):
        keyring.unwrap(wrapped, about="a")
    listed(OLD, keyring.DERIVED, keyring.DERIVED)
    with pytest.raises(KeysInvalid, match="Line 3"):
        keyring.names()
