"""A configuration file is read in a child, so that nothing in it can harm the supervisor."""

import contextlib
import os
import pickle
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from proxy.clock import wall_time
from proxy.run.fleet import fork_alone
from proxy.run.in_force import made_ready
from proxy.run.link import from_memory, write_fully
from proxy.run.loading import Loaded, LoadError, load, unpickled
from proxy.run.privileges import PrivilegeError

CHECK_LIMIT = 60.0
"""Seconds for reading and checking a file, keys and certificates included."""


class ConfigurationError(Exception):
    """A configuration that cannot be used. The text is the whole report for the user."""


@dataclass(slots=True)
class Check:
    """A check that runs in a child.

    Attributes:
        handle: Memory into which the child writes its finding.
        status: Of the child, once it has ended: an exit code, or less than 0 for a signal.
    """

    pid: int
    handle: int
    status: int | None = None


def _find(path: str, environ: Mapping[str, str], handle: int) -> int:
    """Write the configuration, or the report on it, to `handle`; return the exit code."""
    try:
        loaded = load(path, environ)
        made_ready(loaded, 0, wall_time())
    except (LoadError, PrivilegeError, ValueError) as error:
        write_fully(handle, str(error).encode())
        return os.EX_CONFIG
    write_fully(handle, pickle.dumps(loaded))
    return os.EX_OK


def start(path: str, environ: Mapping[str, str], shed: Callable[[], None]) -> Check:
    """Begin to check a file.

    Raises:
        OSError: There can be no further process.
    """
    handle = os.memfd_create("pyproxy-check", os.MFD_CLOEXEC)
    try:
        pid = fork_alone(lambda: _find(path, environ, handle), shed)
    except OSError:
        os.close(handle)
        raise
    return Check(pid, handle)


def finding(check: Check) -> Loaded:
    """Return what a check that ended has found.

    Raises:
        ConfigurationError: The configuration cannot be used.
    """
    content = from_memory(check.handle)
    if check.status == os.EX_CONFIG:
        raise ConfigurationError(content.decode(errors="replace"))
    if check.status != os.EX_OK:
        raise ConfigurationError(
            f"the process that checked the configuration failed ({check.status}): see the log"
        )
    return unpickled(content)


def abandon(check: Check) -> None:
    """Kill a check that is not wanted any more; it is reaped as any other child."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(check.pid, signal.SIGKILL)
