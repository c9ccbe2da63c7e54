"""gRPC's own client and server with the proxy in between: every kind of call, and every end."""

import queue
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.journeys.http2_upstreams.grpc_service import OPTIONS, SERVICE, GrpcServer
from tests.journeys.running import RunningProxy, launch, wait_until_ready

CONFIG = """
user: null
workers: 1
upstreams:
  grpc: {{servers: "h2c://127.0.0.1:{port}", hold: off}}
sites:
  - hosts: [localhost]
    routes:
      - {{path: /, proxy: grpc, limits: {{body: 100MB}}}}
"""
PATIENCE = 30.0


@pytest.fixture(scope="module")
def server() -> Iterator[GrpcServer]:
    made = GrpcServer()
    yield made
    made.close()


@pytest.fixture(scope="module")
def proxy(server: GrpcServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProxy]:
    made = launch(CONFIG.format(port=server.port), tmp_path_factory.mktemp("grpc"))
    try:
        wait_until_ready(made)
        yield made
    finally:
        made.end()


@pytest.fixture
def channel(proxy: RunningProxy) -> Iterator[Any]:
    made = to(proxy)
    yield made
    made.close()


def to(proxy: RunningProxy) -> Any:  # noqa: ANN401 - grpcio has no types
    trust = grpc.ssl_channel_credentials(proxy.ca_file.read_bytes())
    return grpc.secure_channel(f"localhost:{proxy.https_port}", trust, options=OPTIONS)


def method(name: str) -> str:
    return f"/{SERVICE}/{name}"


def test_unary(channel: Any, server: GrpcServer) -> None:  # noqa: ANN401 - grpcio has no types
    answer, call = channel.unary_unary(method("Unary")).with_call(
        b"hello", metadata=(("x-asked", "yes"), ("x-raw-bin", b"\x01\xfe")), timeout=PATIENCE
    )
    assert answer == b"hello"
    assert call.code() is grpc.StatusCode.OK
    assert dict(call.initial_metadata())["x-first"] == "begin"
    trailing = dict(call.trailing_metadata())
    assert (trailing["x-last"], trailing["x-last-bin"]) == ("end", b"\x00\xff")
    assert server.echo.metadata["x-asked"] == "yes"
    assert server.echo.metadata["x-raw-bin"] == b"\x01\xfe"


@pytest.mark.parametrize("size", [0, 1, 70_000, 4 * 1024 * 1024])
def test_messages_of_any_size(channel: Any, size: int) -> None:  # noqa: ANN401 - as above
    message = b"m" * size
    assert channel.unary_unary(method("Unary"))(message, timeout=PATIENCE) == message


def test_server_streaming(channel: Any) -> None:  # noqa: ANN401 - as above
    got = list(channel.unary_stream(method("Down"))(b"200 50000", timeout=PATIENCE))
    assert [int(each.rstrip(b".")) for each in got] == list(range(200))
    assert sum(map(len, got)) > 200 * 50_000


def test_client_streaming(channel: Any) -> None:  # noqa: ANN401 - as above
    pieces = (b"p" * 50_000 for _ in range(200))
    answer = channel.stream_unary(method("Up"))(pieces, timeout=PATIENCE)
    assert answer == b"200 10000000"


def test_both_ways_message_by_message(channel: Any) -> None:  # noqa: ANN401 - as above
    to_send: queue.Queue[bytes | None] = queue.Queue()
    call = channel.stream_stream(method("Both"))(iter(to_send.get, None), timeout=PATIENCE)
    for number in range(50):  # each is answered before the next one is made
        to_send.put(b"%d" % number)
        assert next(call) == b"re: %d" % number
    to_send.put(None)
    assert list(call) == []
    assert call.code() is grpc.StatusCode.OK


def test_a_reader_that_is_slow(channel: Any) -> None:  # noqa: ANN401 - as above
    call = channel.unary_stream(method("Down"))(b"300 100000", timeout=PATIENCE)
    assert next(call).startswith(b"0")
    time.sleep(0.5)
    assert sum(len(each) for each in call) > 299 * 100_000


def test_an_error_with_details(channel: Any) -> None:  # noqa: ANN401 - as above
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(method("Fails"))(b"why", timeout=PATIENCE)
    error: Any = caught.value
    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert error.details() == "no such thing: é %"
    assert dict(error.trailing_metadata())["grpc-status-details-bin"] == b"\x08\x05why"


def test_a_method_that_is_not_there(channel: Any) -> None:  # noqa: ANN401 - as above
    """The server answers with trailers alone."""
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(method("Nothing"))(b"", timeout=PATIENCE)
    error: Any = caught.value
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("how", ["deadline", "cancel"])
def test_a_call_that_is_given_up(channel: Any, server: GrpcServer, how: str) -> None:  # noqa: ANN401 - as above
    """The server learns of it, and the connection goes on."""
    server.echo.cancelled.clear()
    server.echo.entered.clear()
    call = channel.unary_unary(method("Waits")).future(
        b"", timeout=0.5 if how == "deadline" else PATIENCE
    )
    assert server.echo.entered.wait(PATIENCE)
    if how == "cancel":
        call.cancel()
        code = grpc.StatusCode.CANCELLED
    else:
        code = grpc.StatusCode.DEADLINE_EXCEEDED
    assert call.code() is code
    assert server.echo.cancelled.wait(5)
    assert channel.unary_unary(method("Unary"))(b"on", timeout=PATIENCE) == b"on"


def test_many_calls_at_once(channel: Any) -> None:  # noqa: ANN401 - as above
    unary = channel.unary_unary(method("Unary"))
    calls = [unary.future(b"%d" % number, timeout=PATIENCE) for number in range(150)]
    assert [call.result() for call in calls] == [b"%d" % number for number in range(150)]


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    made = launch(CONFIG.format(port=1), tmp_path)
    try:
        wait_until_ready(made)
        with to(made) as channel, pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary(method("Unary"))(b"", timeout=PATIENCE)
        error: Any = caught.value
        assert error.code() is grpc.StatusCode.UNAVAILABLE
    finally:
        made.end()
