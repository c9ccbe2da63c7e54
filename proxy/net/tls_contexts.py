"""What TLS offers and accepts, on both sides: the one home of TLS policy.

Strategy. Session tickets are sealed with keys that belong to the context a connection was *made*
with; OpenSSL keeps to those keys when the server name callback later switches the connection to
another context. So there is one base context, made in the supervisor before it forks: every
worker inherits its ticket keys, and since it lives through every reload, so do the sessions.
Site contexts hold certificates only and may be replaced at any time. A connection is wrapped by
the base, and the name its client asks for picks the site's context.

Protocol versions, options and the number of tickets are taken from the base when a connection is
made; certificates, TLS 1.2 ciphers and ALPN from the site's context. Both are given the same
policy, so that the difference never shows.

Nothing here selects groups: OpenSSL's own list is the right one and brings X25519MLKEM768 where
the library has it.
"""

import contextlib
import os
import ssl
from collections.abc import Iterable

from proxy.certificates.names import CertificateTable, canonical_name
from proxy.routing.route import TlsPlan

INTERMEDIATE_CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
)
"""TLS 1.2 as Mozilla's guideline 6.0 ("intermediate") has it; in TLS 1.3 OpenSSL's own suites."""

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_ALERT_MISSING_EXTENSION = 109  # RFC 8446, 9.2; OpenSSL says handshake_failure to a TLS 1.2 client

Pair = tuple[bytes, bytes]
"""A certificate chain, leaf first, and its private key without passphrase, both as PEM."""


class TlsConfigurationError(ValueError):
    """Certificates, ciphers or versions that OpenSSL does not take. The text never holds a key."""


def server_context(
    min_version: str = "1.2",
    ciphers: Iterable[str] = INTERMEDIATE_CIPHERS,
    alpn: Iterable[str] = ("http/1.1",),
    *,
    prefer_server_ciphers: bool = False,
) -> ssl.SSLContext:
    """Return a context for the server's side that has no certificate yet.

    Args:
        min_version: "1.2" or "1.3".
        ciphers: Cipher suites of TLS 1.2 by OpenSSL's names, the preferred first.
        alpn: Protocols to agree on, the preferred first; none switches ALPN off.
        prefer_server_ciphers: Insist on our order. Off by default, because a phone without AES in
            hardware knows better than we do (Mozilla 6.0).

    Raises:
        TlsConfigurationError: The version is neither, or OpenSSL does not know a cipher.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _set_policy(made, min_version, tuple(ciphers), prefer_server_ciphers=prefer_server_ciphers)
    protocols = list(alpn)
    if protocols:
        made.set_alpn_protocols(protocols)
    return made


def _set_policy(
    target: ssl.SSLContext,
    min_version: str,
    ciphers: tuple[str, ...],
    *,
    prefer_server_ciphers: bool,
) -> None:
    """Bring a server's context, new or in use, to a policy."""
    if min_version not in _VERSIONS:
        raise TlsConfigurationError(f"min_version is 1.2 or 1.3, not {min_version}")
    _set_ciphers(target, ciphers)
    target.minimum_version = _VERSIONS[min_version]
    options = target.options | ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    # A connection cut without close_notify has to look different from one that was closed.
    options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF & ~ssl.OP_NO_TICKET
    options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    if prefer_server_ciphers:
        options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    target.options = options
    # One is enough where connections are kept alive; each costs 12 us of a handshake.
    target.num_tickets = 1


def _set_ciphers(target: ssl.SSLContext, ciphers: tuple[str, ...]) -> None:
    """Set the suites of TLS 1.2. OpenSSL would leave out in silence those that it does not know."""
    known: set[str] = set()
    # An SSLError here says that it knows none of them at all.
    with contextlib.suppress(ssl.SSLError):
        target.set_ciphers(":".join(ciphers))
        known.update(each["name"] for each in target.get_ciphers())
    unknown = [name for name in ciphers if name not in known]
    if unknown or not ciphers:
        raise TlsConfigurationError(f"OpenSSL does not know the ciphers {', '.join(unknown)}")


def load_cert_chain(target: ssl.SSLContext, chain: bytes, key: bytes) -> None:
    """Add a certificate to a context; a second one, of another key type, may be added beside it.

    The PEM goes through memory, since OpenSSL's call takes paths alone while workers have long
    lost the right to read the key's file, and so that what was checked is what is used.

    Raises:
        TlsConfigurationError: OpenSSL does not take it: no PEM, or not the certificate's key.
    """
    descriptor = os.memfd_create("pair", os.MFD_CLOEXEC)
    try:
        with open(descriptor, "wb", closefd=False) as memory:
            memory.write(chain.rstrip() + b"\n" + key)
        # An empty password, lest OpenSSL asks for one on the terminal.
        target.load_cert_chain(f"/proc/self/fd/{descriptor}", password="")
    except ssl.SSLError as error:
        raise TlsConfigurationError(f"certificate and key: {_words(error.reason)}") from None
    finally:
        os.close(descriptor)


class PreparedTls:
    """One configuration of TLS, ready to be put in force. Making it is all that can fail.

    Attributes:
        table: Names and addresses to the context that holds their certificates.
        no_name: For clients that name nobody, or None to refuse them.
    """

    __slots__ = ("ciphers", "min_version", "no_name", "prefer_server_ciphers", "table")

    def __init__(
        self,
        plan: TlsPlan,
        alpn: Iterable[str] = ("http/1.1",),
        *,
        prefer_server_ciphers: bool = False,
    ) -> None:
        """Make the contexts of a plan; sites with the same certificates share one (26 KB each).

        Raises:
            TlsConfigurationError: OpenSSL does not take a certificate or the policy, or two sites
                have the same name.
        """
        self.min_version = plan.min_version
        self.ciphers = plan.ciphers or INTERMEDIATE_CIPHERS
        self.prefer_server_ciphers = prefer_server_ciphers
        self.no_name: ssl.SSLContext | None = None
        protocols = tuple(alpn)
        # The policy is tried here even for no site at all: swapping must not fail.
        self._context((), protocols)
        made: dict[tuple[Pair, ...], ssl.SSLContext] = {}
        entries: list[tuple[tuple[str, ...], ssl.SSLContext]] = []
        for site in plan.sites:
            if site.pairs not in made:
                made[site.pairs] = self._context(site.pairs, protocols)
            entries.append((site.names, made[site.pairs]))
            if site.default:
                self.no_name = made[site.pairs]
        try:
            self.table = CertificateTable(entries)
        except ValueError as error:
            raise TlsConfigurationError(str(error)) from None

    def _context(self, pairs: tuple[Pair, ...], alpn: tuple[str, ...]) -> ssl.SSLContext:
        made = server_context(
            self.min_version, self.ciphers, alpn, prefer_server_ciphers=self.prefer_server_ciphers
        )
        for chain, key in pairs:
            load_cert_chain(made, chain, key)
        return made


class FrontConnection(ssl.SSLObject):
    """The server's end of one TLS connection.

    Attributes:
        local_address: The address the client connected to, without port.
        server_name: What the client asked for, or None: it has not spoken yet, or named nobody.
        refusal: Why the server name was refused, for the log, or "".
    """

    local_address: str = ""
    server_name: str | None = None
    refusal: str = ""


class _FrontContext(ssl.SSLContext):
    sslobject_class: type[ssl.SSLObject] = FrontConnection


class TlsFront:
    """Wraps every connection of every worker; made once, before the workers are forked.

    A server name that is not ASCII is refused by `ssl` itself, which then tells
    `sys.unraisablehook`: whoever serves has to have one that does not write to standard error.
    """

    __slots__ = ("_base", "_prepared")

    def __init__(self) -> None:
        self._base = _FrontContext(ssl.PROTOCOL_TLS_SERVER)
        self._prepared = PreparedTls(TlsPlan())
        self._base.sni_callback = self._choose
        self.swap(self._prepared)

    def swap(self, prepared: PreparedTls) -> None:
        """Put a configuration in force for the connections to come; running ones keep theirs."""
        _set_policy(
            self._base,
            prepared.min_version,
            prepared.ciphers,
            prefer_server_ciphers=prepared.prefer_server_ciphers,
        )
        self._prepared = prepared

    def wrap(
        self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, local_address: str = ""
    ) -> FrontConnection:
        """Return the server's end of a new connection.

        Args:
            incoming: Bytes from the client.
            outgoing: Bytes for the client.
            local_address: The IP address the client connected to, without port. Clients send no
                server name for `https://127.0.0.1/` (RFC 6066, 3), so this takes its place.
        """
        made = self._base.wrap_bio(incoming, outgoing, server_side=True)
        assert isinstance(made, FrontConnection)  # noqa: S101 - the context's sslobject_class
        made.local_address = local_address
        return made

    def _choose(
        self, connection: ssl.SSLObject, name: str | None, _base: ssl.SSLContext
    ) -> int | None:
        """Switch a connection to its site's context; called by OpenSSL, so it must not raise."""
        assert isinstance(connection, FrontConnection)  # noqa: S101 - made by wrap
        prepared = self._prepared
        connection.server_name = name
        if name is None:
            address = connection.local_address
            chosen = prepared.table.find(canonical_name(address)) if address else None
            chosen = chosen or prepared.no_name
            if chosen is None:
                connection.refusal = "the client sent no server name and no site is for that"
                return _ALERT_MISSING_EXTENSION
        else:
            chosen = prepared.table.find(name)
            if chosen is None:
                connection.refusal = f"no site has the server name {name!r}"
                return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        connection.context = chosen
        return None


def client_context(
    *, verify: bool = True, ca_pem: str = "", alpn: Iterable[str] = ("http/1.1",)
) -> ssl.SSLContext:
    """Return the context for connections to an https upstream: TLS 1.2 at least.

    Args:
        verify: Check the chain and the host name. Without, anybody may answer in its place.
        ca_pem: Certificates to trust instead of the system's, in PEM. Not a file: workers may have
            lost the right to read it, and what was checked has to be what is used.
        alpn: Protocols to offer, the preferred first.

    Raises:
        TlsConfigurationError: `ca_pem` holds what is no certificate.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    # An answer that lasts until the connection's end must not be cut short unnoticed.
    made.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    made.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    made.set_alpn_protocols(list(alpn))
    if not verify:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    elif not ca_pem:
        made.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        # Trust also an intermediate or the server's own certificate if that is all there is.
        made.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        try:
            made.load_verify_locations(cadata=ca_pem)
        except (ssl.SSLError, TypeError):  # TypeError: it is not ASCII
            raise TlsConfigurationError("what is no certificate among the authorities") from None
    return made


_REASONS = {
    "BAD_EXTENSION": "malformed ClientHello",
    "CALLBACK_FAILED": "server name refused",
    "DECRYPTION_FAILED_OR_BAD_RECORD_MAC": "damaged bytes (bad record mac)",
    "HTTP_REQUEST": "plain HTTP spoken on the TLS port",
    "HTTPS_PROXY_REQUEST": "plain HTTP spoken on the TLS port (CONNECT)",
    "INAPPROPRIATE_FALLBACK": "client fell back to an older version than it knows",
    "LENGTH_MISMATCH": "malformed ClientHello",
    "LENGTH_TOO_SHORT": "malformed ClientHello",
    "NO_SHARED_CIPHER": "no shared cipher",
    "NO_SHARED_GROUP": "no shared key exchange group",
    "NO_SUITABLE_KEY_SHARE": "no shared key exchange group",
    "NO_SUITABLE_SIGNATURE_ALGORITHM": "no shared signature algorithm for our certificate",
    "RECORD_LENGTH_MISMATCH": "malformed ClientHello",
    "UNEXPECTED_EOF_WHILE_READING": "connection closed in the middle",
    "UNSUPPORTED_PROTOCOL": "unsupported protocol (TLS 1.1 or older)",
    "VERSION_TOO_LOW": "unsupported protocol (TLS 1.1 or older)",
    "WRONG_VERSION_NUMBER": "not TLS",
}
_UNTRUSTED = "client does not trust our certificate"
_ALERTS = {
    "bad_certificate": _UNTRUSTED,
    "certificate_expired": f"{_UNTRUSTED}: expired",
    "certificate_unknown": _UNTRUSTED,
    "handshake_failure": "client found nothing in common",
    "insufficient_security": "client finds our offer too weak",
    "protocol_version": "client does not speak our versions",
    "unknown_ca": _UNTRUSTED,
    "unrecognized_name": "server does not know the name",
    "unsupported_certificate": _UNTRUSTED,
    "user_cancelled": "client gave up",
}


def explain(error: ssl.SSLError) -> str:
    """Return a short plain reason for the log."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLEOFError):
        return _REASONS["UNEXPECTED_EOF_WHILE_READING"]
    # An SSLError that Python made without OpenSSL's queue has no reason at all.
    reason = getattr(error, "reason", None) or ""
    known = _REASONS.get(reason)
    if known is not None:
        return known
    alert = _alert(reason)
    if alert:
        said = _ALERTS.get(alert, "peer refused")
        return f"{said} (alert {alert})"
    return _words(reason) if reason else "TLS failed"


def _alert(reason: str) -> str:
    """Return the name of the alert in OpenSSL's name for having received it, or ""."""
    for prefix in ("TLSV1_ALERT_", "TLSV13_ALERT_", "SSLV3_ALERT_"):
        if reason.startswith(prefix):
            return reason.removeprefix(prefix).lower()
    return reason.removeprefix("TLSV1_").lower() if reason.startswith("TLSV1_") else ""


def _words(reason: str | None) -> str:
    return (reason or "not accepted").replace("_", " ").lower()
