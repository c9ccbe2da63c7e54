"""A configuration file with everything it names: read and checked as one, before anything starts.

Certificates and keys are read here, by whoever starts the proxy, so that workers that gave up
their privileges never open a file that only root may read.
"""

import os
import pickle
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from proxy.certificates.authorities import load_authorities
from proxy.certificates.local_ca import ensure_leaf, ensure_root
from proxy.certificates.pair import CertificateError, CertificatePair, load_pair
from proxy.clock import utc_now
from proxy.compiler.sites import certificate_name
from proxy.compiler.sources import Sources
from proxy.net.tls_contexts import TlsConfigurationError, client_context
from proxy.settings import load as settings_file
from proxy.settings.models import CertificateFiles, Settings, Site
from proxy.settings.problem import (
    Path as Keys,
    Problem,
    SettingsError,
    WrongValueError,
    dotted,
)
from proxy.settings.users import read_users

Pem = tuple[bytes, bytes]
NAMED_FILE_LIMIT = 1 << 20
"""Bytes of an error page, or of a file of users: each worker keeps it in memory."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration, checked, with its certificates. Can be pickled; holds private keys.

    Attributes:
        sources: What else the configuration is compiled from.
        root: File of the local CA's certificate, for import into browsers; "" if no site needs it.
        remarks: What speaks against a certificate and is yet no reason not to serve.
    """

    settings: Settings
    sources: Sources = field(repr=False)
    root: str = ""
    remarks: tuple[str, ...] = ()


class LoadError(Exception):
    """A configuration that cannot be used. The text is the whole report."""


def _contents(path: str, *, users: bool) -> bytes:
    """Return what is in a file that a policy names.

    Raises:
        OSError: It cannot be read.
        WrongValueError: It is too large, or holds something else than it should.
    """
    # A FIFO would block here for ever without O_NONBLOCK.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise WrongValueError("not a regular file")
        with os.fdopen(handle, "rb", closefd=False) as file:
            data = file.read(NAMED_FILE_LIMIT + 1)
    finally:
        os.close(handle)
    if len(data) > NAMED_FILE_LIMIT:
        raise WrongValueError(f"larger than {NAMED_FILE_LIMIT >> 20} MB")
    if users:
        read_users(data)
    else:
        _check_text(data)
    return data


def _check_text(data: bytes) -> None:
    """Refuse a page that is not UTF-8, as which it would be sent."""
    try:
        data.decode()
    except UnicodeDecodeError:
        raise WrongValueError("not UTF-8 text") from None


class _Reading:
    """The certificates of one configuration, and what is wrong with them."""

    def __init__(self, settings: Settings, *, create: bool) -> None:
        self._settings = settings
        self._create = create
        self._state_dir = Path(settings.state_dir)
        self.certificates: dict[str, tuple[Pem, ...]] = {}
        self.authorities: dict[str, str] = {}
        self.contents: dict[str, bytes] = {}
        self.problems: list[Problem] = []
        self.remarks: list[str] = []
        self.root = ""

    def read(self) -> None:
        """Read, or make, the certificate of every site."""
        for index, site in enumerate(self._settings.sites):
            try:
                pair = self._pair(site)
            except (CertificateError, OSError) as error:
                self.problems.append(self._problem(("sites", index, "tls"), _told(error)))
                continue
            if pair is not None:
                self.certificates[certificate_name(site)] = ((pair.chain_pem, pair.key_pem),)
                self._remark(site, pair)

    def read_authorities(self) -> None:
        """Read every `ca_file`, and find out whether TLS takes what is in it."""
        for name, upstream in self._settings.upstreams.items():
            if upstream.tls.ca_file is None:
                continue
            file = Path(upstream.tls.ca_file)
            try:
                self.authorities[name] = load_authorities(file)
                client_context(ca_pem=self.authorities[name])
            except (CertificateError, TlsConfigurationError) as error:
                told = str(error) if isinstance(error, CertificateError) else f"{file}: {error}"
                path = ("upstreams", name, "tls", "ca_file")
                self.problems.append(self._problem(path, told))

    def read_contents(self) -> None:
        """Read every page and every file of users that a policy names."""
        for path, file in self._settings.named_files():
            try:
                self.contents[file] = _contents(file, users=path[-1] == "users_file")
            except OSError as error:
                self.problems.append(self._problem(path, f"{file}: {error.strerror}"))
            except WrongValueError as error:
                self.problems.append(self._problem(path, f"{file}: {error.reason}"))

    def _pair(self, site: Site) -> CertificatePair | None:
        if isinstance(site.tls, CertificateFiles):
            return load_pair(Path(site.tls.cert), Path(site.tls.key))
        if site.tls != "self_signed" or not self._create:
            return None
        if not self.root:
            signed = [each for each in self._settings.sites if each.tls == "self_signed"]
            names = [host for each in signed for host in each.hosts]
            self.root = str(ensure_root(self._state_dir, utc_now(), names).cert_path)
        made = ensure_leaf(self._state_dir, site.hosts, utc_now())
        return load_pair(made.cert_path, made.key_path)

    def _remark(self, site: Site, pair: CertificatePair) -> None:
        name = certificate_name(site) or "the default site"
        found = (*pair.troubles(site.hosts, utc_now()), *pair.warnings)
        self.remarks.extend(f"certificate of {name}: {each}" for each in found)

    def _problem(self, path: Keys, message: str) -> Problem:
        document = self._settings.document
        if document is None:
            return Problem("", 0, 0, dotted(path), message)
        return document.problem(path, message)


def _told(error: Exception) -> str:
    """Return an error as a sentence that names the file."""
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)
    return str(error)


def load(path: str, environ: Mapping[str, str], *, create: bool = True) -> Loaded:
    """Return the configuration in a file.

    Args:
        path: The file.
        environ: Variables for `${VAR}`.
        create: Make the local CA and the certificates that `self_signed` sites lack. Without,
            those sites have none: enough for a check, which leaves no trace.

    Raises:
        LoadError: With every mistake in the file, or else everything wrong with the files it names.
    """
    try:
        settings = settings_file.load(path, environ)
    except SettingsError as error:
        raise LoadError(str(error)) from None
    reading = _Reading(settings, create=create)
    reading.read()
    reading.read_authorities()
    reading.read_contents()
    if reading.problems:
        raise LoadError(str(SettingsError(tuple(reading.problems))))
    return Loaded(
        settings,
        Sources(reading.certificates, reading.authorities, reading.contents),
        reading.root,
        tuple(reading.remarks),
    )


def unpickled(content: bytes) -> Loaded:
    """Return the configuration that another process of this proxy pickled.

    Only for content that came from the supervisor, or to it from the child that checks a file:
    neither has met anything but the file. Workers never send any.

    Raises:
        TypeError: It is something else.
    """
    loaded = pickle.loads(content)  # noqa: S301 - see above
    if not isinstance(loaded, Loaded):
        raise TypeError("not a configuration")
    return loaded
