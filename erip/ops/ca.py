"""A small certificate authority for the servers around ERIP: what it has signed decides who may speak to whom.

    authority = Authority(Path("/etc/erip/ca/etcd"), "etcd clients")
    issued = authority.issue(Path("/etc/erip/tls"), Leaf("etcd", "etcd-1", addresses=("10.0.0.11",), server=True))

One authority for each circle of servers that may speak with each other: a certificate signed by it admits its holder.
The authority's key stays in `<folder>/ca.key` with mode 0600 and never leaves that folder; the servers get `ca.crt`.

A leaf names its holder by a URI, `spiffe://<domain>/<kind>/<name>` (SPIFFE ID, section 2), and lists the names and
addresses under which others reach the holder. It is valid for `LEAF_DAYS` days; `issue` makes a new one when half of
that time is left, or when anything in it has changed. Keys are ECDSA on P-256: a handshake costs less than with RSA,
and every server here accepts them. Certificates follow RFC 5280.
"""

import ipaddress
import os
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

#: `issue` renews at half of it, PULSE warns at 14 days: that leaves a week for whoever renews once a week
LEAF_DAYS: Final = 45
CA_DAYS: Final = 3650
#: clocks differ, so a certificate is valid from a little before it was made
_EARLIER: Final = timedelta(minutes=10)


class AuthorityError(Exception):
    """A file in the authority's folder is missing or wrong; the message names the file."""


@dataclass(frozen=True)
class Leaf:
    """The holder of a certificate. `addresses` are the IP addresses or DNS names under which others reach it."""

    kind: str
    name: str
    addresses: tuple[str, ...] = ()
    #: whether the holder may act as a server, and whether it may act as a client
    server: bool = False
    client: bool = False


@dataclass(frozen=True)
class Issued:
    """The files of one certificate. `bundle` holds the certificate with its key: they are always read together."""

    bundle: Path
    ca: Path
    #: whether they were just made: a server that has read the older files must read these
    fresh: bool


class Authority:
    """Makes its own key and certificate at the first use."""

    def __init__(self, folder: Path, title: str, *, domain: str = "erip.internal") -> None:
        self._folder, self._title, self._domain = folder, title, domain
        #: leaves from before this moment are due, however long they would last
        self.since: datetime | None = None
        self.certificate_file = folder / "ca.crt"
        self._key_file = folder / "ca.key"

    def prepare(self) -> None:
        """Raises AuthorityError when one of its two files is there without the other."""
        there = [path.exists() for path in (self.certificate_file, self._key_file)]
        if all(there):
            return
        if any(there):
            missing = self._key_file if there[0] else self.certificate_file
            raise AuthorityError(
                f"{missing} is missing: put it back, or remove the folder to begin with a new authority"
            )
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"ERIP {self._title}")])
        now = datetime.now(UTC)
        usage = _usage(sign_certificates=True)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _EARLIER)
            .not_valid_after(now + timedelta(days=CA_DAYS))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        _write(self._key_file, _key_pem(key), 0o600)
        _write(self.certificate_file, certificate.public_bytes(serialization.Encoding.PEM), 0o644)

    def issue(self, folder: Path, leaf: Leaf, *, now: datetime | None = None) -> Issued:
        """The certificate of `leaf` in `folder`: the one that is there, or a new one when it is due.

        Writes `<name>.pem` (certificate and key, mode 0600) and `ca.crt`. Raises AuthorityError, OSError.
        """
        self.prepare()
        moment = now or datetime.now(UTC)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        bundle, ca = folder / f"{leaf.name}.pem", folder / "ca.crt"
        if self._stands(bundle, ca, leaf, moment):
            return Issued(bundle, ca, fresh=False)
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(leaf, key, moment).public_bytes(serialization.Encoding.PEM)
        _write(ca, self.certificate_file.read_bytes(), 0o644)
        _write(bundle, certificate + _key_pem(key), 0o600)
        return Issued(bundle, ca, fresh=True)

    def _stands(self, bundle: Path, ca: Path, leaf: Leaf, now: datetime) -> bool:
        """Whether the existing leaf says the same, was signed here, and has more than half of its life left."""
        try:
            content, own = bundle.read_bytes(), self.certificate_file.read_bytes()
            found = x509.load_pem_x509_certificate(content)
            key = serialization.load_pem_private_key(content, None)
            found.verify_directly_issued_by(x509.load_pem_x509_certificate(own))
            same_ca = ca.read_bytes() == own
        except (OSError, ValueError, TypeError, InvalidSignature):  # whatever is wrong with it, a new one replaces it
            return False
        return (
            same_ca
            and found.not_valid_after_utc - now > timedelta(days=LEAF_DAYS) / 2
            and (self.since is None or found.not_valid_before_utc >= self.since - _EARLIER)
            and found.public_key() == key.public_key()
            and all(_extension(found, one) == one for one in self._extensions(leaf))
        )

    def _sign(self, leaf: Leaf, key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
        ca = x509.load_pem_x509_certificate(self.certificate_file.read_bytes())
        signing = serialization.load_pem_private_key(self._key_file.read_bytes(), None)
        if not isinstance(signing, ec.EllipticCurvePrivateKey):
            raise AuthorityError(f"{self._key_file} is no elliptic curve key")
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, leaf.name)]))
            .issuer_name(ca.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _EARLIER)
            .not_valid_after(min(now + timedelta(days=LEAF_DAYS), ca.not_valid_after_utc))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(sign_certificates=False), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), critical=False)
        )
        for extension in self._extensions(leaf):
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(signing, hashes.SHA256())

    def _extensions(self, leaf: Leaf) -> tuple[x509.SubjectAlternativeName, x509.ExtendedKeyUsage]:
        names: list[x509.GeneralName] = [
            x509.UniformResourceIdentifier(f"spiffe://{self._domain}/{leaf.kind}/{leaf.name}")
        ]
        names += [_general_name(address) for address in leaf.addresses]
        purposes = [
            purpose
            for wanted, purpose in (
                (leaf.server, ExtendedKeyUsageOID.SERVER_AUTH),
                (leaf.client, ExtendedKeyUsageOID.CLIENT_AUTH),
            )
            if wanted
        ]
        return x509.SubjectAlternativeName(names), x509.ExtendedKeyUsage(purposes)


def _extension(certificate: x509.Certificate, like: x509.ExtensionType) -> x509.ExtensionType | None:
    try:
        return certificate.extensions.get_extension_for_class(type(like)).value
    except x509.ExtensionNotFound:
        return None


def _general_name(address: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(address))
    except ValueError:
        return x509.DNSName(address)


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, content: bytes, mode: int) -> None:
    """Replace `path` as a whole; it never exists with a wider mode."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(handle, mode)
            file.write(content)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
