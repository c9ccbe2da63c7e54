"""The logs of a process: where its lines go, off the hot path.

The access log takes ready-made lines. The error log is what the `logging` module sends through
the loggers under "pyproxy", and asyncio's warnings.
"""

import contextlib
import logging
import os
import sys

from proxy.clock import local_offset, wall_time
from proxy.net.log_writer import LogWriter, Opener, open_log
from proxy.observe.error_log import RepeatLimit, json_line, text_line
from proxy.observe.log_time import LogClock
from proxy.routing.route import LogPlan

_BATCH = 256  # lines; about 64 KB
_LOGGERS = ("pyproxy", "asyncio")
_log = logging.getLogger("pyproxy.log")


def open_logs(plan: LogPlan, opener: Opener = open_log) -> "Logs":
    """Open a process's logs, and send the loggers under "pyproxy" to the error log.

    Logs that an earlier call opened, in this process or in the one that forked it, get nothing
    more from the loggers. Lines are written at once until the first `flush`, or `start`.

    Raises:
        OSError: A file cannot be opened; the error names it.
        ValueError: There is no such level.
    """
    access = None if plan.access_to == "off" else LogWriter(plan.access_to, opener)
    try:
        error = None if plan.error_to == "off" else LogWriter(plan.error_to, opener)
        try:
            return Logs(access, error, plan)
        except BaseException:
            _close(error)
            raise
    except BaseException:
        _close(access)
        raise


class Logs:
    """The open logs. One per process; not for threads, but for its loggers."""

    def __init__(self, access: LogWriter | None, error: LogWriter | None, plan: LogPlan) -> None:
        """Take the writers, None for a log that is off. Use `open_logs`."""
        self._access = access
        self._error = error
        self._lines: list[str] = []
        self._told = 0
        # Who wants the access log for machines wants the error log for them too.
        self._handler = ErrorLog(self, error, as_json=plan.access_format == "json")
        self._handler.install(plan.error_level.upper())

    @property
    def dropped(self) -> int:
        """Lines of both logs that could not be written, so far."""
        return sum(writer.dropped for writer in (self._access, self._error) if writer)

    def access_line(self, line: str) -> None:
        """Take a line without its end."""
        lines = self._lines
        lines.append(line)
        if len(lines) >= _BATCH:
            self._hand_over()

    def start(self) -> None:
        """From now on leave the writing to threads. Not in a process that is going to fork."""
        for writer in (self._access, self._error):
            if writer is not None:
                writer.start()

    def flush(self) -> None:
        """Hand over what was taken; say what was held back or dropped. To be called each second."""
        self.start()
        self._hand_over()
        self._handler.tell_held_back(wall_time())
        self._tell_dropped()

    def reopen(self, opener: Opener = open_log) -> None:
        """Go on in the files that bear the names now (log rotation).

        Where one cannot be opened its log goes on in the old file, and the error log says so.
        """
        self._hand_over()
        for writer in (self._access, self._error):
            try:
                if writer is not None:
                    writer.reopen(opener)
            except OSError as error:
                _log.error(
                    "cannot open %s again: %s; the old file stays in use",
                    error.filename, error.strerror,
                )  # fmt: skip

    def close(self, patience: float = 2.0) -> None:
        """Write what waits, for so many seconds for each log at most, and close."""
        self._hand_over()
        self._handler.tell_held_back(wall_time())
        _close(self._access, patience)
        self._tell_dropped()
        self._handler.uninstall()
        _close(self._error, patience)

    def leave(self) -> None:
        """Let go of the files without a word: they are another process's, which forked this one."""
        self._lines.clear()
        for writer in (self._access, self._error):
            if writer is not None and writer.is_direct:
                writer.close()

    def _hand_over(self) -> None:
        lines = self._lines
        if not lines:
            return
        if self._access is not None:
            text = "\n".join(lines) + "\n"
            self._access.put(text.encode("utf-8", "backslashreplace"), len(lines))
        lines.clear()

    def _tell_dropped(self) -> None:
        """Say how many lines are missing, once lines get through again."""
        count = self.dropped
        if count > self._told and not any(
            writer.waiting for writer in (self._access, self._error) if writer
        ):
            _log.warning("%d log lines were dropped: the log did not take them", count - self._told)
            self._told = count


class ErrorLog(logging.Handler):
    """Sends the loggers' records to a writer, floods held back. Never raises.

    Attributes:
        logs: Whose error log this is.
    """

    def __init__(self, logs: Logs, writer: LogWriter | None, *, as_json: bool) -> None:
        super().__init__()
        self.logs = logs
        self._writer = writer
        self._render = json_line if as_json else text_line
        self._clock = LogClock(local_offset)
        self._traces = logging.Formatter()
        # One for each level, so that a flood of notes cannot drown an error.
        self._limits: dict[int, RepeatLimit] = {}

    def install(self, level: str) -> None:
        """Become the one handler of this kind.

        Raises:
            ValueError: There is no such level.
        """
        logging.getLogger(_LOGGERS[0]).setLevel(level)
        for logger in map(logging.getLogger, _LOGGERS):
            for other in [each for each in logger.handlers if isinstance(each, ErrorLog)]:
                logger.removeHandler(other)
                other.logs.leave()
            logger.addHandler(self)
            logger.propagate = False

    def uninstall(self) -> None:
        """Leave the loggers as they were, unless others have taken over."""
        for logger in map(logging.getLogger, _LOGGERS):
            if self in logger.handlers:
                logger.removeHandler(self)
                logger.setLevel(logging.NOTSET)
                logger.propagate = True
        self.close()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, or count it where it came too often."""
        try:
            message = record.getMessage()
            limit = self._limits.setdefault(record.levelno, RepeatLimit())
            self._roll(record.levelno, limit, record.created)
            if limit.admit(message):
                trace = self._traces.formatException(record.exc_info) if record.exc_info else ""
                self._line(record.levelno, record.created, message, trace)
        except Exception:  # noqa: BLE001 - a log line must not end what it tells of
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the base's name
        """Say whose record could not be made; the base would tell standard error, and wait."""
        with contextlib.suppress(Exception):
            message = f"a log line of {record.pathname}:{record.lineno} could not be made"
            if self._limits.setdefault(record.levelno, RepeatLimit()).admit(message):
                trace = self._traces.formatException(sys.exc_info())
                self._line(logging.ERROR, record.created, message, trace)

    def tell_held_back(self, now: float) -> None:
        """Say what was held back in the second that ended; `now` is the wall clock's."""
        self.acquire()
        try:
            for level, limit in self._limits.items():
                self._roll(level, limit, now)
        finally:
            self.release()

    def _roll(self, level: int, limit: RepeatLimit, now: float) -> None:
        for message, count in limit.roll(now):
            what = f"{message}: {count} more" if message else f"{count} further messages"
            self._line(level, now, f"{what} in one second, not shown")

    def _line(self, level: int, now: float, message: str, trace: str = "") -> None:
        if self._writer is not None:
            name = logging.getLevelName(level).lower()
            line = self._render(self._clock.at(now), name, os.getpid(), message, trace)
            self._writer.put(f"{line}\n".encode("utf-8", "backslashreplace"), 1)


def _close(writer: LogWriter | None, patience: float = 0.0) -> None:
    if writer is not None:
        writer.close(patience)
