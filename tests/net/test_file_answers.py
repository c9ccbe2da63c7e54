import errno
import gzip
import os
from collections.abc import Iterator
from pathlib import Path

import brotli
import pytest

from proxy.errors import BadRequestError, ProxyError
from proxy.exchange.exchange import Exchange
from proxy.files.cache import Entry
from proxy.files.finding import SMALL, find
from proxy.files.plan import FilesPlan
from proxy.message.head import ResponseHead
from proxy.net.file_answers import FileAnswers, Pending, conclude
from proxy.policy.cache_headers import cache_age, cache_word
from proxy.policy.compression import compression
from proxy.policy.part import Encode, Shape
from tests.fakes.file_ends import Sink, Worker, exchange_of
from tests.fakes.wires import until

OLD = 1_700_000_000
STYLE = b"a { color: red }\n" * 200
ENCODE = compression(("zstd", "br", "gzip"), ("text/*",), 1000).encode
GZIP = "Accept-Encoding: gzip"


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker()
    yield worker
    worker.files.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    put(tmp_path / "style.css", STYLE)
    put(tmp_path / "photo.jpg", STYLE)
    put(tmp_path / "empty.css", b"")
    put(tmp_path / "large.css", bytes(2 * SMALL))
    return tmp_path


def put(path: Path, content: bytes, when: float = OLD) -> None:
    path.write_bytes(content)
    os.utime(path, (when, when))


def shaped(exchange: Exchange, head: ResponseHead) -> ResponseHead:
    made = ResponseHead(head.status, head.reason, head.block + b"Shaped: yes\r\n")
    made.content_length, made.dated = head.content_length, head.dated
    assert exchange.status == 0
    return made


class Route:
    """Answers of one route, with its cache, without its threads' looking."""

    def __init__(
        self, root: Path, worker: Worker, *shapes: Shape, encode: Encode | None = None
    ) -> None:
        self.plan = FilesPlan(str(root))
        self.worker = worker
        self.answers = FileAnswers(worker, shapes, encode)
        self.entries: dict[str, Entry] = {}

    async def ask(
        self, name: str, *lines: str, codings: tuple[str, ...] = (), method: str = "GET"
    ) -> tuple[Exchange, Sink]:
        """Answer with what there is, as after a look; wait for the end."""
        exchange, sink = exchange_of(f"/{name}", *lines, method=method)
        self.answer(exchange, name, codings)
        await until(lambda: sink.over)
        return exchange, sink

    def answer(
        self, exchange: Exchange, name: str, codings: tuple[str, ...], *, fallback: bool = False
    ) -> None:
        sighting = find(self.plan, name, codings, {})
        sighting.fallback = fallback
        body = sighting.body
        try:
            if body is None:
                self.answers.stream(exchange, sighting, full=False)
                return
            entry = self.worker.files.cache.seen(name, sighting, exchange.started + 1)
            self.entries[name] = entry
            self.answers.whole(exchange, entry, codings, sighting.coding, body, fallback=fallback)
        finally:
            sighting.close()

    def repeat(self, name: str, *lines: str, codings: tuple[str, ...] = ()) -> Sink | None:
        """Ask again; None if somebody has to look first."""
        exchange, sink = exchange_of(f"/{name}", *lines)
        return sink if self.answers.repeat(exchange, self.entries[name], codings) else None


def status(sink: Sink) -> int:
    assert sink.head is not None
    return sink.head.status


async def test_an_answer_has_the_routes_headers(root: Path, worker: Worker) -> None:
    route = Route(root, worker, shaped)
    _, sink = await route.ask("style.css")
    assert sink.body == STYLE
    assert sink.field("Shaped") == "yes"
    assert sink.field("Date") == "Thu, 01 Jan 1970 00:00:00 GMT"
    assert sink.head is not None
    assert sink.head.dated
    _, large = await route.ask("large.css")
    assert large.field("Shaped") == "yes"
    assert len(large.body) == 2 * SMALL


async def test_what_stands_in_for_nothing_is_asked_for_again(root: Path, worker: Worker) -> None:
    aged = cache_age(60, lambda: 0.0, immutable=False).shape
    kept_by_nobody = cache_word("no-store").shape
    assert aged is not None
    assert kept_by_nobody is not None
    for shapes, said in (((), "no-cache"), ((aged,), "no-cache"), ((kept_by_nobody,), "no-store")):
        route = Route(root, worker, *shapes)
        for name in ("style.css", "large.css"):
            exchange, sink = exchange_of("/nothing")
            route.answer(exchange, name, (), fallback=True)
            await until(lambda sink=sink: sink.over)  # type: ignore[misc]
            assert status(sink) == 200
            assert sink.field("Cache-Control") == said
            assert exchange.plan is None  # there may be something when it comes again


async def test_a_shape_may_refuse(root: Path, worker: Worker) -> None:
    def refuse(_exchange: Exchange, _head: ResponseHead) -> ResponseHead:
        raise BadRequestError("no", status=403)

    route = Route(root, worker, refuse)
    for name in ("style.css", "large.css"):
        with pytest.raises(BadRequestError):
            await route.ask(name)


async def test_what_a_client_has_is_remembered_with_its_head(root: Path, worker: Worker) -> None:
    route = Route(root, worker)
    _, first = await route.ask("style.css")
    exchange, sink = await route.ask("style.css", f"If-None-Match: {first.field('ETag')}")
    assert status(sink) == 304
    assert sink.head is not None
    assert sink.head.content_length is None
    assert exchange.plan is not None
    again = route.repeat("style.css", 'If-None-Match: "other"')
    assert again is not None
    assert status(again) == 200


async def test_parts_come_from_memory_and_are_not_remembered(root: Path, worker: Worker) -> None:
    route = Route(root, worker)
    exchange, sink = await route.ask("style.css", "Range: bytes=2-8")
    assert (status(sink), sink.body) == (206, STYLE[2:9])
    assert exchange.plan is None
    _, several = await route.ask("style.css", "Range: bytes=0-1,1000-1001")
    assert several.head is not None
    assert len(several.body) == several.head.content_length
    assert several.body.count(b"Content-Range: bytes ") == 2
    with pytest.raises(BadRequestError):
        await route.ask("style.css", "Range: bytes=90000-")


async def test_parts_of_a_large_file_are_streamed(root: Path, worker: Worker) -> None:
    content = os.urandom(2 * SMALL)
    put(root / "large.css", content)
    route = Route(root, worker)
    _, sink = await route.ask("large.css", "Range: bytes=300000-300009")
    assert (status(sink), sink.body) == (206, content[300000:300010])
    _, several = await route.ask("large.css", "Range: bytes=0-1,-5")
    assert several.head is not None
    assert len(several.body) == several.head.content_length
    assert content[-5:] in several.body


async def test_an_empty_file(root: Path, worker: Worker) -> None:
    _, sink = await Route(root, worker).ask("empty.css")
    assert sink.head is not None
    assert (status(sink), sink.head.content_length, sink.body) == (200, 0, b"")


async def test_a_neighbour_goes_out_in_place_of_the_file(root: Path, worker: Worker) -> None:
    put(root / "style.css.br", b"brotli")
    put(root / "style.css.gz", b"gzip")
    route = Route(root, worker, encode=ENCODE)
    _, sink = await route.ask("style.css", "Accept-Encoding: br", codings=("br",))
    assert sink.body == b"brotli"
    assert sink.field("Content-Encoding") == "br"
    assert sink.field("Vary") == "Accept-Encoding"
    assert sink.field("Content-Type") == "text/css; charset=utf-8"
    assert route.repeat("style.css", GZIP, codings=("gzip",)) is None  # nobody read it yet
    _, other = await route.ask("style.css", GZIP, codings=("gzip",))
    assert other.body == b"gzip"
    assert other.field("ETag") != sink.field("ETag")
    _, plain = await route.ask("style.css")
    assert plain.body == STYLE
    assert plain.field("Vary") == "Accept-Encoding"
    for codings, body in ((("br",), b"brotli"), (("gzip",), b"gzip"), ((), STYLE)):
        again = route.repeat("style.css", codings=codings)
        assert again is not None
        assert again.body == body


async def test_a_small_file_is_encoded_once(
    root: Path, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    route = Route(root, worker, encode=ENCODE)
    _, sink = await route.ask("style.css", GZIP, codings=("gzip",))
    assert gzip.decompress(sink.body) == STYLE
    assert sink.head is not None
    assert sink.head.content_length == len(sink.body)
    assert sink.field("Content-Encoding") == "gzip"
    assert sink.field("Vary") == "Accept-Encoding"
    assert (sink.field("ETag") or "").startswith("W/")
    assert sink.field("Accept-Ranges") is None
    monkeypatch.setattr(
        "proxy.net.file_answers.compress_once", lambda *_: pytest.fail("was made again")
    )
    again = route.repeat("style.css", GZIP, codings=("gzip",))
    assert again is not None
    assert again.body is sink.body
    _, odd = await route.ask("style.css", GZIP, 'If-None-Match: "x"', codings=("gzip",))
    assert odd.body is sink.body


async def test_whoever_comes_meanwhile_gets_the_same(root: Path, worker: Worker) -> None:
    route = Route(root, worker, encode=ENCODE)
    asked = [exchange_of("/style.css", "Accept-Encoding: br") for _ in range(4)]
    for exchange, _ in asked:
        route.answer(exchange, "style.css", ("br",))
    gone, nothing = asked.pop()
    gone.consumer = None
    await until(lambda: all(sink.over for _, sink in asked))
    assert len({id(sink.body) for _, sink in asked}) == 1
    assert brotli.decompress(asked[0][1].body) == STYLE
    assert nothing.head is None


async def test_each_coding_is_kept(root: Path, worker: Worker) -> None:
    route = Route(root, worker, encode=ENCODE)
    await route.ask("style.css", GZIP, codings=("gzip",))
    await route.ask("style.css", "Accept-Encoding: zstd", codings=("zstd",))
    assert set(route.entries["style.css"].encoded) == {"gzip", "zstd"}
    plain = route.repeat("style.css")
    assert plain is not None
    assert plain.body == STYLE
    assert plain.field("Vary") == "Accept-Encoding"
    assert (plain.field("ETag") or "").startswith('"')


async def test_what_does_not_shrink_goes_out_as_it_is(root: Path, worker: Worker) -> None:
    route = Route(root, worker, encode=ENCODE)
    _, sink = await route.ask("photo.jpg", GZIP, codings=("gzip",))
    assert sink.body == STYLE
    assert sink.field("Vary") is None


async def test_a_part_is_one_of_the_file_itself(root: Path, worker: Worker) -> None:
    route = Route(root, worker, encode=ENCODE)
    _, sink = await route.ask("style.css", GZIP, "Range: bytes=0-9", codings=("gzip",))
    assert (status(sink), sink.body) == (206, STYLE[:10])
    assert sink.field("Content-Encoding") is None


async def test_a_client_that_has_the_encoded_one_keeps_it(root: Path, worker: Worker) -> None:
    route = Route(root, worker, encode=ENCODE)
    _, sink = await route.ask("style.css", GZIP, codings=("gzip",))
    tag = sink.field("ETag")
    _, again = await route.ask("style.css", GZIP, f"If-None-Match: {tag}", codings=("gzip",))
    assert status(again) == 304
    assert again.field("ETag") == tag
    assert again.field("Vary") == "Accept-Encoding"


async def test_head_tells_of_the_same_answer(root: Path, worker: Worker) -> None:
    route = Route(root, worker, encode=ENCODE)
    for name in ("style.css", "large.css"):
        _, sink = await route.ask(name, GZIP, codings=("gzip",), method="HEAD")
        assert sink.field("Content-Encoding") == "gzip"
        assert sink.body == b""
    got = route.repeat("style.css", GZIP, codings=("gzip",))
    assert got is not None
    await until(lambda: got.over)
    assert gzip.decompress(got.body) == STYLE  # what HEAD was told is not kept for GET


async def test_a_client_that_wants_no_other_form_gets_none(root: Path, worker: Worker) -> None:
    route = Route(root, worker, encode=ENCODE)
    await route.ask("style.css", GZIP, codings=("gzip",))
    line = "Cache-Control: no-transform"
    _, sink = await route.ask("style.css", GZIP, line, codings=("gzip",))
    assert sink.body == STYLE
    again = route.repeat("style.css", GZIP, codings=("gzip",))
    assert again is not None
    assert again.body != STYLE


async def test_a_large_file_is_encoded_as_it_passes(root: Path, worker: Worker) -> None:
    route = Route(root, worker, encode=ENCODE)
    _, sink = await route.ask("large.css", GZIP, codings=("gzip",))
    assert gzip.decompress(sink.body) == bytes(2 * SMALL)
    assert sink.head is not None
    assert sink.head.content_length is None
    assert sink.field("Accept-Ranges") is None


async def test_what_just_changed_is_not_remembered(root: Path, worker: Worker) -> None:
    (root / "style.css").write_bytes(STYLE)  # now
    route = Route(root, worker)
    exchange, sink = await route.ask("style.css")
    assert (sink.field("ETag") or "").startswith("W/")
    assert exchange.plan is None
    assert not route.entries["style.css"].ready


async def test_an_encoder_that_fails_is_a_500(
    root: Path, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_coding: str, _data: bytes) -> bytes:
        raise ValueError

    monkeypatch.setattr("proxy.net.file_answers.compress_once", fail)
    exchange, _ = exchange_of("/style.css", GZIP)
    Route(root, worker, encode=ENCODE).answer(exchange, "style.css", ("gzip",))
    await until(lambda: worker.errors)
    assert worker.errors[0].status == 500


@pytest.mark.parametrize(
    ("error", "answered"),
    [
        (BadRequestError("x", status=412), 412),
        (OSError(errno.ENFILE, "Too many"), 503),
        (OSError(errno.EIO, "Input/output error"), 500),
        (ZeroDivisionError(), 500),
    ],
)
def test_errors_of_threads_are_answered(worker: Worker, error: Exception, answered: int) -> None:
    def act() -> None:
        raise error

    exchange, _ = exchange_of("/")
    conclude(worker, Pending(exchange), act)
    assert [each.status for each in worker.errors] == [answered]
    assert isinstance(worker.errors[0], ProxyError)


def test_who_left_is_not_answered(worker: Worker) -> None:
    exchange, _ = exchange_of("/")
    pending = Pending(exchange)
    assert pending.wanted
    exchange.consumer = None
    conclude(worker, pending, lambda: pytest.fail("nobody waits"))
    assert not worker.errors
