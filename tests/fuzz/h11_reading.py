"""h11's reading of the same bytes, and ours in the same words, to hold the two together."""

import h11

from proxy.message.head import RequestHead, ResponseHead
from proxy.message.hop_by_hop import REQUEST_FIELDS, RESPONSE_FIELDS

Fields = list[tuple[bytes, bytes]]
_CUT_REQUEST = frozenset(name.encode() for name in REQUEST_FIELDS)
_CUT_RESPONSE = frozenset(name.encode() for name in RESPONSE_FIELDS)


def h11_request(raw: bytes) -> h11.Request | None:
    """What h11 makes of a whole request head, None if it refuses."""
    machine = h11.Connection(h11.SERVER, max_incomplete_event_size=len(raw) + 1)
    machine.receive_data(raw)
    try:
        event = machine.next_event()
    except h11.RemoteProtocolError:
        return None
    return event if isinstance(event, h11.Request) else None


def h11_response(raw: bytes) -> h11.Response | h11.InformationalResponse | None:
    """What h11 makes of a whole answer's head, None if it refuses."""
    machine = h11.Connection(h11.CLIENT, max_incomplete_event_size=len(raw) + 1)
    upgrade = [("Host", "a"), ("Connection", "upgrade"), ("Upgrade", "websocket")]
    machine.send(h11.Request(method="GET", target="/", headers=upgrade))
    machine.send(h11.EndOfMessage())
    machine.receive_data(raw)
    try:
        event = machine.next_event()
    except h11.RemoteProtocolError:
        return None
    return event if isinstance(event, h11.Response | h11.InformationalResponse) else None


def fields_of(block: bytes) -> Fields:
    """A field block's names and values, read in the plainest way."""
    assert not block or block.endswith(b"\r\n")
    found = []
    for line in block.split(b"\r\n")[:-1]:
        name, colon, value = line.partition(b":")
        assert colon
        found.append((name, value.strip(b" \t")))
    return found


def values_of(fields: Fields, name: bytes) -> list[bytes]:
    return [value for each, value in fields if each.lower() == name]


def options_of(fields: Fields) -> set[bytes]:
    """What Connection says, in small letters."""
    said = b",".join(values_of(fields, b"connection")).lower().split(b",")
    return {option.strip(b" \t") for option in said}


def _named(fields: Fields) -> set[bytes]:
    """What Connection names, but for what it says of the connection itself."""
    return options_of(fields).difference((b"close", b"keep-alive", b""))


def forwarded(fields: Fields, *, request: bool) -> Fields:
    """The fields of h11's reading that a proxy passes on."""
    cut = (_CUT_REQUEST if request else _CUT_RESPONSE) | _named(fields)
    return [
        (name, value)
        for name, value in fields
        if name.lower() not in cut and not (request and _never_forwarded(name.lower()))
    ]


def _never_forwarded(name: bytes) -> bool:
    return b"_" in name or name.startswith(b"x-forwarded-")


def same_request(head: RequestHead, read: h11.Request) -> None:
    """Assert that a head says what h11 read."""
    fields = read.headers.raw_items()
    assert head.method.encode() == read.method
    assert head.version.encode() == b"HTTP/" + read.http_version
    assert fields_of(head.block) == forwarded(fields, request=True)
    lengths = [int(each) for each in values_of(fields, b"content-length")]
    assert lengths == ([] if head.content_length is None else [head.content_length])
    assert head.chunked == (values_of(fields, b"transfer-encoding") == [b"chunked"])
    assert not (head.chunked and lengths)
    options = options_of(fields)
    if head.version == "HTTP/1.1":
        assert head.keep_alive == (b"close" not in options)
    else:
        assert head.keep_alive == (b"keep-alive" in options and b"close" not in options)
    if head.upgrade:
        assert b"upgrade" in options
        assert values_of(fields, b"upgrade")[-1].lower() == b"websocket"


def same_response(head: ResponseHead, read: h11.Response | h11.InformationalResponse) -> None:
    """Assert that an answer's head says what h11 read."""
    fields = read.headers.raw_items()
    assert head.status == read.status_code
    assert head.reason.encode("latin-1") == read.reason
    assert fields_of(head.block) == forwarded(fields, request=False)
    lengths = [int(each) for each in values_of(fields, b"content-length")]
    assert lengths == ([] if head.content_length is None else [head.content_length])
    assert head.chunked == (values_of(fields, b"transfer-encoding") == [b"chunked"])
    assert not (head.chunked and lengths)
    assert head.dated == bool(values_of(fields, b"date"))
    if b"close" in options_of(fields):
        assert not head.keep_alive
