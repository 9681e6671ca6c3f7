"""Sign-in at a provider that speaks SAML: assertions that are signed as a provider signs them, and those that somebody
has wrapped, changed, kept or addressed to another."""

import base64
import copy
import html
import json
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from django.contrib.auth.models import User
from django.test import Client
from lxml import etree
from signxml import XMLSigner, methods
from signxml.algorithms import DigestAlgorithm, SignatureMethod

from erip.access.models import Grant, Identity, ScimUser, SignedIn
from erip.access.sign_in import factors
from erip.access.sign_in.providers import asking
from erip.access.sign_in.providers.configured import BadProviders, configured
from erip.audit import refusals
from erip.audit.models import Entry
from erip.ops.stack.state import ROOT
from tests.integration.test_sign_in import PASSWORD, PROVE, SECOND, browser, code, let_in

pytestmark = pytest.mark.django_db
HOME = "https://erip.example.com"
GO, BACK = "/admin/sign-in/corp/", "/admin/sign-in/corp/answered"
US = f"{HOME}/admin/sign-in/corp/metadata"
IDP = "https://idp.example.com/saml"
A = "urn:oasis:names:tc:SAML:2.0:assertion"
P = "urn:oasis:names:tc:SAML:2.0:protocol"
Node = Any


class Signer:
    """A key with its certificate."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(65537, 2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "idp")])
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(name, name, self.key.public_key(), x509.random_serial_number())
        made = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=30))
        self.certificate = made.sign(self.key, SHA256()).public_bytes(Encoding.PEM).decode()

    def sign(self, element: Node, **how: Any) -> Node:
        how = {"signature_algorithm": SignatureMethod.RSA_SHA256, "digest_algorithm": DigestAlgorithm.SHA256, **how}
        signer = XMLSigner(method=methods.enveloped, c14n_algorithm="http://www.w3.org/2001/10/xml-exc-c14n#", **how)
        return signer.sign(
            element, key=self.key, cert=self.certificate, reference_uri=f"#{element.get('ID')}", id_attribute="ID"
        )


IDP_KEY, ANOTHER = Signer(), Signer()


@dataclass
class Said:
    """What an assertion says. request: the id of the question; None: it answers none."""

    request: str | None
    subject: str = "00u1"
    issuer: str = IDP
    audience: str | None = US
    recipient: str = f"{HOME}{BACK}"
    begins: timedelta = timedelta(minutes=-1)
    ends: timedelta = timedelta(minutes=5)
    format: str = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
    context: str = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"
    attributes: dict[str, list[str]] = field(default_factory=lambda: {"uid": ["ada"], "email": ["ada@example.org"]})
    at: timedelta = timedelta()
    id: str = "_a1"

    def assertion(self) -> Node:
        def when(by: timedelta) -> str:
            return (datetime.now(UTC) + by).strftime("%Y-%m-%dT%H:%M:%S.123Z")

        asked = "" if self.request is None else f'InResponseTo="{self.request}"'
        audience = (
            ""
            if self.audience is None
            else f"<AudienceRestriction><Audience>{self.audience}</Audience></AudienceRestriction>"
        )
        attributes = ""
        for name, values in self.attributes.items():
            inside = "".join(f"<AttributeValue>{html.escape(one)}</AttributeValue>" for one in values)
            attributes += f'<Attribute Name="{name}">{inside}</Attribute>'
        now = when(timedelta())
        return etree.fromstring(f"""<Assertion xmlns="{A}" ID="{self.id}" Version="2.0" IssueInstant="{now}">
            <Issuer>{self.issuer}</Issuer>
            <Subject><NameID Format="{self.format}">{self.subject}</NameID>
              <SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">
                <SubjectConfirmationData NotOnOrAfter="{when(self.ends)}" Recipient="{self.recipient}" {asked}/>
              </SubjectConfirmation></Subject>
            <Conditions NotBefore="{when(self.begins)}" NotOnOrAfter="{when(self.ends)}">{audience}</Conditions>
            <AuthnStatement AuthnInstant="{when(self.at)}" SessionIndex="s1"><AuthnContext>
              <AuthnContextClassRef>{self.context}</AuthnContextClassRef></AuthnContext></AuthnStatement>
            <AttributeStatement>{attributes}</AttributeStatement></Assertion>""")


def response(*inside: Node, status: str = "Success") -> Node:
    root = etree.fromstring(f"""<p:Response xmlns:p="{P}" ID="_r1" Version="2.0">
        <Issuer xmlns="{A}">{IDP}</Issuer>
        <p:Status><p:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:{status}"/></p:Status></p:Response>""")
    root.extend(inside)
    return root


def encoded(root: Node | bytes) -> str:
    return base64.b64encode(root if isinstance(root, bytes) else etree.tostring(root)).decode()


@pytest.fixture(autouse=True)
def provider(settings: Any, tmp_path: Path) -> Path:
    path = tmp_path / "idp.pem"
    path.write_text(IDP_KEY.certificate)
    settings.ERIP_PUBLIC_URL = HOME
    settings.ERIP_SIGN_IN_PROVIDERS = setting(path)
    return path


def setting(path: Path, **more: Any) -> str:
    one = {
        "name": "corp", "title": "Corp", "protocol": "saml", "entity_id": IDP, "sign_on": "https://idp.example.com/sso",
        "certificates_file": str(path), "username": "uid", "create": True,
        "roles": [{"group": "risk-ops", "role": "operator"}],
    }  # fmt: skip
    return json.dumps([{**one, **more}])


def asks(client: Client, start: str = GO) -> str:
    """Go to the provider. Returns the id of the question."""
    begun = client.get(start)
    assert begun.status_code == 302, begun.content.decode()[:500]
    query = parse_qs(urlsplit(begun.headers["Location"]).query)
    request = etree.fromstring(zlib.decompress(base64.b64decode(query["SAMLRequest"][0]), -15))
    assert (request.get("Destination"), request.get("AssertionConsumerServiceURL")) == (
        "https://idp.example.com/sso", f"{HOME}{BACK}",
    )  # fmt: skip
    return str(request.get("ID"))


def signed(said: Said, signer: Signer = IDP_KEY, **how: Any) -> Node:
    return response(signer.sign(said.assertion(), **how))


def posts(client: Client, root: Node | bytes) -> Any:
    """The browser comes back: from the provider's page without our cookies, and from our own page with them."""
    sent = encoded(root)
    cookies = client.cookies.copy()
    client.cookies.clear()
    first = client.post(BACK, {"SAMLResponse": sent, "RelayState": "x"})
    client.cookies = cookies
    assert first.status_code == 200
    page = first.content.decode()
    assert "data-go-on" in page
    again = html.unescape(re.search(r'name="SAMLResponse" value="([^"]*)"', page)[1])
    return client.post(BACK, {"SAMLResponse": again, "again": "1"})


def grants() -> set[tuple[str, str]]:
    return set(Grant.objects.values_list("role", "granted_by"))


def test_somebody_new_comes_in_with_the_roles_of_their_groups() -> None:
    client = browser()
    said = Said(asks(client, f"{GO}?next=/admin/access/space/"))
    said.attributes["groups"] = ["risk-ops", "other"]
    answer = posts(client, signed(said))
    assert (answer.status_code, answer.headers["Location"]) == (302, "/admin/access/space/")
    user = User.objects.get()
    assert (user.get_username(), user.email, user.is_superuser) == ("ada", "ada@example.org", False)
    assert grants() == {("operator", "provider:corp")}
    assert let_in(client) == [200] * 4
    row = SignedIn.objects.get()
    assert (row.provider, row.provider_session) == ("corp", "s1")
    refusals.flush()
    entries = [orjson.loads(body) for body in Entry.objects.values_list("body", flat=True)]
    assert ("sign-in: provider", "user:ada") in {(one["action"], one.get("principal")) for one in entries}
    # Again without the group: the same account, without the role.
    client = browser()
    assert posts(client, signed(Said(asks(client), id="_a2"))).status_code == 302
    assert (User.objects.count(), grants()) == (1, set())


def test_a_response_that_is_signed_as_a_whole_is_good_too() -> None:
    client = browser()
    root = response(Said(asks(client)).assertion())
    assert posts(client, IDP_KEY.sign(root)).status_code == 302
    client = browser()
    both = IDP_KEY.sign(signed(Said(asks(client), id="_a2")))
    assert posts(client, both).status_code == 302


def test_a_certificate_is_exchanged_with_both_in_the_file(provider: Path) -> None:
    provider.write_text(ANOTHER.certificate + IDP_KEY.certificate)
    client = browser()
    assert posts(client, signed(Said(asks(client)))).status_code == 302
    provider.write_text(ANOTHER.certificate)
    client = browser()
    assert posts(client, signed(Said(asks(client), id="_a2"))).status_code == 403
    for nothing in ("", "x"):
        provider.write_text(nothing)
        client = browser()
        assert posts(client, signed(Said(asks(client), id="_a3"))).status_code == 503


#: what an assertion says, and why it is refused then
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "another issuer": ({"issuer": "https://evil.example"}, "issuer"),
    "another audience": ({"audience": "https://other.example"}, "audience"),
    "no audience": ({"audience": None}, "audience"),
    "another recipient": ({"recipient": "https://other.example/acs"}, "recipient"),
    "an answer to another question": ({"request": "_other"}, "in response to"),
    "an answer that nobody asked for": ({"request": None}, "in response to"),
    "over": ({"ends": timedelta(minutes=-2)}, "not in its time"),
    "not begun": ({"begins": timedelta(minutes=5)}, "not in its time"),
    "a name that is new each time": ({"format": "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"}, "transient"),
    "nobody": ({"subject": ""}, "subject"),
    "a long name": ({"subject": "x" * 300}, "subject"),
}


def test_what_is_signed_for_something_else_opens_nothing(caplog: Any) -> None:
    client, why = browser(), {}
    for number, (name, (wrong, _)) in enumerate(WRONG.items()):
        said = Said(**{"request": asks(client), "id": f"_w{number}", **wrong})
        caplog.clear()
        assert posts(client, signed(said)).status_code == 403, name
        (why[name],) = [one.msg["why"] for one in caplog.records if "sign_in_refused" in str(one.msg)]
    assert why == {name: expected for name, (_, expected) in WRONG.items()}
    assert let_in(client) == [302, 401, 302, 302]
    assert not User.objects.exists()
    refusals.flush()
    entries = [orjson.loads(body) for body in Entry.objects.values_list("body", flat=True)]
    assert ("sign-in: provider", "refused") in {(one["action"], one.get("outcome")) for one in entries}


def test_a_response_for_another_place_or_question_is_refused() -> None:
    client = browser()
    request = asks(client)
    root = signed(Said(request))
    answers = []
    for destination, question in (
        ("https://other.example/acs", request),
        (f"{HOME}{BACK}", "_other"),
        (f"{HOME}{BACK}", request),
    ):
        root.set("Destination", destination)
        root.set("InResponseTo", question)
        answers.append(posts(client, root).status_code)
    assert answers == [403, 403, 302]


def forged(root: Node, subject: str = "victim") -> Node:
    """A copy of the assertion about somebody else, without a signature."""
    made = copy.deepcopy(root.find(f"{{{A}}}Assertion"))
    made.find(f".//{{{A}}}NameID").text = subject
    for one in made.findall("{http://www.w3.org/2000/09/xmldsig#}Signature"):
        made.remove(one)
    return made


def _beside(root: Node, *, first: bool, number: str) -> Node:
    made = forged(root)
    made.set("ID", number)
    root.insert(0 if first else len(root), made)
    return root


def _around(root: Node) -> Node:
    """The signed assertion within the forged one."""
    made, true = forged(root), root.find(f"{{{A}}}Assertion")
    made.set("ID", "_evil")
    root.replace(true, made)
    made.append(true)
    return root


def _within_signature(root: Node, *, number: str) -> Node:
    """The forged assertion with the true signature, which holds the true assertion as an object."""
    true = root.find(f"{{{A}}}Assertion")
    made = forged(root)
    made.set("ID", number)
    signature = copy.deepcopy(root.find(".//{http://www.w3.org/2000/09/xmldsig#}Signature"))
    etree.SubElement(signature, "{http://www.w3.org/2000/09/xmldsig#}Object").append(copy.deepcopy(true))
    made.append(signature)
    root.replace(true, made)
    return root


def _in_extensions(root: Node) -> Node:
    true = root.find(f"{{{A}}}Assertion")
    made = forged(root)
    made.set("ID", "_evil")
    root.replace(true, made)
    etree.SubElement(root, f"{{{P}}}Extensions").append(true)
    return root


def _wrapped_response(root: Node) -> Node:
    """The whole signed response within another one."""
    outer = response(forged(root))
    outer.set("ID", "_outer")
    outer.append(root)
    return outer


def _changed(root: Node) -> Node:
    root.find(f".//{{{A}}}NameID").text = "victim"
    return root


def _stripped(root: Node) -> Node:
    root.replace(root.find(f"{{{A}}}Assertion"), forged(root))
    return root


def _same_number(root: Node) -> Node:
    root.set("ID", "_a1")  # of the response as of the assertion
    return root


def _renamed(root: Node) -> Node:
    """What is signed is a statement, and no assertion."""
    true = root.find(f"{{{A}}}Assertion")
    true.tag = f"{{{A}}}Advice"
    root.append(forged(response(Said("_x").assertion())))
    return root


WRAPPED: dict[str, Callable[[Node], Node]] = {
    "changed": _changed,
    "stripped": _stripped,
    "forged first": lambda root: _beside(root, first=True, number="_evil"),
    "forged last": lambda root: _beside(root, first=False, number="_evil"),
    "forged first, same id": lambda root: _beside(root, first=True, number="_a1"),
    "forged last, same id": lambda root: _beside(root, first=False, number="_a1"),
    "around": _around,
    "within the signature": lambda root: _within_signature(root, number="_evil"),
    "within the signature, same id": lambda root: _within_signature(root, number="_a1"),
    "in extensions": _in_extensions,
    "a response in a response": _wrapped_response,
    "the response has the id": _same_number,
    "another element": _renamed,
}


@pytest.mark.parametrize("whole", [False, True], ids=["assertion", "response"])
def test_nobody_wraps_what_is_signed_in_something_else(whole: bool) -> None:
    victim = User.objects.create_superuser("victim", password=PASSWORD)
    Identity.objects.create(user=victim, provider="corp", issuer=IDP, subject="victim")
    client = browser()
    said = Said(asks(client))
    root = IDP_KEY.sign(response(said.assertion())) if whole else signed(said)
    plain = etree.tostring(root)
    answers = {name: posts(client, wrap(etree.fromstring(plain))).status_code for name, wrap in WRAPPED.items()}
    assert answers == dict.fromkeys(WRAPPED, 403)
    assert not SignedIn.objects.exists()
    # And what was wrapped was good.
    assert posts(client, plain).status_code == 302
    assert SignedIn.objects.get().user.get_username() == "ada"


def test_signatures_of_others_and_weak_ones_count_for_nothing() -> None:
    client = browser()
    request = asks(client)
    hostile = {
        "another key": signed(Said(request), ANOTHER),
        "none": response(Said(request).assertion()),
    }
    assert {name: posts(client, root).status_code for name, root in hostile.items()} == dict.fromkeys(hostile, 403)
    root = signed(Said(request))
    text = etree.tostring(root).replace(b"2001/04/xmldsig-more#rsa-sha256", b"2000/09/xmldsig#rsa-sha1")
    assert posts(client, text).status_code == 403
    text = etree.tostring(root).replace(b"2001/04/xmldsig-more#rsa-sha256", b"2001/04/xmldsig-more#hmac-sha256")
    assert posts(client, text).status_code == 403
    assert posts(client, root).status_code == 302  # and that was the one that was good


def test_a_comment_does_not_shorten_a_name() -> None:
    victim = User.objects.create_superuser("victim", password=PASSWORD)
    Identity.objects.create(user=victim, provider="corp", issuer=IDP, subject="victim")
    client = browser()
    text = etree.tostring(signed(Said(asks(client), subject="victim.evil")))
    # Canonical XML has no comments, so the signature is good still; and the name is whole.
    assert posts(client, text.replace(b"victim.evil", b"victim<!-- -->.evil")).status_code == 302
    assert SignedIn.objects.get().user != victim
    assert Identity.objects.exclude(user=victim).get().subject == "victim.evil"


def test_an_assertion_counts_once_and_for_the_browser_that_asked() -> None:
    client, other = browser(), browser()
    root = signed(Said(asks(client)))
    asks(other)
    assert posts(other, root).status_code == 403
    cookie = client.cookies[asking.COOKIE].value
    assert posts(client, root).status_code == 302
    again = browser()
    again.cookies[asking.COOKIE] = cookie
    assert posts(again, root).status_code == 403
    assert [one.get("/admin/").status_code for one in (again, other)] == [302, 302]
    # The same for another question, as if it had not been used.
    third = browser()
    assert posts(third, signed(Said(asks(third)))).status_code == 403


BOMB = b"<!DOCTYPE x [" + b"".join(
    b'<!ENTITY e%d "%s">' % (at, b"&e%d;" % (at - 1) * 10 if at else b"x" * 50) for at in range(12)
) + b"]>"  # fmt: skip
DTD = b'<!DOCTYPE x [<!ENTITY a "ada"><!ENTITY b SYSTEM "file:///etc/hostname">]>'
HOSTILE = {
    "no base64": "%%%", "nothing": "", "no XML": encoded(b"<"), "NUL": encoded(b"\0"), "another root": encoded(b"<x/>"),
    "a document type": encoded(DTD + b'<p:Response xmlns:p="' + P.encode() + b'">&a;&b;</p:Response>'),
    "deep": encoded(b"<x>" * 5_000), "empty": encoded(f'<p:Response xmlns:p="{P}"/>'.encode()),
    "entities of entities": encoded(BOMB + b'<p:Response xmlns:p="' + P.encode() + b'">&e11;</p:Response>'),
    "an encoding": encoded('<?xml version="1.0" encoding="utf-16"?><x/>'.encode("utf-7")), "long": "A" * 250_000,
    "wide": encoded(b"<x>" + b"<y/>" * 9_000 + b"</x>"),
}  # fmt: skip


def test_no_bytes_are_an_error_of_ours() -> None:
    client, nobody = browser(), browser()
    asks(client)
    answers = {
        name: client.post(BACK, {"SAMLResponse": sent, "again": "1"}).status_code for name, sent in HOSTILE.items()
    }
    assert answers == dict.fromkeys(HOSTILE, 403)
    for sent in ("", "%%%"):
        assert nobody.post(BACK, {"SAMLResponse": sent, "again": "1"}).status_code == 403  # without a question
    # Much of it is not sent back, nor read to its end.
    assert nobody.post(BACK, {"SAMLResponse": HOSTILE["long"]}).status_code == 403
    assert nobody.post(BACK, {"SAMLResponse": "A" * (3 << 20)}).status_code == 400
    assert nobody.post(BACK, b"--x", content_type="multipart/form-data; boundary=").status_code == 400
    assert [nobody.get(f"/admin/sign-in/corp/{page}").status_code for page in ("answered", "returned")] == [404, 404]


def test_a_provider_that_says_no_or_encrypts_is_understood() -> None:
    client = browser()
    root = response(status="Responder")
    asks(client)
    assert "Responder" in posts(client, root).content.decode()
    asks(client)
    sealed = response()
    etree.SubElement(sealed, f"{{{A}}}EncryptedAssertion")
    assert "encrypts" in posts(client, sealed).content.decode()


def test_markup_in_a_response_is_not_shown_as_such() -> None:
    page = browser().post(BACK, {"SAMLResponse": '"><script>alert(1)</script>'}).content.decode()
    assert "<script>alert" not in page


def test_its_second_factor_counts_where_the_setting_says_so(settings: Any, provider: Path) -> None:
    user = User.objects.create_user("ada", password=PASSWORD, is_staff=True)
    Identity.objects.create(user=user, provider="corp", issuer=IDP, subject="00u1")
    secret = factors.new_secret()
    assert factors.enrol(user, secret, code(secret, -1))
    refeds = "https://refeds.org/profile/mfa"
    client = browser()
    assert posts(client, signed(Said(asks(client), context=refeds))).headers["Location"] == SECOND
    settings.ERIP_SIGN_IN_PROVIDERS = setting(provider, second_factor={"acr": [refeds]})
    client = browser()
    assert posts(client, signed(Said(asks(client), id="_a2", context=refeds))).headers["Location"] == "/admin/"
    # Once more, before what is dangerous: asked anew, and said so.
    start = f"{GO}?{urlencode({'prove': '1', 'next': '/admin/access/space/'})}"
    old = Said(asks(client, start), id="_a3", context=refeds, at=timedelta(minutes=-20))
    assert posts(client, signed(old)).status_code == 403
    new = Said(asks(client, start), id="_a4", context=refeds)
    assert posts(client, signed(new)).headers["Location"] == "/admin/access/space/"
    assert PROVE


def brought(username: str, **more: Any) -> User:
    """Somebody whom SCIM brought."""
    user = User.objects.create_user(username, is_staff=True)
    ScimUser.objects.create(user=user, folded=username.casefold(), **more)
    return user


def test_what_scim_brought_is_opened_where_the_setting_says_so_alone(settings: Any, provider: Path) -> None:
    by_name, by_number, admin = brought("ada"), brought("bob", external_id="00u2"), brought("root")
    User.objects.filter(pk=admin.pk).update(is_superuser=True)
    User.objects.create_user("eva", is_staff=True)
    counter = iter(range(100))

    def comes(subject: str, username: str) -> int:
        client = browser()
        said = Said(asks(client), subject, id=f"_s{next(counter)}", attributes={"uid": [username]})
        answered = posts(client, signed(said))
        return int(answered.status_code)

    assert comes("00u1", "ada") == 403  # it says nothing
    assert not Identity.objects.exists()
    settings.ERIP_SIGN_IN_PROVIDERS = setting(provider, create=False, provisioned="userName")
    assert comes("00u1", "Ada") == 302  # as SCIM: whatever its capitals
    assert Identity.objects.get().user == by_name
    # Somebody else of that name, a superuser, who was made here, who is gone, and nobody at all.
    ScimUser.objects.filter(user=by_number).update(gone_at=datetime.now(UTC))
    assert [comes(f"_{name}", name) for name in ("ada", "root", "eva", "bob", "zoe")] == [403] * 5
    assert comes("00u1", "another name") == 302  # the link counts then
    ScimUser.objects.filter(user=by_number).update(gone_at=None)
    settings.ERIP_SIGN_IN_PROVIDERS = setting(provider, create=False, provisioned="externalId")
    assert [comes("00U2", "x"), comes("_x", "bob"), comes("00u2", "x")] == [403, 403, 302]
    assert Identity.objects.get(subject="00u2").user == by_number
    assert Identity.objects.count() == 2


def test_the_metadata_names_us() -> None:
    answer = browser().get("/admin/sign-in/corp/metadata")
    root = etree.fromstring(answer.content)
    assert (answer.status_code, root.get("entityID")) == (200, US)
    assert f"{HOME}{BACK}" in answer.content.decode()


@pytest.mark.parametrize(
    "more", [{"sign_on": "http://x"}, {"entity_id": ""}, {"certificates_file": ""}, {"secret": "x"}]
)
def test_a_setting_that_cannot_be_used_is_refused(settings: Any, provider: Path, more: dict[str, str]) -> None:
    settings.ERIP_SIGN_IN_PROVIDERS = setting(provider, **more)
    with pytest.raises(BadProviders, match=next(iter(more))):
        configured()


def test_the_example_of_the_page_can_be_used(settings: Any) -> None:
    page = (ROOT / "docs" / "how-to" / "sign-in-with-your-provider.md").read_text("utf-8")
    (block,) = [one.partition("```")[0] for one in page.split("```json\n")[1:] if "saml" in one.partition("```")[0]]
    settings.ERIP_SIGN_IN_PROVIDERS = block
    assert configured()
