"""The stage every server plays on: a folder, a certificate, free ports, whose cores are whose."""

import datetime as dt
import os
import socket
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOST = "127.0.0.1"
SECURITY_HEADERS = {
    "Strict-Transport-Security": "max-age=63072000",
    "Content-Security-Policy": "default-src 'self'",
    "X-Frame-Options": "SAMEORIGIN",
    "X-Content-Type-Options": "nosniff",
    "X-XSS-Protection": "1; mode=block",
    "Referrer-Policy": "no-referrer-when-downgrade",
    "Permissions-Policy": "geolocation=()",
}
JSON = "/json/"
"""Beneath this path answers are compressed, with gzip."""
STATIC = "/static/"
"""What is beneath this path is in a folder of the stage."""
POOL = 64
"""Connections to the upstream that are kept open."""
HTTP2_POOL = 512
"""So many with HTTP/2: more than requests at once, so that none queues and none connects anew."""
RATE = 1_000_000
BURST = 10_000


class Policies(Enum):
    """How much a server does with a request beside passing it on with forwarded headers.

    NONE: nothing. USUAL: it sets the security headers and writes an access log, as all rows have
    it that say nothing else. EVERY: beside that it checks a rate limit by client and compresses
    what is worth it (1,000 bytes, or what the server has as its least size).
    """

    NONE = "none"
    USUAL = "usual"
    EVERY = "every"


@dataclass(frozen=True, slots=True)
class Cores:
    """Which CPUs the proxy may use, and which the load generator and the upstream may use."""

    proxy: frozenset[int]
    others: frozenset[int]

    @property
    def everything(self) -> frozenset[int]:
        """All of them, for work that more than one worker shares."""
        return self.proxy | self.others


@dataclass(frozen=True, slots=True)
class Stage:
    """What all servers of one run share; `origin_port` is where the upstream listens."""

    folder: Path
    certificate: Path
    key: Path
    origin_port: int
    cores: Cores

    @property
    def static(self) -> Path:
        """The folder of what the servers themselves serve."""
        return self.folder / "static"


@dataclass(frozen=True, slots=True)
class Options:
    """Settings that a row or a scenario may ask of a server, in seconds and bytes.

    `keep_alive`: how long an idle client connection is kept. `hold`: how long a request waits for
    an upstream that refuses connections, where the server knows such a thing.
    `body`: the largest request body. `generation`: sent as X-Generation, so that a reload shows.
    `files`: serve the stage's folder of static files.
    `rate`: requests a second of one client, and `burst` those beyond, before EVERY refuses any.
    `http2`: offer it to clients, with more connections to the upstream.
    `websockets`: let them pass, many of one client, idle for as long as they like; all goes to the
    upstream that echoes.
    """

    keep_alive: int = 75
    hold: int = 0
    body: int = 100 << 20
    generation: int = 0
    policies: Policies = Policies.USUAL
    files: bool = False
    rate: int = RATE
    burst: int = BURST
    http2: bool = False
    websockets: bool = False

    @property
    def pool(self) -> int:
        """How many idle connections to the upstream are kept."""
        return HTTP2_POOL if self.http2 else POOL


@dataclass(frozen=True, slots=True)
class Part:
    """One server's part: its own folder and port, how many workers it runs and on which cores."""

    stage: Stage
    folder: Path
    port: int
    workers: int
    cores: frozenset[int]
    options: Options


def response_headers(options: Options) -> dict[str, str]:
    """The headers that a server adds to every answer."""
    generation = {"X-Generation": str(options.generation)} if options.generation else {}
    security = {} if options.policies is Policies.NONE else SECURITY_HEADERS
    return {**security, **generation}


def split_cores() -> Cores:
    """One core for the proxy, the rest for everything else; with a single core both share it."""
    available = sorted(os.sched_getaffinity(0))
    return Cores(frozenset(available[:1]), frozenset(available[1:] or available))


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Write a self-signed ECDSA P-256 certificate for localhost; return its path and its key's."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)  # noqa: TID251 - the rig knows nothing of the proxy
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=7))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate_path, key_path = folder / "cert.pem", folder / "key.pem"
    certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_path.touch(mode=0o600)
    key_path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate_path, key_path
