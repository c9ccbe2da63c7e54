"""A gRPC server of methods that take and give raw bytes: no generated code is needed."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

MESSAGE_LIMIT = 16 * 1024 * 1024
OPTIONS = (
    ("grpc.max_receive_message_length", MESSAGE_LIMIT),
    ("grpc.max_send_message_length", MESSAGE_LIMIT),
)
SERVICE = "test.Echo"


class Echo:
    """The methods, and what happened in them.

    Attributes:
        cancelled: Set when a call ended before its answer.
        metadata: Of the last unary call.
    """

    def __init__(self) -> None:
        self.cancelled = threading.Event()
        self.entered = threading.Event()
        self.metadata: dict[str, str | bytes] = {}

    def unary(self, request: bytes, call: Any) -> bytes:  # noqa: ANN401 - grpcio has no types
        self.metadata = dict(call.invocation_metadata())
        call.send_initial_metadata((("x-first", "begin"),))
        call.set_trailing_metadata((("x-last", "end"), ("x-last-bin", b"\x00\xff")))
        return request

    def down(self, request: bytes, call: Any) -> Iterator[bytes]:  # noqa: ANN401, ARG002 - as above
        count, size = map(int, request.split())
        for number in range(count):
            yield b"%d" % number + b"." * size

    def up(self, requests: Iterator[bytes], call: Any) -> bytes:  # noqa: ANN401, ARG002 - as above
        sizes = [len(request) for request in requests]
        return b"%d %d" % (len(sizes), sum(sizes))

    def both(self, requests: Iterator[bytes], call: Any) -> Iterator[bytes]:  # noqa: ANN401, ARG002 - as above
        for request in requests:
            yield b"re: " + request

    def fails(self, request: bytes, call: Any) -> bytes:  # noqa: ANN401 - as above
        call.set_trailing_metadata((("grpc-status-details-bin", b"\x08\x05" + request),))
        call.abort(grpc.StatusCode.NOT_FOUND, "no such thing: é %")
        raise AssertionError

    def waits(self, request: bytes, call: Any) -> bytes:  # noqa: ANN401 - as above
        call.add_callback(self.cancelled.set)
        self.entered.set()
        self.cancelled.wait(20)
        return request


class GrpcServer:
    """A running one on 127.0.0.1."""

    def __init__(self, port: int = 0) -> None:
        self.echo = echo = Echo()
        self._server = grpc.server(ThreadPoolExecutor(max_workers=16), options=OPTIONS)
        handlers = {
            "Unary": grpc.unary_unary_rpc_method_handler(echo.unary),
            "Down": grpc.unary_stream_rpc_method_handler(echo.down),
            "Up": grpc.stream_unary_rpc_method_handler(echo.up),
            "Both": grpc.stream_stream_rpc_method_handler(echo.both),
            "Fails": grpc.unary_unary_rpc_method_handler(echo.fails),
            "Waits": grpc.unary_unary_rpc_method_handler(echo.waits),
        }
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(SERVICE, handlers),)
        )
        self.port = self._server.add_insecure_port(f"127.0.0.1:{port}")
        self._server.start()

    def close(self) -> None:
        self.echo.cancelled.set()
        self._server.stop(0).wait(10)
