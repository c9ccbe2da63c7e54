import os
import socket
from pathlib import Path

import pytest

from proxy.net.port_owner import owner_of_port


@pytest.mark.parametrize(
    ("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
)
def test_whoever_listens_is_named(family: socket.AddressFamily, host: str) -> None:
    with socket.create_server((host, 0), family=family) as listener:
        port = listener.getsockname()[1]
        name = Path("/proc/self/comm").read_text().strip()
        assert owner_of_port(port) == f"{name} (pid {os.getpid()})"
    assert owner_of_port(port) == ""


def test_a_port_that_is_bound_and_not_listened_on_belongs_to_nobody() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        assert owner_of_port(bound.getsockname()[1]) == ""
