import asyncio
import json
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.clock import wall_time
from proxy.net.log_files import Logs, open_logs
from proxy.routing.route import LogPlan
from tests.fakes import processes

PATIENT = 20.0
log = logging.getLogger("pyproxy.test")


class Folder:
    """A folder of logs, all of which are closed at the end."""

    def __init__(self, path: Path) -> None:
        self.access = path / "access.log"
        self.error = path / "error.log"
        self.opened: list[Logs] = []

    def open(self, access_format: str = "combined", level: str = "info", access: str = "") -> Logs:
        plan = LogPlan(access or str(self.access), access_format, str(self.error), level)
        self.opened.append(open_logs(plan))
        return self.opened[-1]

    def errors(self) -> list[str]:
        """The error log's lines, without their time and process."""
        stamp = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d ")
        lines = self.error.read_text().splitlines()
        return [stamp.sub("", line, 1).replace(f" {os.getpid()}:", "") for line in lines]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    folder = Folder(tmp_path)
    yield folder
    for logs in folder.opened:
        logs.close(PATIENT)


def handles() -> set[str]:
    return {str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()}


def test_lines_wait_for_the_flush(folder: Folder) -> None:
    logs = folder.open()
    logs.access_line("one")
    logs.access_line("two é")
    assert folder.access.read_bytes() == b""
    logs.flush()
    logs.close(PATIENT)
    assert folder.access.read_text() == "one\ntwo é\n"


def test_many_lines_do_not_wait(folder: Folder) -> None:
    logs = folder.open()
    for number in range(300):
        logs.access_line(f"line {number}")
    assert 200 < folder.access.read_bytes().count(b"\n") < 300
    logs.close(PATIENT)
    assert folder.access.read_text() == "".join(f"line {number}\n" for number in range(300))


def test_an_access_log_that_is_off_keeps_nothing(folder: Folder) -> None:
    logs = folder.open(access="off")
    for _ in range(300):
        logs.access_line("line")
    logs.flush()
    logs.close(PATIENT)
    assert logs.dropped == 0
    assert not folder.access.exists()


def test_the_loggers_write_to_the_error_log(folder: Folder) -> None:
    folder.open(level="warning")
    log.info("too little")
    log.warning("%s is down", "app")
    logging.getLogger("asyncio").error("slow")
    assert folder.errors() == ["[warning] app is down", "[error] slow"]


def test_a_traceback_follows_its_record(folder: Folder) -> None:
    folder.open()

    def fail() -> None:
        raise ValueError("a\nb")

    try:
        fail()
    except ValueError:
        log.exception("request failed\n")
    first, *trace = folder.errors()
    assert first == "[error] request failed\\x0A"
    assert trace[0] == "    Traceback (most recent call last):"
    assert all(line.startswith("    ") for line in trace)
    assert trace[-2:] == ["    ValueError: a", "    b"]


def test_json_for_one_log_is_json_for_both(folder: Folder) -> None:
    folder.open(access_format="json")
    log.error('a "b"')
    told = json.loads(folder.error.read_text())
    assert (told["level"], told["pid"], told["message"]) == ("error", os.getpid(), 'a "b"')


def test_an_error_log_that_is_off_takes_nothing(
    folder: Folder, capfd: pytest.CaptureFixture[str]
) -> None:
    logs = open_logs(LogPlan("off", "combined", "off", "info"))
    log.error("nobody hears")
    logs.flush()
    logs.reopen()
    logs.close()
    assert capfd.readouterr() == ("", "")
    assert not folder.error.exists()


def test_a_record_that_cannot_be_made_raises_nothing_and_is_told(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.open()
    for _ in range(50):
        log.error("%d", "no number")
    log.error("next")
    assert capsys.readouterr().err == ""
    first, *rest = folder.errors()
    assert re.fullmatch(r"\[error\] a log line of .*test_log_files.py:\d+ could not be made", first)
    assert any("TypeError: %d format" in line for line in rest)
    assert rest.count(first) < 30, "a second or two of it"
    assert "[error] next" in rest


def test_a_flood_is_held_back_and_counted(folder: Folder) -> None:
    logs = folder.open()
    # Two seconds may pass while it lasts: what is certain is that all are accounted for.
    for _ in range(500):
        log.info("again")
    log.error("an error is not drowned by notes")
    logs._handler.tell_held_back(wall_time() + 2)
    lines = folder.errors()
    assert "[error] an error is not drowned by notes" in lines
    shown = lines.count("[info] again")
    held = [int(found[1]) for found in map(re.compile(r"again: (\d+) more").search, lines) if found]
    assert shown + sum(held) == 500
    assert shown < 100
    assert held


def test_lines_dropped_are_told_when_the_log_flows_again(folder: Folder) -> None:
    logs = folder.open(access="/dev/full")
    logs.access_line("one")
    logs.access_line("two")
    logs.reopen()
    assert logs.dropped == 2
    logs.close(PATIENT)
    assert folder.errors() == ["[warning] 2 log lines were dropped: the log did not take them"]


def test_files_are_opened_again_under_their_names(folder: Folder) -> None:
    logs = folder.open()
    logs.start()
    logs.access_line("before")
    log.error("before")
    moved = [path.rename(f"{path}.1") for path in (folder.access, folder.error)]
    logs.reopen()
    logs.access_line("after")
    log.error("after")
    logs.close(PATIENT)
    assert folder.access.read_text().endswith("after\n")
    assert folder.errors()[-1] == "[error] after"
    both = moved[0].read_text() + folder.access.read_text()
    assert both == "before\nafter\n"
    assert (moved[1].read_text() + folder.error.read_text()).count("before") == 1


def test_reopening_what_cannot_be_opened_is_told(folder: Folder) -> None:
    logs = folder.open()
    folder.access.unlink()
    folder.access.mkdir()
    logs.reopen()
    assert folder.errors() == [
        f"[error] cannot open {folder.access} again: Is a directory; the old file stays in use"
    ]


def test_a_log_that_cannot_be_opened_leaves_nothing_open(folder: Folder, tmp_path: Path) -> None:
    before = handles()
    nowhere = str(tmp_path / "nowhere" / "error.log")
    with pytest.raises(FileNotFoundError) as caught:
        open_logs(LogPlan(str(folder.access), "combined", nowhere, "info"))
    assert caught.value.filename == nowhere
    with pytest.raises(ValueError, match="LOUD"):
        folder.open(level="loud")
    assert handles() == before
    assert not logging.getLogger("pyproxy").handlers


def test_loggers_are_left_as_they_were(folder: Folder) -> None:
    logs = folder.open(level="error")
    logs.close()
    for name in ("pyproxy", "asyncio"):
        logger = logging.getLogger(name)
        assert (logger.handlers, logger.propagate, logger.level) == ([], True, logging.NOTSET)


def test_whoever_opens_later_takes_over(folder: Folder, tmp_path: Path) -> None:
    first = folder.open()
    first.start()
    folder.error = tmp_path / "second.log"
    folder.open()
    log.error("to the second")
    first.access_line("still the first's own")
    first.close(PATIENT)
    log.error("still to the second")
    assert folder.errors() == ["[error] to the second", "[error] still to the second"]
    assert (tmp_path / "error.log").read_text() == ""
    assert folder.access.read_text() == "still the first's own\n"


def test_a_child_lets_go_of_what_it_inherited(folder: Folder, tmp_path: Path) -> None:
    logs = folder.open()
    logs.access_line("the parent's")

    def be_a_worker() -> None:
        plan = LogPlan(str(tmp_path / "access.2"), "combined", str(tmp_path / "error.2"), "info")
        own = open_logs(plan)
        own.access_line("the child's")
        own.flush()
        log.error("from the child")
        assert not {str(folder.access), str(folder.error)} & handles()
        own.close(PATIENT)

    assert processes.ended(processes.start(be_a_worker)) == 0
    log.error("from the parent")
    logs.close(PATIENT)
    assert folder.access.read_text() == "the parent's\n"
    assert folder.errors() == ["[error] from the parent"]
    assert (tmp_path / "access.2").read_text() == "the child's\n"
    assert "from the child" in (tmp_path / "error.2").read_text()


async def test_other_threads_may_log(folder: Folder) -> None:
    logs = folder.open()
    logs.flush()
    await asyncio.gather(
        *(asyncio.to_thread(log.error, "from thread %d", number) for number in range(8))
    )
    logs.close(PATIENT)
    assert sorted(folder.errors()) == [f"[error] from thread {number}" for number in range(8)]
