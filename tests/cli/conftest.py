"""A running proxy, as far as its control socket goes."""

import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from proxy.run import control


@dataclass
class FakeProxy:
    """Answers every question as it is told to, and remembers them."""

    config: Path
    answer: dict[str, object] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def serve(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                self.asked.append(json.loads(connection.recv(1000))["command"])
                connection.sendall(json.dumps(self.answer).encode() + b"\n")


@pytest.fixture
def running(tmp_path: Path) -> Iterator[FakeProxy]:
    config = tmp_path / "proxy.yaml"
    config.write_text("state_dir: .\n")
    proxy = FakeProxy(config)
    listener = control.listen(tmp_path)
    thread = threading.Thread(target=proxy.serve, args=(listener,))
    thread.start()
    yield proxy
    listener.shutdown(socket.SHUT_RDWR)
    thread.join()
    listener.close()
