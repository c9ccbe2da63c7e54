from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, Request, TextMessage

from benchmarks import websocket_echo
from benchmarks.bodies import SMALL
from benchmarks.websocket_clients import ANSWER, MESSAGE


def test_the_handshake_is_one_that_a_library_takes() -> None:
    client = WSConnection(ConnectionType.CLIENT)
    head = client.send(Request(host="localhost", target="/chat"))
    upgraded, answer = websocket_echo.answered(head)
    client.receive_data(answer)
    assert upgraded
    assert [type(event) for event in client.events()] == [AcceptConnection]


def test_what_is_no_handshake_gets_the_small_answer() -> None:
    upgraded, answer = websocket_echo.answered(b"GET /small HTTP/1.1\r\nHost: localhost\r\n")
    assert not upgraded
    assert answer.endswith(b"\r\n\r\n" + b"x" * SMALL)


def test_messages_come_back_and_the_rest_waits() -> None:
    data = MESSAGE * 3 + MESSAGE[:7]
    assert websocket_echo.echoed(data) == (ANSWER * 3, MESSAGE[:7], False)
    assert websocket_echo.echoed(b"") == (b"", b"", False)


def test_a_close_is_answered_after_what_came_before() -> None:
    close = b"\x88\x82\0\0\0\0\x03\xe9"
    assert websocket_echo.echoed(MESSAGE + close) == (ANSWER + b"\x88\x00", b"", True)


def test_a_library_reads_the_answers() -> None:
    client = WSConnection(ConnectionType.CLIENT)
    head = client.send(Request(host="localhost", target="/chat"))
    client.receive_data(websocket_echo.answered(head)[1] + ANSWER + b"\x88\x00")
    _, message, closed = client.events()
    assert isinstance(message, TextMessage)
    assert len(message.data) == 32
    assert isinstance(closed, CloseConnection)
