import pytest

from proxy.compiler.chain import Chains
from proxy.compiler.compression import compile_compression
from proxy.compiler.policies import policy_parts
from proxy.message.head import ResponseHead
from proxy.policy.part import Part
from proxy.policy.response_headers import response_headers
from tests.compiler.scopes import scope_of
from tests.fakes.exchanges import looked_at


def codings(part: Part | None, length: int = 5000, kind: str = "text/html") -> list[str]:
    """Which codings a client gets that takes all, and each alone."""
    assert part is not None
    assert part.encode is not None
    found = []
    for accepts in (b"gzip, br, zstd", b"gzip", b"br", b"zstd"):
        head = ResponseHead(200, "OK", f"Content-Type: {kind}\r\n".encode())
        head.content_length = length
        exchange = looked_at(block=b"Accept-Encoding: " + accepts + b"\r\n")
        block = part.encode(exchange, head)[0].block
        found.append(block.partition(b"Content-Encoding: ")[2].strip().decode())
    return found


def test_on_unless_told_otherwise() -> None:
    part = compile_compression(scope_of("proxy: app"))
    assert codings(part) == ["zstd", "gzip", "br", "zstd"]
    assert codings(part, kind="application/json") == ["zstd", "gzip", "br", "zstd"]
    assert codings(part, kind="image/png") == [""] * 4
    assert codings(part, length=1023) == [""] * 4


@pytest.mark.parametrize(
    ("route", "site"),
    [
        ("proxy: app\ncompress: off", ""),
        ("proxy: app", "compress: off"),
        ("respond: hello", ""),
        ("redirect: /x", ""),
        ("proxy: app\nresponse_headers: {cache-control: 'public, No-Transform'}", ""),
        ("proxy: app\nresponse_headers: {Content-Encoding: gzip}", ""),
    ],
)
def test_where_nothing_is_to_be_encoded(route: str, site: str) -> None:
    route = route.replace("respond: hello", "respond: {body: hello}")
    assert compile_compression(scope_of(route, site)) is None


def test_the_route_decides_before_the_site() -> None:
    own = "proxy: app\ncompress: {algorithms: gzip, types: [image/*], min_size: 10KB}"
    part = compile_compression(scope_of(own, "compress: off"))
    assert codings(part, 10240, "image/png") == ["gzip", "gzip", "", ""]
    assert codings(part, 10239, "image/png") == [""] * 4
    assert codings(part, 10240) == [""] * 4
    site = "compress: {algorithms: [br, gzip, gzip]}"
    assert codings(compile_compression(scope_of("proxy: app", site))) == ["gzip", "gzip", "br", ""]
    files = compile_compression(scope_of("files: /srv/www\ncompress: on", "compress: off"))
    assert codings(files) == ["zstd", "gzip", "br", "zstd"]


def test_routes_compressed_alike_share_what_they_remember() -> None:
    first, second = (compile_compression(scope_of(f"proxy: {name}")) for name in ("app", "app"))
    assert first is not None
    assert first is second
    by_hand = "proxy: app\nresponse_headers: {Vary: Cookie}"
    third, fourth = (compile_compression(scope_of(by_hand)) for _ in range(2))
    assert third is not None
    assert third is fourth
    assert third is not first
    assert compile_compression(scope_of("proxy: app\ncompress: {min_size: 2KB}")) is not first


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("Cookie", b"Vary: Cookie\r\nVary: Accept-Encoding\r\n"),
        ("null", b"Vary: Accept-Encoding\r\n"),
        ("'Cookie, accept-encoding'", b"Vary: Cookie, accept-encoding\r\n"),
        ("'*'", b"Vary: *\r\n"),
    ],
)
def test_a_vary_given_by_hand_does_not_mislead_caches(given: str, sent: bytes) -> None:
    scope = scope_of(f"proxy: app\nresponse_headers: {{Vary: {given}}}")
    part = compile_compression(scope)
    assert part is not None
    headers = response_headers(scope.settings.headers_of(scope.site, scope.route))
    chain = Chains().chain([headers, part])
    for edit in (chain.edit, chain.edit_plain):
        block = edit.apply(b"A: b\r\nVary: Origin, Accept-Encoding\r\n")
        assert b"".join(line for line in block.splitlines(True) if b"Vary" in line) == sent  # noqa: FBT003 - keeps the ends


def test_it_is_among_the_policies() -> None:
    names = [part.name for part in policy_parts(scope_of("proxy: app"))]
    assert "compression" in names
