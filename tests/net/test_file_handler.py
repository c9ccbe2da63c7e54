import asyncio
import errno
import logging
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from proxy.errors import BadRequestError
from proxy.files.finding import SMALL
from proxy.files.plan import FilesPlan
from proxy.net.file_desk import FileDesk
from proxy.net.file_handler import FileHandler
from proxy.routing.route import Route
from proxy.routing.table import RouteTable
from tests.fakes.file_ends import Sink, Worker, exchange_of
from tests.fakes.wires import until

OLD = 1_700_000_000


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker()
    yield worker
    worker.files.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    put(root / "index.html", b"first page")
    put(root / "sub/index.html", b"sub")
    put(root / "large.txt", bytes(SMALL + 1))
    return root


def put(path: Path, content: bytes, when: float = OLD) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (when, when))


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


class Looks:
    """Counts how often threads look, and holds them up while `go` is clear."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from proxy.files.finding import find  # noqa: PLC0415 - the real one, before it is replaced

        self.count = 0
        self.go = threading.Event()
        self.go.set()

        def counted(*given: object) -> object:
            self.count += 1
            assert self.go.wait(10)
            return find(*given)  # type: ignore[arg-type]  # passed on as it came

        monkeypatch.setattr("proxy.net.file_handler.find", counted)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    return Looks(monkeypatch)


def handler(root: Path, worker: Worker, *routes: Route, **plan: object) -> FileHandler:
    route = Route("/")
    made = FilesPlan(str(root), **plan)  # type: ignore[arg-type]  # whatever a test may want
    return FileHandler(route, made, worker, RouteTable({}, {"/": (*routes, route)}))


async def ask(handler: FileHandler, target: str, *lines: str, method: str = "GET") -> Sink:
    """Ask, and wait for the whole answer."""
    exchange, sink = exchange_of(target, *lines, method=method)
    handler.serve(exchange)
    await until(lambda: sink.over)
    return sink


async def failed(handler: FileHandler, worker: Worker, target: str) -> BadRequestError:
    """Ask, and wait for the error."""
    exchange, _ = exchange_of(target)
    handler.serve(exchange)
    await until(lambda: worker.errors)
    error = worker.errors.pop()
    assert isinstance(error, BadRequestError)
    return error


async def test_a_file_is_answered(root: Path, worker: Worker) -> None:
    sink = await ask(handler(root, worker), "/")
    assert sink.head is not None
    assert (sink.head.status, sink.head.content_length) == (200, 10)
    assert sink.body == b"first page"
    assert sink.field("Content-Type") == "text/html; charset=utf-8"


async def test_what_is_behind_the_prefix_is_beneath_the_root(root: Path, worker: Worker) -> None:
    served = handler(root, worker, prefix="/static/")
    assert (await ask(served, "/static/sub/index.html?v=1")).body == b"sub"
    assert (await failed(served, worker, "/static/static/index.html")).status == 404


async def test_the_second_time_it_is_in_memory(root: Path, worker: Worker, looks: Looks) -> None:
    served = handler(root, worker)
    await ask(served, "/index.html")
    exchange, sink = exchange_of("/index.html")
    served.serve(exchange)
    assert sink.over  # at once
    assert sink.body == b"first page"
    assert looks.count == 1


async def test_a_repeated_head_has_its_answer_ready(root: Path, worker: Worker) -> None:
    served = handler(root, worker)
    await ask(served, "/index.html")
    exchange, first = exchange_of("/index.html")
    served.serve(exchange)
    again, second = exchange_of("/index.html")
    again.plan = exchange.plan
    again.head.path = "/not looked at"
    served.serve(again)
    assert second.body == b"first page"
    assert second.head is first.head  # so that what is prepared of it serves again


async def test_after_a_second_somebody_looks_again(
    root: Path, worker: Worker, looks: Looks
) -> None:
    served = handler(root, worker)
    await ask(served, "/index.html")
    put(root / "index.html", b"new page", OLD + 1)
    exchange, sink = exchange_of("/index.html")
    served.serve(exchange)
    assert sink.body == b"first page"
    later, changed = exchange_of("/index.html")
    later.started += 1.1
    later.plan = exchange.plan
    served.serve(later)
    await until(lambda: changed.over)
    assert changed.body == b"new page"
    assert looks.count == 2


async def test_what_did_not_change_is_not_read_again(
    root: Path, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = handler(root, worker)
    first = await ask(served, "/index.html")
    monkeypatch.setattr("proxy.files.finding._read", lambda *_: pytest.fail("was read"))
    later, second = exchange_of("/index.html")
    later.started += 1.1
    served.serve(later)
    await until(lambda: second.over)
    assert second.body is first.body


async def test_a_file_that_is_gone_is_gone(root: Path, worker: Worker) -> None:
    served = handler(root, worker)
    await ask(served, "/index.html")
    (root / "index.html").unlink()
    later, _ = exchange_of("/index.html")
    later.started += 1.1
    served.serve(later)
    await until(lambda: worker.errors)
    assert worker.errors[0].status == 404


async def test_who_asks_the_same_meanwhile_is_told_the_same(
    root: Path, worker: Worker, looks: Looks
) -> None:
    served = handler(root, worker)
    looks.go.clear()
    asked = [exchange_of("/index.html") for _ in range(5)]
    for exchange, _ in asked:
        served.serve(exchange)
    gone, nothing = asked.pop()
    gone.consumer = None
    looks.go.set()
    await until(lambda: all(sink.over for _, sink in asked))
    assert looks.count == 1
    assert [sink.body for _, sink in asked] == [b"first page"] * 4
    assert nothing.head is None


async def test_of_a_large_file_everybody_has_his_own(
    root: Path, worker: Worker, looks: Looks
) -> None:
    served = handler(root, worker)
    before = open_files()
    looks.go.clear()
    asked = [exchange_of("/large.txt") for _ in range(3)]
    for exchange, _ in asked:
        served.serve(exchange)
    looks.go.set()
    await until(lambda: all(sink.over for _, sink in asked))
    assert all(len(sink.body) == SMALL + 1 for _, sink in asked)
    assert looks.count == 3
    assert open_files() == before
    assert len(worker.files.cache) == 0


async def test_a_large_file_too_many_is_refused_and_closed(root: Path, worker: Worker) -> None:
    worker.files = FileDesk(0)
    served = handler(root, worker)
    before = open_files()
    exchange, sink = exchange_of("/large.txt")
    served.serve(exchange)
    await until(lambda: worker.errors)
    assert [error.status for error in worker.errors] == [503]
    assert sink.head is None
    assert open_files() == before
    worker.files.close()


async def test_a_large_file_nobody_waits_for_is_closed(
    root: Path, worker: Worker, looks: Looks
) -> None:
    served = handler(root, worker)
    before = open_files()
    exchange, sink = exchange_of("/large.txt")
    looks.go.clear()
    served.serve(exchange)
    assert exchange.consumer is not None
    exchange.consumer.body_received(b"x")
    exchange.consumer.body_ended(b"")
    exchange.consumer.client_gone()
    exchange.consumer = None
    looks.go.set()
    await until(lambda: not served._looks)
    await asyncio.sleep(0.01)
    assert sink.head is None
    assert open_files() == before


async def test_a_client_that_was_full_before_is_waited_for(
    root: Path, worker: Worker, looks: Looks
) -> None:
    served = handler(root, worker)
    exchange, sink = exchange_of("/large.txt")
    looks.go.clear()
    served.serve(exchange)
    assert exchange.consumer is not None
    exchange.consumer.client_ready()
    exchange.consumer.client_full()
    looks.go.set()
    await until(lambda: sink.head is not None)
    await asyncio.sleep(0.01)
    assert not sink.pieces
    exchange.consumer.client_ready()
    await until(lambda: sink.over)


@pytest.mark.parametrize(
    ("target", "location"),
    [
        ("/sub", "/sub/"),
        ("/sub?a=/b", "/sub/?a=/b"),
        ("//sub", "/sub/"),
        ("///s%75b?", "/s%75b/?"),
    ],
)
async def test_a_folder_is_one_with_a_slash(
    root: Path, worker: Worker, target: str, location: str
) -> None:
    sink = await ask(handler(root, worker), target)
    assert sink.head is not None
    assert sink.head.status == 301
    assert sink.field("Location") == location
    assert sink.head.content_length == 0


async def test_nothing_is_404(root: Path, worker: Worker) -> None:
    served = handler(root, worker)
    for target in ("/x", "/sub/x", "/index.html/", "/.hidden"):
        assert (await failed(served, worker, target)).status == 404
    assert len(worker.files.cache) == 0


async def test_the_fallback_is_kept_once_for_all_paths(
    root: Path, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = handler(root, worker, fallback="index.html")
    for target in ("/one", "/two"):
        sink = await ask(served, target)
        assert sink.body == b"first page"
        assert sink.field("Cache-Control") == "no-cache"
        monkeypatch.setattr("proxy.files.finding._read", lambda *_: pytest.fail("was read"))
    assert len(worker.files.cache) == 1
    put(root / "one", b"now there", OLD)
    monkeypatch.undo()
    assert (await ask(served, "/one")).body == b"now there"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"])
async def test_other_methods_are_refused(root: Path, worker: Worker, method: str) -> None:
    exchange, _ = exchange_of("/index.html", method=method)
    with pytest.raises(BadRequestError) as caught:
        handler(root, worker).serve(exchange)
    assert caught.value.status == 405
    assert caught.value.fields == b"Allow: GET, HEAD\r\n"


async def test_methods_of_other_routes_are_named(root: Path, worker: Worker) -> None:
    hidden = Route("hidden", methods=frozenset({"PATCH"}))
    route = Route("/")
    plan = FilesPlan(str(root))
    routes = RouteTable(
        {"/index.html": (Route("x", methods=frozenset({"PUT"})),)},
        {"/": (Route("/", methods=frozenset({"POST"})), route, hidden)},
    )
    exchange, _ = exchange_of("/index.html", method="DELETE")
    with pytest.raises(BadRequestError) as caught:
        FileHandler(route, plan, worker, routes).serve(exchange)
    assert caught.value.fields == b"Allow: GET, HEAD, POST, PUT\r\n"


async def test_head_has_no_body(root: Path, worker: Worker) -> None:
    served = handler(root, worker)
    for target, size in (("/index.html", 10), ("/index.html", 10), ("/large.txt", SMALL + 1)):
        sink = await ask(served, target, method="HEAD")
        assert sink.head is not None
        assert (sink.head.status, sink.head.content_length, sink.body) == (200, size, b"")


async def test_what_must_not_be_read_is_said_in_the_log_and_nowhere_else(
    root: Path, worker: Worker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def denied(*_given: object, **_more: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("proxy.files.descent.os.open", denied)
    served = handler(root, worker, fallback="index.html")
    with caplog.at_level(logging.WARNING, "pyproxy.files"):
        for _ in range(3):
            assert (await failed(served, worker, "/a%0Ab")).status == 404
    (record,) = caplog.records
    assert record.getMessage() == f"{root}: the worker may not read what is there for '/a\\nb'"


async def test_a_link_that_leads_out_is_said_in_the_log(
    root: Path, worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    (root / "out").symlink_to("/etc/passwd")
    assert (await failed(handler(root, worker), worker, "/out")).status == 404
    assert "a link on the way to '/out' leads out of it; `symlinks: on`" in caplog.text


async def test_a_root_that_is_missing_is_said_in_the_log(
    tmp_path: Path, worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    served = handler(tmp_path / "x", worker)
    assert (await failed(served, worker, "/index.html")).status == 404
    assert "is not there" in caplog.text
    put(tmp_path / "x/index.html", b"mounted")
    assert (await ask(served, "/index.html")).body == b"mounted"


@pytest.mark.parametrize(("error", "status"), [(errno.EMFILE, 503), (errno.EIO, 500)])
async def test_what_the_machine_cannot_do(
    root: Path, worker: Worker, monkeypatch: pytest.MonkeyPatch, error: int, status: int
) -> None:
    def fail(*_given: object) -> object:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr("proxy.net.file_handler.find", fail)
    exchange, _ = exchange_of("/index.html")
    handler(root, worker).serve(exchange)
    await until(lambda: worker.errors)
    assert worker.errors[0].status == status


async def test_a_bug_ends_one_exchange_alone(
    root: Path, worker: Worker, looks: Looks, caplog: pytest.LogCaptureFixture
) -> None:
    served = handler(root, worker)
    looks.go.clear()
    (first, broken), (second, sink) = exchange_of("/"), exchange_of("/")

    def fail(*_given: object) -> None:
        raise ZeroDivisionError

    broken.send_whole = fail  # type: ignore[method-assign, assignment]  # a bug, wherever it is
    served.serve(first)
    served.serve(second)
    looks.go.set()
    await until(lambda: sink.over)
    assert worker.errors[0].status == 500
    assert "ZeroDivisionError" in caplog.text


async def test_one_files_two_handlers_do_not_mix(root: Path, worker: Worker) -> None:
    put(root / "other/index.html", b"other")
    await ask(handler(root, worker), "/index.html")
    assert (await ask(handler(root / "other", worker), "/index.html")).body == b"other"


async def test_the_end_of_the_worker_ends_what_waits(
    root: Path, worker: Worker, looks: Looks
) -> None:
    served = handler(root, worker)
    looks.go.clear()
    asked: list[Callable[[], None]] = []
    for number in range(20):  # more than there are threads
        exchange, _ = exchange_of(f"/{number}")
        asked.append(lambda exchange=exchange: served.serve(exchange))  # type: ignore[misc]
    for serve in asked:
        serve()
    worker.files.close()
    looks.go.set()
    await until(lambda: not served._looks)
    assert 0 < len(worker.errors) < 20
