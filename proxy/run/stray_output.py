"""What Python would print to standard error, sent to the error log instead.

Nobody may be reading standard error: a write to a full pipe waits, and the event loop with it. The
error log has a thread for that, and bounds how often a line comes.
"""

import logging
import sys
import threading
import warnings
from typing import TextIO

logger = logging.getLogger("pyproxy.run")


class Forward(logging.Handler):
    """Takes the records of loggers that nobody listens to, such as those of libraries."""

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a record on, if there is an error log yet."""
        if logger.hasHandlers():
            logger.handle(record)


def to_log() -> None:
    """Send stray output to the log from now on. For processes that were forked to serve."""
    sys.unraisablehook = log_unraisable
    threading.excepthook = log_thread
    warnings.showwarning = log_warning
    logging.lastResort = Forward(logging.WARNING)


def log_unraisable(found: "sys.UnraisableHookArgs") -> None:
    """Log an exception that could be raised nowhere, as from a callback of a library in C."""
    error = found.exc_value
    if isinstance(error, UnicodeDecodeError):
        # Python's ssl, for each ClientHello with a server name that is not ASCII. The handshake
        # that fails of it is logged as any other.
        logger.debug("a name that is not text: %s", error.reason)
        return
    where = getattr(found.object, "__qualname__", type(found.object).__qualname__)
    logger.error("%s: %s", found.err_msg or "exception ignored", where, exc_info=error)


def log_thread(found: threading.ExceptHookArgs) -> None:
    """Log what ended a thread."""
    name = found.thread.name if found.thread is not None else "?"
    logger.error("thread %s failed", name, exc_info=found.exc_value)


def log_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,  # noqa: ARG001 - as above
    line: str | None = None,  # noqa: ARG001 - as above
) -> None:
    """Log a warning of Python's."""
    logger.warning("%s:%d: %s: %s", filename, lineno, category.__name__, message)
