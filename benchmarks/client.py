"""A plain TLS client: one question, one answer, so that a server is known to do the work asked."""

import http.client
import socket
import ssl
import time
from pathlib import Path

from benchmarks.running import DidNotStartError, Running
from benchmarks.stage import HOST, SECURITY_HEADERS


class WrongAnswerError(Exception):
    """A server does not do the same work as the others: status, length or a header is not right."""


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


def ask(port: int, path: str, context: ssl.SSLContext) -> tuple[int, dict[str, str], int, str]:
    """GET `path`; return status, headers by lower-case name, length of the body, TLS version."""
    with connect(port, context) as tls:
        tls.sendall(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode("ascii")
        )
        answer = http.client.HTTPResponse(tls, method="GET")
        answer.begin()
        body = answer.read()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, headers, len(body), tls.version() or "none"


def check(port: int, path: str, length: int, context: ssl.SSLContext) -> None:
    """See that a server answers with the right body and all seven headers, over TLS 1.3.

    Raises:
        WrongAnswerError: it does not; a figure taken from it would compare different work.
    """
    status, headers, received, version = ask(port, path, context)
    expected = {name.lower(): value for name, value in SECURITY_HEADERS.items()}
    wrong = [name for name, value in expected.items() if headers.get(name) != value]
    if (status, received, version) != (200, length, "TLSv1.3") or wrong:
        raise WrongAnswerError(
            f"{path}: status {status}, {received} of {length} bytes, {version}, "
            f"headers missing or wrong: {', '.join(wrong) or 'none'}"
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
            status, _, _, _ = ask(server.port, "/small", context)
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
