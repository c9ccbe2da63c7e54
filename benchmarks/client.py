"""A plain TLS client: one question, one answer, so that a server is known to do the work asked."""

import http.client
import socket
import ssl
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import bodies
from benchmarks.running import DidNotStartError, Running
from benchmarks.stage import HOST, SECURITY_HEADERS

_GZIP = 16 + zlib.MAX_WBITS


class WrongAnswerError(Exception):
    """A server does not do the same work as the others: status, length or a header is not right."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    tls: str


@dataclass(frozen=True, slots=True)
class Expected:
    """What is asked for and must come: `headers`, and a body that is encoded with gzip or not."""

    path: str = "/small"
    gzip: bool = False
    headers: Mapping[str, str] = field(default_factory=lambda: SECURITY_HEADERS)


def tls_context(certificate: Path) -> ssl.SSLContext:
    """Trust the stage's certificate only, speak HTTP/1.1, never resume a session."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(certificate)
    context.set_alpn_protocols(["http/1.1"])
    return context


def connect(port: int, context: ssl.SSLContext, timeout: float = 10.0) -> ssl.SSLSocket:
    """Open one TLS connection to a server of the stage."""
    plain = socket.create_connection((HOST, port), timeout)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        return context.wrap_socket(plain, server_hostname="localhost")
    except BaseException:
        plain.close()
        raise


def ask(port: int, path: str, context: ssl.SSLContext, fields: str = "") -> Reply:
    """GET `path` with further header fields, each of which ends its line."""
    with connect(port, context) as tls:
        request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{fields}\r\n"
        tls.sendall(request.encode("ascii"))
        answer = http.client.HTTPResponse(tls, method="GET")
        answer.begin()
        body = answer.read()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return Reply(answer.status, headers, body, tls.version() or "none")


def check(port: int, expected: Expected, context: ssl.SSLContext) -> None:
    """See that a server answers with the right body and headers, over TLS 1.3.

    Raises:
        WrongAnswerError: it does not; a figure taken from it would compare different work.
    """
    reply = ask(port, expected.path, context, "Accept-Encoding: gzip\r\n" * expected.gzip)
    check_reply(reply, expected)


def check_reply(reply: Reply, expected: Expected) -> None:
    """See that an answer is the expected one.

    Raises:
        WrongAnswerError: it is not.
    """
    coding = reply.headers.get("content-encoding", "none")
    body = zlib.decompress(reply.body, _GZIP) if coding == "gzip" else reply.body
    length = bodies.length(expected.path)
    wrong = [
        name for name, value in expected.headers.items() if reply.headers.get(name.lower()) != value
    ]
    said = (reply.status, len(body), coding, reply.tls)
    if said != (200, length, "gzip" if expected.gzip else "none", "TLSv1.3") or wrong:
        raise WrongAnswerError(
            f"{expected.path}: status {reply.status}, {len(body)} of {length} bytes, "
            f"coding {coding}, {reply.tls}, headers missing or wrong: {', '.join(wrong) or 'none'}"
        )


def wait_until_up(server: Running, context: ssl.SSLContext, patience: float = 15.0) -> None:
    """Wait for the first good answer of a server that was just started.

    Raises:
        DidNotStartError: it ended, or did not answer within `patience` seconds.
    """
    deadline = time.monotonic() + patience
    said = "nothing"
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            break
        try:
            status = ask(server.port, "/small", context).status
        except (OSError, http.client.HTTPException) as error:
            said = str(error)
        else:
            if status == http.HTTPStatus.OK:
                return
            said = f"status {status}"
        time.sleep(0.05)
    raise DidNotStartError(
        f"{server.name} did not start; last answer: {said}\n{server.last_words()}"
    )
