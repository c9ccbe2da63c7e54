"""Making the certificates of the local CA. Values in, values out.

The root stands in people's trust stores while its key lies on a machine that serves, so it is
constrained to names and addresses (RFC 5280, 4.2.1.10): who steals the key cannot pose as a bank.
OpenSSL, NSS, Go and Chromium hold imported roots to that. Leaves have no common name: it is not
looked at since RFC 6125, but some check it against the constraints.
"""

import datetime as dt
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CURVE = ec.SECP256R1
ROOT_LIFETIME = dt.timedelta(days=3650)
LEAF_LIFETIME = dt.timedelta(days=397)
"""Beyond 398 days Apple refuses certificates, Chromium those of public CAs."""
BACKDATED = dt.timedelta(hours=1)
"""The clocks of others may be late."""

_LONGEST_COMMON_NAME = 64  # RFC 5280, appendix A.1

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Key = ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class Permitted:
    """What a root may certify: domains with everything beneath them, and networks."""

    domains: frozenset[str]
    networks: frozenset[Network]

    def covers(self, name: str) -> bool:
        """Tell whether a name in its canonical spelling, a wildcard or an address, lies within."""
        address = address_of(name)
        if address is not None:
            return any(address in network for network in self.networks)
        labels = name.removeprefix("*.").split(".")
        return any(".".join(labels[at:]) in self.domains for at in range(len(labels)))

    def widened(self, names: Iterable[str]) -> "Permitted":
        """Return the same with what is needed for `names`, and no more."""
        missing = [name for name in names if not self.covers(name)]
        addresses = {ipaddress.ip_network(name) for name in missing if address_of(name)}
        domains = {name.removeprefix("*.") for name in missing if not address_of(name)}
        return Permitted(self.domains | domains, self.networks | addresses)


LOCAL = Permitted(
    frozenset({"localhost", "internal", "test", "local"}),
    frozenset(
        map(
            ipaddress.ip_network,
            (
                "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16",
                "::1/128", "fc00::/7", "fe80::/10",
            ),
        )
    ),
)  # fmt: skip
"""Names and addresses that mean nothing outside."""


def address_of(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address a name is, or None."""
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def root_subject(machine: str) -> x509.Name:
    """Return what people see in their trust store: which machine's root it is."""
    common_name = f"pyproxy local CA on {machine or 'this machine'}"[:_LONGEST_COMMON_NAME]
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "pyproxy"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def make_root(
    key: Key, subject: x509.Name, permitted: Permitted, now: dt.datetime
) -> x509.Certificate:
    """Return a root certificate for a key, good for ten years."""
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        _builder(subject, subject, key, now, now + ROOT_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.NameConstraints(_subtrees(permitted), None), critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )


def make_leaf(
    key: Key,
    root: x509.Certificate,
    root_key: Key,
    names: tuple[str, ...],
    now: dt.datetime,
) -> x509.Certificate:
    """Return a server's certificate for names that the root permits, good for 397 days at most."""
    subject = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "pyproxy self-signed")])
    end = min(now - BACKDATED + LEAF_LIFETIME, root.not_valid_after_utc)
    serves = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key())
    return (
        _builder(subject, root.subject, key, now, end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(serves, critical=False)
        .add_extension(_alternative_names(names), critical=False)
        .add_extension(identifier, critical=False)
        .add_extension(issuer, critical=False)
        .sign(root_key, hashes.SHA256())
    )


def permitted_by(root: x509.Certificate) -> Permitted | None:
    """Read a root's constraints back; None if it is not one of ours."""
    try:
        found = root.extensions.get_extension_for_class(x509.NameConstraints).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return None
    subtrees = found.permitted_subtrees or []
    return Permitted(
        frozenset(each.value for each in subtrees if isinstance(each, x509.DNSName)),
        frozenset(
            each.value
            for each in subtrees
            if isinstance(each, x509.IPAddress)
            and isinstance(each.value, ipaddress.IPv4Network | ipaddress.IPv6Network)
        ),
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: Key, now: dt.datetime, end: dt.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(end)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _subtrees(permitted: Permitted) -> list[x509.GeneralName]:
    domains: list[x509.GeneralName] = [x509.DNSName(name) for name in sorted(permitted.domains)]
    return domains + [x509.IPAddress(each) for each in sorted(permitted.networks, key=str)]


def _alternative_names(names: tuple[str, ...]) -> x509.SubjectAlternativeName:
    found: list[x509.GeneralName] = []
    for name in names:
        address = address_of(name)
        found.append(x509.DNSName(name) if address is None else x509.IPAddress(address))
    return x509.SubjectAlternativeName(found)
