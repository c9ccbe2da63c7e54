"""One question over HTTP/2, by the library h2: the same check as client.py makes over HTTP/1.1."""

import ssl
from pathlib import Path

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)

from benchmarks import client
from benchmarks.client import Expected, Reply, WrongAnswerError

_STREAM = 1


def check(port: int, expected: Expected, certificate: Path) -> None:
    """See that a server answers over HTTP/2 with the right body and headers, over TLS 1.3.

    Raises:
        WrongAnswerError: it does not, or HTTP/2 was not agreed on.
    """
    client.check_reply(ask(port, expected.path, certificate), expected)


def ask(port: int, path: str, certificate: Path) -> Reply:
    """GET `path` as the only stream of a connection.

    Raises:
        WrongAnswerError: HTTP/2 was not agreed on, or the answer was cut off.
    """
    context = client.tls_context(certificate)
    context.set_alpn_protocols(["h2"])
    with client.connect(port, context) as tls:
        if tls.selected_alpn_protocol() != "h2":
            raise WrongAnswerError(f"{path}: HTTP/2 was not agreed on")
        return _exchange(tls, path)


def _exchange(tls: ssl.SSLSocket, path: str) -> Reply:
    connection = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
    connection.initiate_connection()
    question = {":method": "GET", ":scheme": "https", ":authority": "localhost", ":path": path}
    connection.send_headers(_STREAM, list(question.items()), end_stream=True)
    fields: dict[str, str] = {}
    body = bytearray()
    while True:
        tls.sendall(connection.data_to_send())
        for event in _received(tls, connection):
            match event:
                case ResponseReceived(headers=headers):
                    fields = {str(name): str(value) for name, value in headers}
                case DataReceived(data=data, flow_controlled_length=length):
                    body += data
                    connection.acknowledge_received_data(length or 0, _STREAM)
                case StreamEnded():
                    status = int(fields.pop(":status", 0))
                    return Reply(status, fields, bytes(body), tls.version() or "none")
                case StreamReset() | ConnectionTerminated():
                    raise WrongAnswerError(f"{path}: cut off by {event}")
                case _:
                    continue


def _received(tls: ssl.SSLSocket, connection: H2Connection) -> list[Event]:
    data = tls.recv(65536)
    if not data:
        raise WrongAnswerError("the connection was closed before the answer was whole")
    return connection.receive_data(data)
