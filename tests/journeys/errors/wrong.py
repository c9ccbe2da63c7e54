"""Requests that must be refused."""


def in_chunks(body: bytes, path: str = "/") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head.encode() + body


def with_fields(*lines: bytes, method: bytes = b"POST") -> bytes:
    return method + b" / HTTP/1.1\r\nHost: localhost\r\n" + b"\r\n".join(lines) + b"\r\n\r\n"


# What two parsers could read differently. Behind each stands what would be a second request if
# anybody read the first one otherwise.

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
REFUSED = {
    "length and chunked": (400, with_fields(b"Content-Length: 4", b"Transfer-Encoding: chunked")),
    "chunked and length": (400, with_fields(b"Transfer-Encoding: chunked", b"Content-Length: 4")),
    "two lengths": (400, with_fields(b"Content-Length: 0", b"Content-Length: 44")),
    "two same lengths": (400, with_fields(b"Content-Length: 44", b"Content-Length: 44")),
    "lengths in a list": (400, with_fields(b"Content-Length: 0, 44")),
    "signed length": (400, with_fields(b"Content-Length: +44")),
    "negative length": (400, with_fields(b"Content-Length: -1")),
    "hexadecimal length": (400, with_fields(b"Content-Length: 0x2c")),
    "underscored length": (400, with_fields(b"Content-Length: 4_4")),
    "empty length": (400, with_fields(b"Content-Length:")),
    "length of other digits": (400, with_fields("Content-Length: \u0664".encode())),
    "endless length": (400, with_fields(b"Content-Length: " + b"9" * 30)),
    "two encodings": (400, with_fields(*[b"Transfer-Encoding: chunked"] * 2)),
    "encodings in a list": (501, with_fields(b"Transfer-Encoding: gzip, chunked")),
    "chunked in disguise": (501, with_fields(b"Transfer-Encoding: xchunked")),
    "chunked and identity": (501, with_fields(b"Transfer-Encoding: chunked, identity")),
    "chunked with vertical tab": (400, with_fields(b"Transfer-Encoding: \x0bchunked")),
    "chunked of HTTP/1.0": (
        400, b"POST / HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
    ),
    "space before the colon": (400, with_fields(b"Transfer-Encoding : chunked")),
    "tab before the colon": (400, with_fields(b"Content-Length\t: 44")),
    "folded line": (400, with_fields(b"X-A: b", b" Content-Length: 44")),
    "folded first line": (400, b"GET / HTTP/1.1\r\n Host: localhost\r\n\r\n"),
    "bare LF": (400, b"GET / HTTP/1.1\nHost: localhost\n\n"),
    "bare LF within": (400, with_fields(b"X-A: b\nContent-Length: 44")),
    "bare CR": (400, with_fields(b"X-A: b\rContent-Length: 44")),
    "NUL": (400, with_fields(b"X-A: b\x00c")),
    "NUL in a name": (400, with_fields(b"X-\x00A: b")),
    "control byte": (400, with_fields(b"X-A: b\x01c")),
    "no colon": (400, with_fields(b"X-A")),
    "no name": (400, with_fields(b": b")),
    "no Host": (400, b"GET / HTTP/1.1\r\n\r\n"),
    "two Hosts": (400, with_fields(b"Host: localhost")),
    "a list of Hosts": (400, b"GET / HTTP/1.1\r\nHost: localhost, localhost\r\n\r\n"),
    "Host with a user": (400, b"GET / HTTP/1.1\r\nHost: a@localhost\r\n\r\n"),
    "Host with a path": (400, b"GET / HTTP/1.1\r\nHost: localhost/x\r\n\r\n"),
    "Host with a bad port": (400, b"GET / HTTP/1.1\r\nHost: localhost:x\r\n\r\n"),
    "target with a space": (400, b"GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "target with a tab": (400, b"GET /a\tb HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "target with a fragment": (400, b"GET /a#b HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "target with other bytes": (400, b"GET /\xc3\xa9 HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "target without a slash": (400, b"GET a HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "dot segments": (400, b"GET /only-get/../ HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "encoded dot segments": (400, b"GET /a%2F.%2e/ HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "asterisk of GET": (400, b"GET * HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "absolute with a user": (400, b"GET http://a@localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "absolute of another kind": (400, b"GET ftp://localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "two spaces": (400, b"GET  / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "no version": (400, b"GET /\r\nHost: localhost\r\n\r\n"),
    "version 2": (505, b"GET / HTTP/2.0\r\nHost: localhost\r\n\r\n"),
    "version 1.2": (505, b"GET / HTTP/1.2\r\nHost: localhost\r\n\r\n"),
    "odd version": (400, b"GET / HTTP/1.10\r\nHost: localhost\r\n\r\n"),
    "lower-case version": (400, b"GET / http/1.1\r\nHost: localhost\r\n\r\n"),
    "preface of HTTP/2": (None, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "method with a colon": (400, b"GE:T / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "method in small letters": (400, b"post / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "method in small letters in part": (400, b"GEt / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "CONNECT": (501, b"CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443\r\n\r\n"),
    "TRACE": (501, b"TRACE / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "unknown expectation": (417, with_fields(b"Expect: 200-ok")),
    "empty lines": (400, b"\r\n" * 20),
    "space before the method": (400, b" GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "TLS within TLS": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    "chunk size not hexadecimal": (400, in_chunks(b"g\r\n")),
    "chunk size with a prefix": (400, in_chunks(b"0x5\r\nhello\r\n0\r\n\r\n")),
    "chunk size with a sign": (400, in_chunks(b"+5\r\nhello\r\n0\r\n\r\n")),
    "chunk size missing": (400, in_chunks(b"\r\n\r\n")),
    "chunk size too long": (400, in_chunks(b"0" * 40 + b"5\r\nhello\r\n0\r\n\r\n")),
    "chunk size of 64 bits": (400, in_chunks(b"fffffffffffffffffffff\r\n")),
    "chunk longer than it says": (400, in_chunks(b"4\r\nhello\r\n0\r\n\r\n")),
    "chunk shorter than it says": (400, in_chunks(b"6\r\nhello\r\n0\r\n\r\n")),
    "chunk ended by a bare LF": (400, in_chunks(b"5\r\nhello\n0\r\n\r\n")),
    "chunk size ended by a bare LF": (400, in_chunks(b"5\nhello\r\n0\r\n\r\n")),
    "extension with a bare LF": (400, in_chunks(b"5;a\nb\r\nhello\r\n0\r\n\r\n")),
    "extension with a bare CR": (400, in_chunks(b"5;a\rb\r\nhello\r\n0\r\n\r\n")),
    "last chunk ended by a bare LF": (400, in_chunks(b"0\n\r\n")),
    "trailers ended by a bare LF": (400, in_chunks(b"0\r\nX-A: b\n\r\n")),
    "folded trailer": (400, in_chunks(b"0\r\nX-A: b\r\n c\r\n\r\n")),
    "bad trailer": (400, in_chunks(b"0\r\nX A: b\r\n\r\n")),
}  # fmt: skip
