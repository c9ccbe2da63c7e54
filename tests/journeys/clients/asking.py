"""Clients that a journey asks with: one request, one connection, or a steady load of requests."""

import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

PATIENCE = 30.0


@dataclass
class Answer:
    """A whole answer."""

    status: int
    fields: http.client.HTTPMessage
    body: bytes

    def get(self, name: str) -> str:
        found = self.fields.get_all(name, [])
        assert len(found) <= 1, f"{name} came {len(found)} times: {found}"
        return found[0] if found else ""

    @property
    def text(self) -> str:
        return self.body.decode()

    def seen(self) -> "Seen":
        """What the upstream saw, if it is a mirror."""
        return Seen(json.loads(self.body))


@dataclass
class Seen:
    """A request as the mirror upstream saw it."""

    what: dict[str, Any]

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.what["fields"] if key == name]

    def get(self, name: str) -> str:
        found = self.all(name)
        assert len(found) <= 1, f"{name} came {len(found)} times: {found}"
        return found[0] if found else ""


def trusting(ca_file: Path) -> ssl.SSLContext:
    """A client's TLS context that believes one authority and wants an orderly end."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(ca_file)
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    return context


class Client:
    """One connection; it is never opened again by itself."""

    def __init__(
        self,
        port: int,
        *,
        tls: ssl.SSLContext | None = None,
        name: str = "localhost",
        source: str = "",
        prelude: bytes = b"",
    ) -> None:
        sock = socket.create_connection(
            ("127.0.0.1", port), PATIENCE, source_address=(source, 0) if source else None
        )
        if prelude:
            sock.sendall(prelude)
        self.sock = sock
        if tls is not None:
            try:
                self.sock = tls.wrap_socket(sock, server_hostname=name, suppress_ragged_eofs=False)
            except BaseException:
                sock.close()
                raise
        self._http = http.client.HTTPConnection(name)
        self._http.auto_open = 0
        self._http.sock = self.sock

    def ask(
        self,
        path: str = "/",
        *,
        method: str = "GET",
        fields: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        self._http.request(method, path, body, dict(fields or {}))
        response = self._http.getresponse()
        return Answer(response.status, response.msg, response.read())

    def close(self) -> None:
        self._http.close()
        self.sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def ask(  # noqa: PLR0913 - a request has that many parts
    port: int,
    path: str = "/",
    *,
    method: str = "GET",
    fields: Mapping[str, str] | None = None,
    body: bytes | None = None,
    tls: ssl.SSLContext | None = None,
    name: str = "localhost",
    source: str = "",
    prelude: bytes = b"",
) -> Answer:
    """Ask once, on a connection of its own."""
    with Client(port, tls=tls, name=name, source=source, prelude=prelude) as client:
        return client.ask(path, method=method, fields=fields, body=body)


@dataclass
class Load:
    """Clients in threads that ask on and on, each on a connection that it keeps.

    Attributes:
        answers: How many answers were as they should be.
        failures: What went wrong, in words.
    """

    connect: Callable[[], Client]
    once: Callable[[Client], Answer] = lambda client: client.ask()
    clients: int = 4
    pause: float = 0.002
    answers: int = 0
    failures: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run) for _ in range(self.clients)]

    def _run(self) -> None:
        client: Client | None = None
        while not self._over.is_set():
            try:
                client = client or self.connect()
                answer = self.once(client)
                with self._lock:
                    if answer.status == 200:
                        self.answers += 1
                    else:
                        self.failures.append(f"{answer.status} {answer.text[:300]}")
                if answer.get("connection") == "close":
                    client.close()
                    client = None
            except (OSError, http.client.HTTPException) as error:
                with self._lock:
                    self.failures.append(repr(error))
                if client is not None:
                    client.close()
                client = None
            time.sleep(self.pause)
        if client is not None:
            client.close()

    def wait_for(self, more: int) -> None:
        """Return when that many more requests have been answered."""
        enough = self.answers + more
        end = time.monotonic() + PATIENCE
        while self.answers < enough:
            assert time.monotonic() < end, f"{self.answers} answers, failures {self.failures[:5]}"
            time.sleep(0.005)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(PATIENCE)
