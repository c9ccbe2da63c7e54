"""A client that sends the very bytes it is told to, and sees how a connection ends."""

import socket
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.journeys.running import PATIENCE, RunningProxy

_READ = 64 * 1024


class CutShortError(Exception):
    """The connection ended in the middle of an answer. Holds what had come."""

    def __init__(self, held: bytes) -> None:
        super().__init__(f"cut short after {held[-200:]!r}")
        self.held = held


@dataclass
class Head:
    """Status line and fields; names in lower case."""

    status: int
    line: str
    fields: list[tuple[str, str]]

    def __getitem__(self, name: str) -> str:
        values = self.all(name)
        assert len(values) == 1, f"{name}: {values}"
        return values[0]

    def __contains__(self, name: str) -> bool:
        return bool(self.all(name))

    def all(self, name: str) -> list[str]:
        """Return a field's values, in order."""
        return [value for each, value in self.fields if each == name]


@dataclass
class Answer(Head):
    """A whole answer.

    Attributes:
        interim: The 1xx heads before it.
        trailers: Fields behind a chunked body, as they came.
    """

    body: bytes = b""
    trailers: bytes = b""
    interim: list[Head] = field(default_factory=list)


def _parse(raw: bytes) -> Head:
    line, *lines = raw.decode("latin-1").split("\r\n")
    version, status, _ = line.split(" ", 2)
    assert version == "HTTP/1.1", line
    fields = []
    for each in lines:
        name, colon, value = each.partition(":")
        assert colon, each
        fields.append((name.lower(), value.strip()))
    return Head(int(status), line, fields)


class RawClient:
    """One connection, over TLS with the certificate verified, or plain."""

    def __init__(
        self,
        proxy: RunningProxy,
        *,
        plain: bool = False,
        host: str = "localhost",
        small: bool = False,
    ) -> None:
        """Connect.

        Args:
            proxy: To whom.
            plain: To its port for http.
            host: Server name and Host.
            small: Hold little of what comes: who does not read stops its peer soon.
        """
        self.port = proxy.http_port if plain else proxy.https_port
        self._sock = socket.socket()
        if small:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
        self._sock.settimeout(PATIENCE)
        self._sock.connect(("127.0.0.1", self.port))
        if not plain:
            self._sock = tls_context(proxy.ca_file).wrap_socket(
                self._sock, server_hostname=host, suppress_ragged_eofs=False
            )
        self._held = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._sock.sendall(data)

    def ask(self, line: str, *fields: str, body: bytes = b"", host: str = "localhost") -> Answer:
        """Send a request ("GET /path") and return its answer."""
        head = [f"{line} HTTP/1.1", f"Host: {host}:{self.port}", *fields]
        self.send("\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body)
        return self.answer(line.partition(" ")[0])

    def read(self, size: int) -> bytes:
        """Return exactly so many bytes."""
        pieces = [self._held]
        missing = size - len(self._held)
        self._held = b""
        while missing > 0:
            try:
                pieces.append(self.piece())
            except CutShortError as error:
                raise CutShortError(b"".join([*pieces, error.held])) from None
            missing -= len(pieces[-1])
        found = b"".join(pieces)
        self._held = found[size:]
        return found[:size]

    def read_until(self, mark: bytes) -> bytes:
        """Return what comes up to and with a mark."""
        while mark not in self._held:
            self._fill()
        found, _, self._held = self._held.partition(mark)
        return found + mark

    def piece(self) -> bytes:
        """Return what came, or comes next."""
        if not self._held:
            self._fill()
        found, self._held = self._held, b""
        return found

    def _fill(self) -> None:
        try:
            data = self._sock.recv(_READ)
        except (ssl.SSLEOFError, ConnectionResetError):
            data = b""
        if not data:
            raise CutShortError(self._held)
        self._held += data

    def head(self) -> Head:
        """Return the next head, interim ones included."""
        return _parse(self.read_until(b"\r\n\r\n")[:-4])

    def answer(self, method: str = "GET") -> Answer:
        """Return the next answer to a request with that method.

        Raises:
            CutShortError: The connection ended first.
        """
        interim = []
        while (head := self.head()).status < 200 and head.status != 101:
            interim.append(head)
        answer = Answer(head.status, head.line, head.fields, interim=interim)
        if method == "HEAD" or head.status in (101, 204, 304):
            return answer
        if "transfer-encoding" in head:
            assert head["transfer-encoding"] == "chunked"
            assert "content-length" not in head
            answer.body, answer.trailers = self._chunks()
        elif "content-length" in head:
            answer.body = self.read(int(head["content-length"]))
        else:
            answer.body, clean = self.rest()
            if not clean:
                raise CutShortError(answer.body)
        return answer

    def _chunks(self) -> tuple[bytes, bytes]:
        body = b""
        while size := int(self.read_until(b"\r\n"), 16):
            body += self.read(size)
            assert self.read(2) == b"\r\n"
        trailers = b""
        while (line := self.read_until(b"\r\n")) != b"\r\n":
            trailers += line
        return body, trailers

    def rest(self) -> tuple[bytes, bool]:
        """Return all that still comes, and whether the end is a clean one.

        Over TLS that is an end with close_notify, without it one that is no reset.
        """
        found = self._held
        self._held = b""
        try:
            while data := self._sock.recv(_READ):
                found += data
        except (ssl.SSLEOFError, ConnectionResetError):
            return found, False
        return found, True

    def has_ended(self) -> bool:
        """Wait for the end of the connection, and tell that nothing came before it."""
        return self.rest()[0] == b""

    def end_writing(self) -> None:
        """Close our direction of a plain connection in order, and go on listening."""
        assert not isinstance(self._sock, ssl.SSLSocket)
        self._sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Go away without a word."""
        self._sock.close()


def tls_context(ca_file: Path) -> ssl.SSLContext:
    """Return what verifies the certificates of the local CA."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(ca_file)
    return context
