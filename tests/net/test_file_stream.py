import asyncio
import errno
import os
import random
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from proxy.files.representation import Piece
from proxy.message.head import ResponseHead
from proxy.message.ranges import ByteRange
from proxy.net.file_stream import FileStream
from tests.fakes.file_ends import Worker, exchange_of
from tests.fakes.wires import until

SIZE = 1_000_000
CONTENT = random.Random(1).randbytes(SIZE)


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker()
    yield worker
    worker.files.close()


class Download:
    """One stream over a file of its own."""

    def __init__(
        self,
        folder: Path,
        worker: Worker,
        pieces: Sequence[Piece] = (),
        version: str = "HTTP/1.1",
    ) -> None:
        self.path = folder / "file"
        self.path.write_bytes(CONTENT)
        self.fd = os.open(self.path, os.O_RDONLY)
        self.exchange, self.sink = exchange_of()
        self.exchange.head.version = version
        pieces = pieces or [ByteRange(0, SIZE)]
        self.stream = FileStream(self.exchange, self.fd, pieces, worker.files, worker)
        self.sink.send_head(self.exchange, ResponseHead(200, "OK"))

    @property
    def closed(self) -> bool:
        try:
            return not self.path.samefile(f"/proc/self/fd/{self.fd}")
        except FileNotFoundError:
            return True


async def test_a_file_is_sent_whole_and_closed(tmp_path: Path, worker: Worker) -> None:
    download = Download(tmp_path, worker)
    download.stream.start()
    await until(lambda: download.sink.over)
    assert download.sink.body == CONTENT
    assert max(download.sink.pieces) <= 128 * 1024
    assert download.closed
    assert not worker.errors


async def test_as_long_as_it_is_open_it_is_counted(tmp_path: Path, worker: Worker) -> None:
    download, other = Download(tmp_path, worker), Download(tmp_path, worker)
    assert worker.files.files == 2
    download.stream.start()
    await until(lambda: download.sink.over)
    assert worker.files.files == 1
    other.exchange.consumer = None
    other.stream.client_gone()
    other.stream.client_gone()
    assert worker.files.files == 0


async def test_for_one_of_many_streams_little_waits(tmp_path: Path, worker: Worker) -> None:
    download = Download(tmp_path, worker, version="HTTP/2.0")
    download.stream.start()
    await until(lambda: download.sink.over)
    assert download.sink.body == CONTENT
    assert download.sink.pieces[:5] == [size * 1024 for size in (16, 32, 64, 128, 128)]


async def test_pieces_and_what_is_between(tmp_path: Path, worker: Worker) -> None:
    pieces: list[Piece] = [b"<", ByteRange(5, 10), b"|", ByteRange(0, 300_000), b">"]
    download = Download(tmp_path, worker, pieces)
    download.stream.start()
    await until(lambda: download.sink.over)
    assert download.sink.body == b"<" + CONTENT[5:10] + b"|" + CONTENT[:300_000] + b">"


async def test_other_work_is_done_between_two_pieces(tmp_path: Path, worker: Worker) -> None:
    download = Download(tmp_path, worker)
    turns = 0

    def turn() -> None:
        nonlocal turns
        turns += 1
        if not download.sink.over:
            asyncio.get_running_loop().call_soon(turn)

    turn()
    download.stream.start()
    await until(lambda: download.sink.over)
    assert turns >= len(download.sink.pieces)


async def test_a_client_that_is_full_gets_nothing_more(tmp_path: Path, worker: Worker) -> None:
    download = Download(tmp_path, worker)
    sink = download.sink
    sink.on_body = download.stream.client_full
    download.stream.start()
    for count in range(1, 8):
        for _ in range(5):
            await asyncio.sleep(0)
        assert len(sink.pieces) == count
        download.stream.client_ready()
    sink.on_body = lambda: None
    await until(lambda: sink.over)
    assert sink.body == CONTENT


async def test_one_that_is_full_from_the_first_is_waited_for(
    tmp_path: Path, worker: Worker
) -> None:
    download = Download(tmp_path, worker)
    download.stream.start(full=True)
    await asyncio.sleep(0.01)
    assert not download.sink.pieces
    download.stream.client_ready()
    download.stream.client_ready()
    await until(lambda: download.sink.over)
    assert download.sink.body == CONTENT


async def test_a_client_that_leaves_closes_the_file(tmp_path: Path, worker: Worker) -> None:
    download = Download(tmp_path, worker)
    download.stream.start()
    download.exchange.consumer = None
    download.stream.client_gone()
    assert download.closed
    await asyncio.sleep(0.01)
    assert len(download.sink.pieces) == 1


async def test_a_file_that_becomes_shorter_is_cut_visibly(
    tmp_path: Path, worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    download = Download(tmp_path, worker)
    download.sink.on_body = lambda: os.truncate(download.path, 200_000)
    download.stream.start()
    await until(lambda: worker.errors)
    assert not download.sink.over
    assert download.sink.body == CONTENT[:200_000]
    assert "shorter" in worker.errors[0].detail
    assert "the file for '/' became shorter while it was sent" in caplog.text
    assert download.closed


class Disk:
    """Stands before `os.preadv` and `os.pread`: says what memory and disk have.

    Attributes:
        error: What a read that must not wait says.
        held: Readers in threads wait while it is clear.
        reads: How often the disk was asked.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, error: int) -> None:
        self.error = error
        self.broken = 0
        self.reads = self.asked = 0
        self.held = threading.Event()
        self.held.set()
        self.threads: set[int] = set()
        self.real = os.pread
        monkeypatch.setattr("proxy.net.file_stream.os.preadv", self.preadv)
        monkeypatch.setattr("proxy.net.file_stream.os.pread", self.pread)

    def preadv(self, _fd: int, _views: object, _offset: int, flags: int) -> int:
        assert flags == os.RWF_NOWAIT
        self.asked += 1
        raise OSError(self.error, os.strerror(self.error))

    def pread(self, fd: int, size: int, offset: int) -> bytes:
        self.reads += 1
        self.threads.add(threading.get_ident())
        assert self.held.wait(10)
        if self.broken:
            raise OSError(self.broken, os.strerror(self.broken))
        return self.real(fd, size, offset)


async def test_what_is_not_in_memory_is_read_in_a_thread(
    tmp_path: Path, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch, errno.EAGAIN)
    download = Download(tmp_path, worker)
    download.stream.start()
    await until(lambda: download.sink.over)
    assert download.sink.body == CONTENT
    assert disk.asked == disk.reads == 4
    assert threading.get_ident() not in disk.threads
    assert max(download.sink.pieces) <= 256 * 1024


async def test_a_file_system_that_cannot_tell_is_asked_once(
    tmp_path: Path, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch, errno.EOPNOTSUPP)
    download = Download(tmp_path, worker)
    download.stream.start()
    await until(lambda: download.sink.over)
    assert download.sink.body == CONTENT
    assert (disk.asked, disk.reads) == (1, 4)


async def test_a_disk_that_fails_at_once(
    tmp_path: Path, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    Disk(monkeypatch, errno.EIO)
    download = Download(tmp_path, worker)
    download.stream.start()
    assert "Input/output" in worker.errors[0].detail
    assert download.closed


async def test_a_disk_that_fails_later(
    tmp_path: Path, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    Disk(monkeypatch, errno.EAGAIN).broken = errno.EIO
    download = Download(tmp_path, worker)
    download.stream.start()
    await until(lambda: worker.errors)
    assert "Input/output" in worker.errors[0].detail
    assert download.closed


async def test_a_file_that_is_being_read_is_closed_after_that(
    tmp_path: Path, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch, errno.EAGAIN)
    disk.held.clear()
    download = Download(tmp_path, worker)
    download.stream.start()
    download.exchange.consumer = None
    download.stream.client_gone()
    await until(lambda: disk.reads)
    assert not download.closed
    disk.held.set()
    await until(lambda: download.closed)
    assert not download.sink.pieces


async def test_a_client_that_catches_up_while_the_disk_is_read(
    tmp_path: Path, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch, errno.EAGAIN)
    disk.held.clear()
    download = Download(tmp_path, worker)
    download.stream.start()
    download.stream.client_full()
    download.stream.client_ready()
    await asyncio.sleep(0.01)
    assert disk.reads == 1
    disk.held.set()
    await until(lambda: download.sink.over)
    assert download.sink.body == CONTENT


async def test_the_end_of_the_worker_cuts_what_waits_for_a_disk(
    tmp_path: Path, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch, errno.EAGAIN)
    disk.held.clear()
    downloads = []
    for number in range(12):  # more than there are threads
        (tmp_path / str(number)).mkdir()
        downloads.append(Download(tmp_path / str(number), worker))
        downloads[-1].stream.start()
    worker.files.close()
    disk.held.set()
    await until(lambda: worker.errors)
    assert "the worker ends" in worker.errors[0].detail
    for download in downloads:
        download.exchange.consumer = None
        download.stream.client_gone()
    await until(lambda: all(download.closed for download in downloads))


class Doubling:
    """Sends each byte twice, a piece late."""

    held = b""

    def encode(self, data: bytes) -> bytes:
        held, self.held = self.held, data
        return bytes(byte for byte in held for _ in range(2))

    def flush(self) -> bytes:
        raise AssertionError

    def finish(self) -> bytes:
        return self.encode(b"")


async def test_a_file_is_encoded_as_it_passes(tmp_path: Path, worker: Worker) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    exchange, sink = exchange_of()
    fd = os.open(path, os.O_RDONLY)
    pieces: list[Piece] = [ByteRange(0, 300_000)]
    stream = FileStream(exchange, fd, pieces, worker.files, worker, Doubling())
    sink.send_head(exchange, ResponseHead(200, "OK"))
    stream.start()
    await until(lambda: sink.over)
    assert sink.body[::2] == sink.body[1::2] == CONTENT[:300_000]


async def test_what_the_client_sends_is_thrown_away(tmp_path: Path, worker: Worker) -> None:
    download = Download(tmp_path, worker)
    download.stream.body_received(b"x")
    download.stream.body_ended(b"")
    download.stream.start()
    await until(lambda: download.sink.over)
    assert download.sink.body == CONTENT
