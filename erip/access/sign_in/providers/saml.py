"""SAML 2.0: send a browser to an identity provider, and check the assertion that comes back.

Note [SAML]
The web browser profile (SAML 2.0 Profiles, 4.1): our request by redirect, the response by a form. What counts is the
element that `signxml` has verified, as it was signed, and nothing else of the document: whoever wraps a signed
assertion into another one, or puts one beside it, has shown us the signed one. Signatures are by one of the provider's
certificates that the setting names, never by one that the document brings, with SHA-2. The assertion must be of that
provider, for this platform (audience), for this address (recipient), in its time, and the answer to the question that
this browser was sent with (`InResponseTo`); each counts once. Responses that nobody asked for, encrypted assertions and
document types are refused. Comments are dropped before anything is read, as a signature does not cover them.

A question is good for ten minutes, and an assertion for one question: so it is remembered for longer than that,
whatever end it names itself.
"""

import base64
import binascii
import re
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode
from xml.sax.saxutils import escape, quoteattr

import structlog

from .. import once
from .asking import SECONDS, Asked
from .configured import SamlProvider
from .shown import Away, Refused, Shown, text

if TYPE_CHECKING:
    # At run time it is loaded where a response comes: most processes never see one.
    from lxml.etree import _Element

log = structlog.get_logger(__name__)

#: bytes of a response, and characters of it as it is sent
LONGEST: Final = 131_072
LONGEST_SENT: Final = LONGEST * 3 // 2
_P, _A, _D = (
    "{urn:oasis:names:tc:SAML:2.0:protocol}",
    "{urn:oasis:names:tc:SAML:2.0:assertion}",
    "{http://www.w3.org/2000/09/xmldsig#}",
)
_SUCCESS: Final = "urn:oasis:names:tc:SAML:2.0:status:Success"
_BEARER: Final = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
_TRANSIENT: Final = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
_POST: Final = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
#: of signatures and digests
_KINDS, _SIZES = ("RSA", "ECDSA"), (256, 384, 512)
_UNDERSTOOD: Final = {f"{_A}{name}" for name in ("AudienceRestriction", "OneTimeUse", "ProxyRestriction")}
_MOMENT: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,9})?Z", re.ASCII)
_CERTIFICATE: Final = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def address(provider: SamlProvider, asked: Asked, return_to: str, us: str) -> str:
    """Where the browser is sent, with a request of ours. us: the platform's entity id."""
    force = ' ForceAuthn="true"' if asked.purpose == "prove" else ""
    at = datetime.fromtimestamp(asked.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    request = (
        '<samlp:AuthnRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol"'
        ' xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"'
        f' ID={quoteattr(asked.state)} Version="2.0" IssueInstant={quoteattr(at)}'
        f" Destination={quoteattr(provider.sign_on)} AssertionConsumerServiceURL={quoteattr(return_to)}"
        f" ProtocolBinding={quoteattr(_POST)}{force}><saml:Issuer>{escape(us)}</saml:Issuer></samlp:AuthnRequest>"
    )
    deflated = zlib.compress(request.encode())[2:-4]
    wanted = {"SAMLRequest": base64.b64encode(deflated).decode(), "RelayState": asked.state}
    return f"{provider.sign_on}{'&' if '?' in provider.sign_on else '?'}{urlencode(wanted)}"


def metadata(return_to: str, us: str) -> str:
    """What the provider wants to know of the platform (SAML 2.0 Metadata)."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID={quoteattr(us)}>'
        '<md:SPSSODescriptor AuthnRequestsSigned="false" WantAssertionsSigned="true"'
        ' protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">'
        f'<md:AssertionConsumerService index="0" isDefault="true" Binding={quoteattr(_POST)}'
        f" Location={quoteattr(return_to)}/></md:SPSSODescriptor></md:EntityDescriptor>\n"
    )


def answer(provider: SamlProvider, asked: Asked, sent: str, return_to: str, us: str, now: datetime) -> Shown:
    """Who came back. sent: the form's `SAMLResponse`. Raises Refused, Away."""
    root = _parsed(provider, sent)
    status = root.find(f"{_P}Status/{_P}StatusCode")
    if status is None or status.get("Value") != _SUCCESS:
        inner = None if status is None else status.find(f"{_P}StatusCode")
        said = text((status if inner is None else inner).get("Value")) if status is not None else ""
        raise Refused(
            f"{provider.title} did not sign you in: {said.rpartition(':')[2][:100] or 'no status'}.", "status"
        )
    # Of the response itself nothing is believed, unless it is signed; but one for another place or question is refused.
    if root.get("Destination", return_to) != return_to or root.get("InResponseTo", asked.state) != asked.state:
        raise _unproved(provider, "destination, or in response to")
    assertion = _signed(provider, root)
    leeway = timedelta(seconds=provider.leeway_seconds)
    _conditions(provider, assertion, us, now, leeway)
    _confirmed(provider, assertion, asked, return_to, now, leeway)
    shown = _shown(provider, assertion, now, leeway)
    number = assertion.get("ID") or ""
    if not number or not once.first_time(f"assertion of {provider.issuer}", number, seconds=2 * SECONDS):
        raise _unproved(provider, "assertion used before")
    return shown


# --- what is signed ---


def _parsed(provider: SamlProvider, sent: str) -> "_Element":
    from lxml import etree

    if len(sent) > LONGEST_SENT:
        raise _unproved(provider, "size")
    try:
        plain = base64.b64decode("".join(sent.split()), validate=True)
    except (ValueError, binascii.Error) as error:
        raise _unproved(provider, "base64") from error
    if not plain or len(plain) > LONGEST:
        raise _unproved(provider, "size")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(plain, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise _unproved(provider, "XML") from error
    if root.getroottree().docinfo.doctype or root.tag != f"{_P}Response":
        raise _unproved(provider, "document type" if root.getroottree().docinfo.doctype else "no response")
    if root.find(f".//{_A}EncryptedAssertion") is not None:
        raise Refused(f"{provider.title} encrypts what it says, which is not supported here.", "encrypted")
    return root


def _signed(provider: SamlProvider, root: "_Element") -> "_Element":
    """The assertion, as it was signed. Raises Refused, Away."""
    signatures = root.findall(f".//{_D}Signature")
    assertions = root.findall(f".//{_A}Assertion")
    direct = root.findall(f"{_A}Assertion")
    # Real responses have one assertion, and one signature of each kind; the rest is for those who try their luck.
    if len(assertions) != 1 or len(direct) != 1 or not 1 <= len(signatures) <= 2:
        raise _unproved(provider, f"{len(assertions)} assertions, {len(signatures)} signatures")
    of_assertion = direct[0].findall(f"{_D}Signature")
    of_response = root.findall(f"{_D}Signature")
    if len(of_assertion) + len(of_response) != len(signatures) or len(of_assertion) > 1 or len(of_response) > 1:
        raise _unproved(provider, "a signature elsewhere")
    if of_assertion:
        return _verified(provider, root, f"./{_A}Assertion/", f"{_A}Assertion")
    whole = _verified(provider, root, "./", f"{_P}Response")
    inside = whole.findall(f"{_A}Assertion")
    if len(inside) != 1:
        raise _unproved(provider, "no assertion is signed")
    return inside[0]


def _verified(provider: SamlProvider, root: "_Element", location: str, tag: str) -> "_Element":
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from lxml.etree import LxmlError
    from signxml.algorithms import DigestAlgorithm, SignatureMethod
    from signxml.exceptions import SignXMLException
    from signxml.verifier import SignatureConfiguration, XMLVerifier

    expected = SignatureConfiguration(
        location=location,
        expect_references=1,
        signature_methods=frozenset(
            one for one in SignatureMethod if one.name in {f"{kind}_SHA{size}" for kind in _KINDS for size in _SIZES}
        ),
        digest_algorithms=frozenset(one for one in DigestAlgorithm if one.name in {f"SHA{size}" for size in _SIZES}),
    )
    why = ""
    for certificate in _certificates(provider):
        try:
            found: Any = XMLVerifier().verify(root, x509_cert=certificate, id_attribute="ID", expect_config=expected)
        except (
            SignXMLException, InvalidSignature, UnsupportedAlgorithm, LxmlError, ValueError, TypeError, KeyError,
            AttributeError, IndexError, AssertionError, OverflowError, RecursionError, NotImplementedError,
        ) as error:  # fmt: skip
            why = f"{type(error).__name__}: {error}"[:150]
            continue
        element: _Element | None = found.signed_xml
        if element is None or element.tag != tag:
            raise _unproved(provider, "something else is signed")
        return element
    raise _unproved(provider, why)


def _certificates(provider: SamlProvider) -> list[str]:
    """Those by which the provider signs, now and next. Raises Away."""
    try:
        found = _CERTIFICATE.findall(provider.certificates())
    except (OSError, ValueError) as error:
        found, why = [], type(error).__name__
    else:
        why = "no certificate"
    if not found:
        log.error("provider_certificates_not_read", provider=provider.name, error=why)
        raise Away
    return [str(one) for one in found[:10]]


# --- what it says ---


def _conditions(provider: SamlProvider, assertion: "_Element", us: str, now: datetime, leeway: timedelta) -> None:
    """Raises Refused if it is of another provider, for another platform, or out of its time."""
    if assertion.get("Version") != "2.0" or _text(assertion.find(f"{_A}Issuer")) != provider.issuer:
        raise _unproved(provider, "issuer")
    conditions = assertion.findall(f"{_A}Conditions")
    if len(conditions) != 1:
        raise _unproved(provider, "conditions")
    _need_in_time(provider, conditions[0], now, leeway)
    # One that is not understood leaves open whether the assertion counts (SAML 2.0 Core, 2.5.1.1).
    if any(one.tag not in _UNDERSTOOD for one in conditions[0]):
        raise _unproved(provider, "another condition")
    restrictions = conditions[0].findall(f"{_A}AudienceRestriction")
    for_us = [us in {_text(one) for one in each.findall(f"{_A}Audience")} for each in restrictions]
    if not for_us or not all(for_us):
        raise _unproved(provider, "audience")


def _confirmed(
    provider: SamlProvider, assertion: "_Element", asked: Asked, return_to: str, now: datetime, leeway: timedelta
) -> None:
    """Raises Refused if whoever bears it here and now may not be taken for its subject."""
    why = "no bearer"
    for one in assertion.findall(f"{_A}Subject/{_A}SubjectConfirmation"):
        data = one.find(f"{_A}SubjectConfirmationData")
        if one.get("Method") != _BEARER or data is None:
            continue
        if data.get("Recipient") != return_to:
            why = "recipient"
        elif data.get("InResponseTo") != asked.state:
            why = "in response to"
        elif data.get("NotOnOrAfter") is None or data.get("NotBefore") is not None:
            why = "no end of the confirmation"
        else:
            _need_in_time(provider, data, now, leeway)
            return
    raise _unproved(provider, why)


def _shown(provider: SamlProvider, assertion: "_Element", now: datetime, leeway: timedelta) -> Shown:
    attributes: dict[str, list[str]] = {}
    for each in assertion.findall(f"{_A}AttributeStatement/{_A}Attribute"):
        values = [_text(one) for one in each.findall(f"{_A}AttributeValue")]
        attributes.setdefault(each.get("Name", ""), []).extend(values)
    name_id = assertion.find(f"{_A}Subject/{_A}NameID")
    if provider.subject:
        subject = _one(attributes, provider.subject)
    elif name_id is not None and name_id.get("Format") == _TRANSIENT:
        raise Refused(f"{provider.title} names you anew each time: set `subject` to an attribute.", "transient")
    else:
        subject = _text(name_id)
    if not 0 < len(subject) <= 255:
        raise Refused(f"{provider.title} did not say who you are.", "subject")
    statements = assertion.findall(f"{_A}AuthnStatement")
    if not statements:
        raise _unproved(provider, "no statement of authentication")
    end = _moment(provider, statements[0].get("SessionNotOnOrAfter"))
    if end is not None and end <= now - leeway:
        raise _unproved(provider, "the session there is over")
    at = _moment(provider, statements[0].get("AuthnInstant"))
    classes = frozenset(_text(one) for one in statements[0].findall(f"{_A}AuthnContext/{_A}AuthnContextClassRef"))
    # Entra ID, beyond 150 groups: a link in their place.
    cannot_name_all = provider.groups not in attributes and any(name.endswith("/groups.link") for name in attributes)
    return Shown(
        provider.issuer,
        subject,
        username=_one(attributes, provider.username) if provider.username else subject,
        email=_one(attributes, provider.email),
        name=_one(attributes, provider.full_name),
        groups=None if cannot_name_all else frozenset(one for one in attributes.get(provider.groups, ()) if one),
        second_factor=provider.second_factor.is_shown(acr=classes),
        session=text(statements[0].get("SessionIndex")),
        at=None if at is None else at.timestamp(),
    )


def _need_in_time(provider: SamlProvider, element: "_Element", now: datetime, leeway: timedelta) -> None:
    """Raises Refused if now is not within the time that it names."""
    begins, ends = (_moment(provider, element.get(name)) for name in ("NotBefore", "NotOnOrAfter"))
    if (begins is not None and now + leeway < begins) or (ends is not None and now - leeway >= ends):
        raise _unproved(provider, "not in its time")


def _moment(provider: SamlProvider, given: str | None) -> datetime | None:
    """Raises Refused if it is no moment of SAML's (2.0 Core, 1.3.3: in UTC)."""
    if given is None:
        return None
    found = _MOMENT.fullmatch(given)
    try:
        if found is None:
            raise ValueError(given)
        return datetime.fromisoformat(f"{found[1]}{(found[2] or '')[:7]}+00:00")
    except ValueError as error:
        raise _unproved(provider, "moment") from error


def _text(element: Any) -> str:
    return "" if element is None else text("".join(element.itertext()).strip())


def _one(attributes: Mapping[str, list[str]], name: str) -> str:
    return next((one for one in attributes.get(name, ()) if one), "")


def _unproved(provider: SamlProvider, detail: str) -> Refused:
    return Refused(f"What {provider.title} sent does not prove who you are. Please begin again.", detail)
