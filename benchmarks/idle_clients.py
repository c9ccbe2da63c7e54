"""Clients that open TLS connections, ask once on each, and then keep them open.

Run as a process of its own: `python -m benchmarks.idle_clients PORT COUNT CERTIFICATE`. It answers
each line on its standard input with one line: `ask` asks again on every connection and tells how
many answered; the end of the input ends it.
"""

import subprocess
import sys
from pathlib import Path
from ssl import SSLSocket
from types import TracebackType
from typing import Self

from benchmarks import client
from benchmarks.bodies import SMALL
from benchmarks.running import pinned

_QUESTION = b"GET /small HTTP/1.1\r\nHost: localhost\r\nUser-Agent: idle\r\n\r\n"


class IdleClients:
    """The process that holds `count` connections, as the rig sees it; `program` is its module."""

    program = "benchmarks.idle_clients"

    def __init__(self, port: int, count: int, certificate: Path, cores: frozenset[int]) -> None:
        self.count = count
        module = [sys.executable, "-m", self.program]
        self.process = subprocess.Popen(
            [*pinned(cores), *module, str(port), str(count), str(certificate)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def opened(self) -> int:
        """Wait until all connections are made; how many there are."""
        return self._number()

    def ask(self) -> int:
        """Ask on every connection; how many answered rightly."""
        self._say("ask")
        return self._number()

    def _say(self, line: str) -> None:
        if self.process.stdin:
            self.process.stdin.write(f"{line}\n")
            self.process.stdin.flush()

    def _number(self) -> int:
        line = self.process.stdout.readline() if self.process.stdout else ""
        return int(line or 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.kill()
        self.process.communicate()


def asked(tls: SSLSocket) -> bool:
    """Ask once on a connection; whether the whole answer came with status 200."""
    try:
        tls.sendall(_QUESTION)
        received = b""
        while not received.endswith(b"\r\n\r\n" + b"x" * SMALL):
            data = tls.recv(4096)
            if not data:
                return False
            received += data
    except OSError:
        return False
    return received.startswith(b"HTTP/1.1 200 ")


def open_all(port: int, count: int, certificate: Path) -> list[SSLSocket]:
    """Open the connections one after the other, each asked once; those that failed are left out."""
    context = client.tls_context(certificate)
    connections = []
    for _ in range(count):
        try:
            tls = client.connect(port, context, timeout=30.0)
        except OSError:
            continue
        if asked(tls):
            connections.append(tls)
    return connections


def main() -> None:
    """Open, tell, and serve the questions on standard input."""
    port, count, certificate = sys.argv[1:]
    connections = open_all(int(port), int(count), Path(certificate))
    print(len(connections), flush=True)
    for _line in sys.stdin:
        print(sum(map(asked, connections)), flush=True)


if __name__ == "__main__":
    main()
