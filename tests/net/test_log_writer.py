import contextlib
import os
import resource
import select
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from proxy.net.log_writer import MOST_WAITING, LogWriter
from tests.fakes import processes

PATIENT = 20.0  # seconds, for what takes none on an idle machine


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "test.log"


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[tuple[str, int]]:
    """A named pipe, and its end for reading."""
    path = str(tmp_path / "pipe")
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reader, True)
    yield path, reader
    os.close(reader)


def read_all(reader: int) -> bytes:
    """Read until the last writer has closed."""
    pieces = []
    while piece := os.read(reader, 65536):
        pieces.append(piece)
    return b"".join(pieces)


def test_lines_are_written_at_once_until_it_starts(file: Path) -> None:
    writer = LogWriter(str(file))
    writer.put(b"one\ntwo\n", 2)
    assert file.read_bytes() == b"one\ntwo\n"
    assert writer.is_direct
    writer.start()
    writer.put(b"three\n", 1)
    writer.close(PATIENT)
    assert file.read_bytes() == b"one\ntwo\nthree\n"
    assert (writer.waiting, writer.dropped) == (0, 0)


def test_a_file_is_appended_to_and_private(file: Path) -> None:
    before = os.umask(0o022)
    try:
        for line in (b"one\n", b"two\n"):
            writer = LogWriter(str(file))
            writer.put(line, 1)
            writer.close()
    finally:
        os.umask(before)
    assert file.read_bytes() == b"one\ntwo\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        LogWriter(str(tmp_path / "nowhere" / "test.log"))
    assert caught.value.filename == str(tmp_path / "nowhere" / "test.log")


def test_links_are_not_followed(tmp_path: Path, file: Path) -> None:
    victim = tmp_path / "victim"
    link = tmp_path / "link.log"
    link.symlink_to(victim)
    with pytest.raises(OSError, match="symbolic link: name the file itself") as caught:
        LogWriter(str(link))
    assert caught.value.filename == str(link)
    writer = LogWriter(str(file))
    moved = file.rename(file.with_suffix(".1"))
    file.symlink_to(victim)
    with pytest.raises(OSError, match="symbolic link"):
        writer.reopen()
    writer.put(b"still here\n", 1)
    writer.close()
    assert moved.read_bytes() == b"still here\n"
    assert not victim.exists()
    with pytest.raises(OSError, match="stdout or stderr"):
        LogWriter("/dev/stdout")


def test_a_pipe_that_nobody_reads_is_an_error_and_no_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="No such device"):
        LogWriter(str(tmp_path / "pipe"))


def test_a_stopped_reader_costs_lines_and_no_time_and_bounded_memory(
    pipe: tuple[str, int],
) -> None:
    path, reader = pipe
    writer = LogWriter(path)
    writer.start()
    batch = b"".join(b"%07d\n" % number for number in range(8192))
    for _ in range(200):
        writer.put(batch, 8192)
        assert writer.waiting <= MOST_WAITING
    missing = writer.dropped
    assert 0 < missing < 200 * 8192
    read: list[bytes] = []
    thread = Thread(target=lambda: read.append(read_all(reader)))
    thread.start()
    writer.close(PATIENT)
    thread.join()
    assert writer.dropped == missing
    assert read[0] == batch * (200 - missing // 8192)


def test_whoever_must_not_wait_does_not(pipe: tuple[str, int]) -> None:
    path, reader = pipe
    writer = LogWriter(path)
    writer.put(b"x" * 4095 + b"\n" + b"y" * 4095 + b"\n", 2)
    for _ in range(15):
        writer.put(b"x" * 4095 + b"\n", 1)
    assert writer.dropped == 1
    os.read(reader, 65536)
    writer.put(b"again\n", 1)
    assert os.read(reader, 65536) == b"again\n"
    writer.close()


def test_a_full_disk_costs_what_is_left_at_the_end(capfd: pytest.CaptureFixture[str]) -> None:
    writer = LogWriter("/dev/full")
    writer.start()
    writer.put(b"one\ntwo\n", 2)
    writer.put(b"three\n", 1)
    writer.close(0.0)
    assert writer.dropped == 3
    assert capfd.readouterr().err == (
        "pyproxy: cannot write to /dev/full: No space left on device\n"
    )


def test_who_has_no_thread_loses_a_line_to_a_full_disk(capfd: pytest.CaptureFixture[str]) -> None:
    writer = LogWriter("/dev/full")
    for _ in range(3):
        writer.put(b"one\n", 1)
    assert writer.dropped == 3
    assert capfd.readouterr().err.count("cannot write") == 1, "told once a minute"
    writer.close()


def test_not_even_the_last_resort_is_waited_for(pipe: tuple[str, int]) -> None:
    def tell() -> None:
        handle = os.open(pipe[0], os.O_WRONLY)
        os.dup2(handle, 2)
        os.set_blocking(2, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(2, b"x" * 4096)
        os.set_blocking(2, True)
        LogWriter("/dev/full").put(b"one\n", 1)

    child = processes.start(tell)
    handle = os.pidfd_open(child)
    try:
        assert select.select([handle], [], [], PATIENT)[0], "it waits"
    finally:
        os.close(handle)
        os.kill(child, signal.SIGKILL)
        assert processes.ended(child) == 0


def test_nothing_is_lost_where_a_disk_is_full_for_a_while(
    file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lines = b"".join(b"line %04d\n" % number for number in range(1000))
    writer = LogWriter(str(file))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4321, hard))
    try:
        writer.start()
        writer.put(lines, 1000)
        while "cannot write" not in capfd.readouterr().err:
            pass
        assert file.stat().st_size == 4321, "the write was cut in the middle of a line"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    writer.close(PATIENT)
    assert file.read_bytes() == lines
    assert writer.dropped == 0


def test_nothing_is_lost_when_a_file_is_renamed(file: Path) -> None:
    writer = LogWriter(str(file))
    writer.start()
    handles = set(Path("/proc/self/fd").iterdir())
    for turn in range(10):
        for number in range(500):
            writer.put(b"%d %d\n" % (turn, number), 1)
        file.rename(file.with_suffix(f".{turn}"))
        writer.reopen()
        assert file.exists()
    assert set(Path("/proc/self/fd").iterdir()) == handles
    writer.close(PATIENT)
    parts = [*(file.with_suffix(f".{turn}") for turn in range(10)), file]
    written = b"".join(part.read_bytes() for part in parts)
    assert written == b"".join(b"%d %d\n" % (t, n) for t in range(10) for n in range(500))


def test_a_descriptor_is_not_inherited_by_programs_even_when_reopened(file: Path) -> None:
    writer = LogWriter(str(file))
    assert not os.get_inheritable(writer._handle)
    writer.reopen()
    assert not os.get_inheritable(writer._handle)
    writer.close()


def test_where_reopening_fails_the_old_file_stays(file: Path) -> None:
    writer = LogWriter(str(file))
    moved = file.rename(file.with_suffix(".1"))
    file.mkdir()
    with pytest.raises(IsADirectoryError):
        writer.reopen()
    writer.put(b"still here\n", 1)
    writer.close()
    assert moved.read_bytes() == b"still here\n"


def test_a_closed_log_counts_what_comes_late(file: Path) -> None:
    writer = LogWriter(str(file))
    writer.start()
    writer.close(PATIENT)
    writer.close(PATIENT)
    writer.put(b"one\ntwo\n", 2)
    writer.reopen()
    assert writer.dropped == 2
    assert file.read_bytes() == b""


def append(target: str, mark: bytes) -> None:
    """In a process of its own: write 60 times 100 lines of 200 bytes."""
    writer = LogWriter(target)
    writer.start()
    for _ in range(60):
        writer.put((mark * 199 + b"\n") * 100, 100)
    writer.close(PATIENT)
    os._exit(0 if writer.dropped == 0 else 1)


@pytest.mark.parametrize("kind", ["file", "pipe"])
def test_lines_of_several_processes_stay_whole(
    kind: str, file: Path, pipe: tuple[str, int]
) -> None:
    target = str(file) if kind == "file" else pipe[0]
    children = []
    for mark in (b"a", b"b", b"c"):
        pid = os.fork()
        if pid == 0:
            try:
                append(target, mark)
            finally:
                os._exit(2)
        children.append(pid)
    try:
        written = read_all(pipe[1]) if kind == "pipe" else b""
        assert [os.waitpid(pid, 0)[1] for pid in children] == [0, 0, 0]
        children.clear()
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    lines = (written or file.read_bytes()).splitlines()
    assert len(lines) == 18_000
    assert set(lines) == {mark * 199 for mark in (b"a", b"b", b"c")}


STOPPED = """
import sys
from proxy.net.log_writer import LogWriter
writer = LogWriter("stdout")
writer.start()
for _ in range(40):
    writer.put(b"x" * 65535 + b"\\n", 1)
sys.stderr.write("still going\\n")
sys.stderr.flush()
sys.stdin.read()
writer.close(20.0)
"""


def test_a_standard_output_that_nobody_reads_holds_nobody_up() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STOPPED],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    ) as child:
        assert child.stderr is not None
        assert child.stderr.readline() == b"still going\n"
        output, _ = child.communicate(b"")
    assert child.returncode == 0
    assert output == (b"x" * 65535 + b"\n") * 40


def test_a_reader_that_comes_back_gets_what_waited(
    pipe: tuple[str, int], capfd: pytest.CaptureFixture[str]
) -> None:
    path, reader = pipe
    writer = LogWriter(path)
    writer.start()
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, reader)
    os.close(null)
    writer.put(b"one\n", 1)
    while "Broken pipe" not in capfd.readouterr().err:
        pass
    back = os.open(path, os.O_RDONLY)
    writer.close(PATIENT)
    assert os.read(back, 100) == b"one\n"
    os.close(back)
