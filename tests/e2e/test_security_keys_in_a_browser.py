"""Security keys in a real browser: chromium's own authenticator signs (CTAP2, by the DevTools protocol).

The script of the page runs under the content policy; gunicorn answers.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from erip.access.models import SecurityKey
from erip.ops.stack.ports import any_free
from tests.support.browser import Browser, browser, program
from tests.support.web import web
from tests.workers import until

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(program() is None, reason="no chromium is installed"),
]
PASSWORD = "a-long-password"


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[tuple[Browser, str]]:
    """A browser with a security key that answers at once, and where the platform is."""
    User.objects.create_superuser("ada", password=PASSWORD)
    port = any_free()
    own = f"http://localhost:{port}"
    with (
        web(tmp_path / "web.log", port=port, ERIP_PUBLIC_URL=own) as _,
        browser(tmp_path / "profile") as tab,
    ):
        tab.call("WebAuthn.enable")
        options = {"protocol": "ctap2", "transport": "usb", "hasUserVerification": True, "isUserVerified": True}
        tab.call("WebAuthn.addVirtualAuthenticator", options=options)
        yield tab, own


def submit(tab: Browser, form: str, **fields: str) -> None:
    """Fill in a form, send it, and wait for the page that follows."""
    before = tab.run("performance.timeOrigin")
    for name, value in fields.items():
        tab.run(f"document.querySelector({form!r}).elements[{name!r}].value = {value!r}")
    tab.run(f"document.querySelector({form!r}).requestSubmit()")
    arrived(tab, before)


def arrived(tab: Browser, before: float) -> None:
    def there() -> bool:
        try:
            return bool(tab.run("document.readyState === 'complete' && performance.timeOrigin") not in (False, before))
        except RuntimeError:  # the page is just being left
            return False

    until(there, seconds=60, what="the next page is loaded")


def signs_in(tab: Browser, own: str) -> None:
    tab.call("Network.clearBrowserCookies")
    tab.go(f"{own}/admin/login/")
    submit(tab, "#login-form", username="ada", password=PASSWORD)


def test_a_key_is_added_asked_for_and_told_from_its_copy(opened: tuple[Browser, str]) -> None:
    tab, own = opened
    signs_in(tab, own)
    tab.go(f"{own}/admin/security/keys/add/")
    submit(tab, "[data-security-key]", name="blue")
    assert "Recovery codes" in tab.run("document.body.innerText"), tab.run("document.body.innerText")
    row = SecurityKey.objects.get()
    assert [one for one in tab.complaints() if "favicon" not in one] == []

    signs_in(tab, own)
    assert tab.run("location.pathname") == "/admin/second-factor/"
    submit(tab, "[data-security-key]")
    assert tab.run("location.pathname") == "/admin/"
    assert tab.complaints() == []
    after = SecurityKey.objects.get()
    assert after.sign_count > row.sign_count

    # Step-up: the same page of the admin, which is dangerous, after the time has passed.
    tab.go(f"{own}/admin/security/prove/?next=/admin/access/space/")
    submit(tab, "[data-security-key]")
    assert tab.run("location.pathname") == "/admin/access/space/"

    # A copy that has signed more often was here.
    SecurityKey.objects.update(sign_count=1_000_000)
    signs_in(tab, own)
    submit(tab, "[data-security-key]")
    assert "counts backwards" in tab.run("document.body.innerText")
    assert SecurityKey.objects.get().copied_at is not None

    # No key answers: the page says so.
    signs_in(tab, own)
    refuses = "Promise.reject(new DOMException('x', 'NotAllowedError'))"
    SecurityKey.objects.update(copied_at=None)
    tab.go(f"{own}/admin/second-factor/")
    tab.run(f"navigator.credentials.get = () => {refuses}")
    tab.run("document.querySelector('[data-security-key]').requestSubmit()")
    said = "document.querySelector('[data-said]').textContent"
    until(lambda: "Try again" in tab.run(said), seconds=60, what="the page says that no key answered")
