"""The real command, started as a user starts it, and ended by its own pid."""

import contextlib
import itertools
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

TREE = Path(__file__).parents[2]
PATIENCE = 30.0
"""Seconds for what a busy machine may be slow at; none of it is waited for when all is well."""

DEFAULTS = {
    "listen": 'listen: {http: "127.0.0.1:${HTTP_PORT}", https: "127.0.0.1:${HTTPS_PORT}"}',
    "workers": "workers: 1",
    "state_dir": "state_dir: ${STATE_DIR}",
    "drain_timeout": "drain_timeout: 5s",
}
"""What a journey's configuration says about these where it says nothing itself."""

T = TypeVar("T")

_numbers = itertools.count()


class DidNotStartError(Exception):
    """The command ended, or was never ready. The text is what it wrote to its error output."""


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def completed(config_text: str) -> str:
    """Return a configuration with DEFAULTS for the top-level keys it does not have."""
    missing = [
        line
        for key, line in DEFAULTS.items()
        if not re.search(rf"^{key}:", config_text, re.MULTILINE)
    ]
    return "\n".join([*missing, config_text.lstrip("\n")])


def eventually(look: Callable[[], T], patience: float = PATIENCE) -> T:
    """Return what `look` returns once that is true; fail with the last answer after `patience`."""
    end = time.monotonic() + patience
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < end, f"waited {patience} s and still got {found!r}"
        time.sleep(0.02)


def children_of(pid: int) -> list[int]:
    """Return the pids of the processes that `pid` started, by any thread, and that live."""
    found: list[int] = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found += [int(word) for word in children.read_text().split()]
    return found


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that ended and was not reaped does not."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


class NotifySocket:
    """The service manager's end of sd_notify, on an abstract address: no path to be too long."""

    def __init__(self) -> None:
        self.address = f"@pyproxy-test-{os.getpid()}-{next(_numbers)}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + self.address[1:])
        self._socket.settimeout(0)
        self.messages: list[str] = []

    def has(self, line: str) -> bool:
        """Tell whether a message with that line has come by now."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self.messages.append(self._socket.recv(4096).decode())
        return any(line in message.splitlines() for message in self.messages)

    def close(self) -> None:
        """Forget the address."""
        self._socket.close()


@dataclass
class RunningProxy:
    """`pyproxy serve` in the foreground, ready.

    Attributes:
        process: The supervisor.
        config: Its file; `rewrite` changes it.
        ca_file: Certificate of the local CA that signed every `self_signed` site.
        notified: What it told its service manager.
    """

    process: subprocess.Popen[bytes]
    config: Path
    https_port: int
    http_port: int
    state_dir: Path
    notified: NotifySocket
    environment: Mapping[str, str] = field(repr=False)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def ca_file(self) -> Path:
        return self.state_dir / "local-ca" / "root.pem"

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run one of pyproxy's commands on this proxy's configuration."""
        return run_command(*words, "--config", str(self.config), environment=self.environment)

    def rewrite(self, config_text: str) -> None:
        """Put another configuration in its file; nothing reads it before a reload."""
        self.config.write_text(completed(config_text))

    def reload(self, config_text: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run `pyproxy reload`, with another configuration if one is given."""
        if config_text is not None:
            self.rewrite(config_text)
        return self.command("reload")

    def stop(self, patience: float = PATIENCE) -> int:
        """Ask it to end as a service manager does, and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(patience)

    def log(self) -> str:
        """Return what it wrote to its error output."""
        return (self.config.parent / "stderr").read_text(errors="replace")

    def output(self) -> str:
        """Return what it wrote to its output: the access log, unless that goes to a file."""
        return (self.config.parent / "stdout").read_text(errors="replace")

    def children(self) -> list[int]:
        """Return the pids of workers and keeper."""
        return children_of(self.pid)

    def end(self) -> None:
        """Leave nothing running, however the test went."""
        pids = [self.pid, *self.children()]
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.5)
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)  # the second one means: now
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(3)
        for pid in filter(is_alive, pids):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self.notified.close()


def run_command(*words: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command of pyproxy to its end."""
    return subprocess.run(
        [sys.executable, "-m", "proxy", *words],
        cwd=TREE,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def launch(
    config_text: str,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    prefix: Sequence[str] = (),
) -> RunningProxy:
    """Start `pyproxy serve` without waiting for it; the caller ends it.

    `prefix` is a command that execs what follows it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "proxy.yaml"
    config.write_text(completed(config_text))
    https_port, http_port, notified = free_port(), free_port(), NotifySocket()
    extra = {
        "HTTPS_PORT": str(https_port),
        "HTTP_PORT": str(http_port),
        "STATE_DIR": str(folder / "state"),
        "NOTIFY_SOCKET": notified.address,
        "PYTHONUNBUFFERED": "1",
        **(environment or {}),
    }
    with (folder / "stdout").open("ab") as stdout, (folder / "stderr").open("ab") as stderr:
        process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "proxy", "serve", "--config", str(config)],
            cwd=TREE,
            env={**os.environ, **extra},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
        )
    state_dir = Path(extra["STATE_DIR"])
    return RunningProxy(process, config, https_port, http_port, state_dir, notified, extra)


def wait_until_ready(proxy: RunningProxy, patience: float = PATIENCE) -> None:
    """Return once the proxy says that it serves.

    Raises:
        DidNotStartError: It ended, or says nothing for too long.
    """
    end = time.monotonic() + patience
    while not proxy.notified.has("READY=1"):
        if proxy.process.poll() is not None or time.monotonic() > end:
            raise DidNotStartError(proxy.log())
        time.sleep(0.02)


class StartProxy(Protocol):
    """What the fixture `start_proxy` gives."""

    def __call__(
        self,
        config_text: str,
        tmp_path: Path,
        *,
        environment: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
        wait: bool = True,
    ) -> RunningProxy: ...
