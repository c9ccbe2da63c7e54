"""A certificate chain and its private key, read from PEM files and checked before use."""

import datetime as dt
import grp
import itertools
import os
import pwd
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from proxy.certificates.names import canonical_name
from proxy.certificates.reading import ServerKey, belongs, issued_by, names_of

MAX_FILE = 1 << 20
"""A chain has 5 KB; this only keeps a wrong path from filling the memory."""

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.+?-----END \1-----", re.DOTALL)
_MIN_RSA = 2048
_CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}


class CertificateError(Exception):
    """A certificate or key cannot be used. The text names the file and the reason, never a key."""


@dataclass(frozen=True, slots=True)
class CertificatePair:
    """A chain and the key of its first certificate.

    Attributes:
        chain_pem: The certificates in the file's order, nothing else.
        key_pem: The key without passphrase (PKCS #8).
        names: What the first certificate is for: DNS names, wildcards, addresses.
        not_before, not_after: When it is valid, aware, in UTC.
        key_type: For people: "EC P-256", "RSA 2048".
        chain_length: How many certificates there are.
        warnings: What is wrong and yet no reason not to serve.
    """

    chain_pem: bytes
    key_pem: bytes = field(repr=False)
    names: tuple[str, ...]
    not_before: dt.datetime
    not_after: dt.datetime
    key_type: str
    chain_length: int
    warnings: tuple[str, ...] = ()

    def troubles(self, hosts: Iterable[str], now: dt.datetime) -> list[str]:
        """Return what speaks against serving these hosts with it now: clients will complain."""
        found = []
        if now > self.not_after:
            found.append(f"expired on {_day(self.not_after)}")
        if now < self.not_before:
            found.append(f"not valid before {_day(self.not_before)}")
        missing = [host for host in hosts if not _covers(self.names, canonical_name(host))]
        if missing:
            own = ", ".join(self.names) or "no name at all"
            found.append(f"is for {own}, not for {', '.join(missing)}")
        return found


def load_pair(cert_path: Path, key_path: Path, passphrase: bytes | None = None) -> CertificatePair:
    """Read and check a chain and its key; one file may hold both.

    Args:
        cert_path: The server's own certificate first, then its issuers.
        key_path: The private key.
        passphrase: For an encrypted key.

    Raises:
        CertificateError: A file cannot be read or is not what it should be, or the key is not
            the certificate's.
    """
    chain_bytes, _ = read_pem(cert_path)
    chain = _chain(cert_path, chain_bytes)
    key_bytes, mode = read_pem(key_path)
    key = _key(key_path, key_bytes, passphrase)
    _match(cert_path, chain, key_path, key)
    leaf = chain[0]
    return CertificatePair(
        chain_pem=b"".join(each.public_bytes(Encoding.PEM) for each in chain),
        key_pem=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        names=names_of(leaf),
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
        key_type=_key_type(key),
        chain_length=len(chain),
        warnings=(
            *_about_file(key_path, mode),
            *_about_key(key_path, key),
            *_about_chain(cert_path, chain),
        ),
    )


def read_pem(path: Path) -> tuple[bytes, int]:
    """Return a PEM file's content, which is not looked at, and its mode.

    Raises:
        CertificateError: It cannot be read, or is too large.
    """
    try:
        with open(path, "rb", opener=_open) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise CertificateError(f"{path}: not a file")
            data = file.read(MAX_FILE + 1)
    except PermissionError:
        raise CertificateError(f"{path}: {_unreadable(path)}") from None
    except OSError as error:
        raise CertificateError(f"{path}: {error.strerror}") from None
    if len(data) > MAX_FILE:
        raise CertificateError(f"{path}: more than {MAX_FILE} bytes, so no certificate or key")
    return data, stat.S_IMODE(found.st_mode)


def _open(path: str, flags: int) -> int:
    """Open without waiting: a named pipe must not stop the start."""
    return os.open(path, flags | os.O_NONBLOCK)


def _unreadable(path: Path) -> str:
    """Say who may not read a file, and whose it is."""
    whoami = _named(os.geteuid())
    try:
        found = path.stat()
    except OSError:
        return f"not readable by {whoami}, nor is its folder"
    mode = stat.S_IMODE(found.st_mode)
    owner = _named(found.st_uid)
    return (
        f"not readable by {whoami}: it belongs to {owner}:{_group(found.st_gid)}, mode {mode:04o}"
    )


def _named(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"


def _group(group: int) -> str:
    try:
        return grp.getgrgid(group).gr_name
    except KeyError:
        return str(group)


def _chain(path: Path, data: bytes) -> list[x509.Certificate]:
    blocks = [found[0] for found in _BLOCK.finditer(data) if found[1] == b"CERTIFICATE"]
    if not blocks:
        raise CertificateError(f"{path}: no certificate in PEM (-----BEGIN CERTIFICATE-----)")
    chain = []
    for number, block in enumerate(blocks, 1):
        try:
            chain.append(x509.load_pem_x509_certificate(block))
        except ValueError:
            raise CertificateError(f"{path}: certificate {number} is damaged") from None
    return chain


def _key(path: Path, data: bytes, passphrase: bytes | None) -> ServerKey:
    blocks = [found for found in _BLOCK.finditer(data) if found[1].endswith(b"PRIVATE KEY")]
    if not blocks:
        raise CertificateError(f"{path}: no private key in PEM (-----BEGIN PRIVATE KEY-----)")
    block = blocks[0][0]
    encrypted = b"ENCRYPTED" in block
    if encrypted and passphrase is None:
        raise CertificateError(f"{path}: the key is encrypted and no passphrase is given")
    try:
        key = load_pem_private_key(block, passphrase if encrypted else None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        reason = "wrong passphrase, or the key is damaged" if encrypted else "the key is damaged"
        raise CertificateError(f"{path}: {reason}") from None
    if not isinstance(key, ServerKey):
        raise CertificateError(f"{path}: a {type(key).__name__} is no key for TLS")
    return key


def _match(cert_path: Path, chain: list[x509.Certificate], key_path: Path, key: ServerKey) -> None:
    """Refuse a key that is not that of the first certificate, and say which one it is of."""
    owners = [number for number, each in enumerate(chain, 1) if belongs(each, key)]
    if not owners:
        raise CertificateError(f"{key_path}: not the key of the certificate in {cert_path}")
    if owners[0] != 1:
        raise CertificateError(
            f"{cert_path}: the server's own certificate has to stand first, not as "
            f"number {owners[0]} of {len(chain)}"
        )


def _key_type(key: ServerKey) -> str:
    if isinstance(key, rsa.RSAPrivateKey):
        return f"RSA {key.key_size}"
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return f"EC {_CURVES.get(key.curve.name, key.curve.name)}"
    return "Ed25519" if isinstance(key, ed25519.Ed25519PrivateKey) else "Ed448"


def _about_file(path: Path, mode: int) -> Iterator[str]:
    if mode & stat.S_IRWXO:
        yield f"{path}: everybody on this machine may use this key (mode {mode:04o}); chmod o= it"


def _about_key(path: Path, key: ServerKey) -> Iterator[str]:
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size < _MIN_RSA:
        yield f"{path}: an RSA key of {key.key_size} bits; clients ask for {_MIN_RSA} at least"


def _about_chain(path: Path, chain: list[x509.Certificate]) -> Iterator[str]:
    """Report what stands in the wrong place. Nothing is repaired: the file stays its owner's."""
    for number, (each, issuer) in enumerate(itertools.pairwise(chain), 1):
        if not issued_by(each, issuer):
            yield f"{path}: certificate {number + 1} is not the issuer of certificate {number}"


def _covers(names: tuple[str, ...], host: str) -> bool:
    return host in names or "*." + host.partition(".")[2] in names


def _day(moment: dt.datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
