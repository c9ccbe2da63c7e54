"""A CA of this machine's own, for sites that no public CA would certify.

Layout under the state folder:

    local-ca/root.pem, root.key             what people import, and what they must not
    self-signed/<first name>/cert.pem, key.pem

Strategy. Each of the four files is replaced in one step, and a key is written before its
certificate and then kept: a certificate that is missing, damaged, too old or for other names is
made anew for the key at hand. So wherever a process is killed, what lies there is either good or
lacks a certificate, which the next run makes. One lock serialises the processes that share the
folder.

The root's constraints (see `issue`) hold what means nothing outside, and the names asked for so
far. A name beyond these widens it: a new root for the same key and of the same name, so that
whoever imported the old one needs the new one for the new name only.
"""

import contextlib
import datetime as dt
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from proxy.certificates.durable import lock, make_folder, replace_file, sweep
from proxy.certificates.issue import (
    CURVE,
    LEAF_LIFETIME,
    LOCAL,
    address_of,
    make_leaf,
    make_root,
    permitted_by,
    root_subject,
)
from proxy.certificates.names import canonical_name
from proxy.certificates.pair import CertificateError
from proxy.certificates.reading import belongs, issued_by, names_of

_NAME = re.compile(r"(?:\*\.)?[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?")
_KEEP_OF_LEAF = 3
"""A leaf is made anew with a third of its lifetime left."""


@dataclass(frozen=True, slots=True)
class LocalRoot:
    """The local CA's root.

    Attributes:
        cert_path: What people import.
        key_path: Its key, 0600.
        fingerprint: SHA-256 of the certificate, as trust stores show it.
        not_after: Aware, in UTC.
        is_new: True if this call made it, so that it has to be imported (again).
    """

    cert_path: Path
    key_path: Path
    fingerprint: str
    not_after: dt.datetime
    is_new: bool


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """Where a certificate and its key lie."""

    cert_path: Path
    key_path: Path


@dataclass(frozen=True, slots=True)
class _Authority:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)
    is_new: bool


def ensure_root(state_dir: Path, now: dt.datetime, names: Iterable[str] = ()) -> LocalRoot:
    """Return the root, made if it is missing, damaged, near its end or too narrow for `names`.

    Args:
        state_dir: The state folder; made if missing.
        now: Aware.
        names: All names it is going to certify, so that it is widened once, not name by name.

    Raises:
        CertificateError: A name is none, or the file system says no.
    """
    wanted = _checked(names)
    with _held(state_dir) as folder:
        authority = _authority(folder, now, wanted)
    digest = authority.certificate.fingerprint(hashes.SHA256())
    return LocalRoot(
        cert_path=folder / "root.pem",
        key_path=folder / "root.key",
        fingerprint=digest.hex(":").upper(),
        not_after=authority.certificate.not_valid_after_utc,
        is_new=authority.is_new,
    )


def ensure_leaf(state_dir: Path, names: Iterable[str], now: dt.datetime) -> CertificateFiles:
    """Return a certificate for a site's names, made anew if the one at hand will not do.

    It will do while a third of its lifetime is left, for exactly these names, signed by the
    present root.

    Args:
        state_dir: The state folder; made if missing.
        names: DNS names, wildcards and addresses; the first one names the folder.
        now: Aware.

    Raises:
        CertificateError: A name is none, or the file system says no.
    """
    wanted = _checked(names)
    if not wanted:
        raise CertificateError("a certificate needs a name")
    folder = state_dir / "self-signed" / wanted[0].replace("*", "_wildcard")
    files = CertificateFiles(folder / "cert.pem", folder / "key.pem")
    with _held(state_dir) as root_folder:
        authority = _authority(root_folder, now, wanted)
        make_folder(folder)
        sweep(folder)
        key = _kept_key(files.key_path)
        present = _certificate(files.cert_path)
        if present is None or not _leaf_will_do(present, key, authority, wanted, now):
            made = make_leaf(key, authority.certificate, authority.key, wanted, now)
            replace_file(files.cert_path, made.public_bytes(Encoding.PEM), 0o644)
    return files


def _checked(names: Iterable[str]) -> tuple[str, ...]:
    """Return names in one spelling, each once; they become part of a path."""
    found = tuple(dict.fromkeys(map(canonical_name, names)))
    for name in found:
        if address_of(name) is None and (not _NAME.fullmatch(name) or ".." in name):
            raise CertificateError(f"{name!r}: no name a certificate can be for")
    return found


@contextlib.contextmanager
def _held(state_dir: Path) -> Iterator[Path]:
    """Hold the CA's lock; what the file system refuses meanwhile becomes our own error."""
    folder = state_dir / "local-ca"
    try:
        make_folder(folder)
        with lock(folder / ".lock"):
            sweep(folder)
            yield folder
    except OSError as error:
        raise CertificateError(f"{error.filename or folder}: {error.strerror}") from None


def _kept_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Return the key in a file, or a new one put there."""
    with contextlib.suppress(FileNotFoundError, ValueError, TypeError):
        found = load_pem_private_key(path.read_bytes(), None)
        if isinstance(found, ec.EllipticCurvePrivateKey) and isinstance(found.curve, CURVE):
            return found
    made = ec.generate_private_key(CURVE())
    pem = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    replace_file(path, pem, 0o600)
    return made


def _certificate(path: Path) -> x509.Certificate | None:
    with contextlib.suppress(FileNotFoundError, ValueError):
        return x509.load_pem_x509_certificate(path.read_bytes())
    return None


def _authority(folder: Path, now: dt.datetime, names: tuple[str, ...]) -> _Authority:
    """Return the root with its key, made or widened where it has to be."""
    key = _kept_key(folder / "root.key")
    path = folder / "root.pem"
    subject, permitted = root_subject(os.uname().nodename), LOCAL
    present = _certificate(path)
    found = permitted_by(present) if present and belongs(present, key) else None
    if present is not None and found is not None:
        if _in_time(present, now, spare=LEAF_LIFETIME) and all(map(found.covers, names)):
            return _Authority(present, key, is_new=False)
        # Trust stores and leaves know the root by its name, so it keeps the one it has.
        subject, permitted = present.subject, found
    made = make_root(key, subject, permitted.widened(names), now)
    replace_file(path, made.public_bytes(Encoding.PEM), 0o644)
    return _Authority(made, key, is_new=True)


def _leaf_will_do(
    leaf: x509.Certificate,
    key: ec.EllipticCurvePrivateKey,
    authority: _Authority,
    names: tuple[str, ...],
    now: dt.datetime,
) -> bool:
    lifetime = leaf.not_valid_after_utc - leaf.not_valid_before_utc
    return (
        belongs(leaf, key)
        and issued_by(leaf, authority.certificate)
        and set(names_of(leaf)) == set(names)
        and _in_time(leaf, now, spare=lifetime / _KEEP_OF_LEAF)
    )


def _in_time(certificate: x509.Certificate, now: dt.datetime, spare: dt.timedelta) -> bool:
    begun = certificate.not_valid_before_utc <= now
    return begun and now + spare <= certificate.not_valid_after_utc
