"""What `./dev serve` runs: the demo application behind the proxy, and the command to try it."""

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.journeys.running import PATIENCE, TREE, children_of, eventually, free_port, is_alive

pytestmark = pytest.mark.needs("curl")


@dataclass(frozen=True)
class Demo:
    process: subprocess.Popen[bytes]
    https: int
    folder: Path

    def output(self) -> str:
        return (self.folder / "stdout").read_text()

    def errors(self) -> str:
        return (self.folder / "stderr").read_text()

    def descendants(self) -> list[int]:
        found = children_of(self.process.pid)
        for pid in found:
            found.extend(children_of(pid))
        return found

    def end(self) -> None:
        pids = [*self.descendants(), self.process.pid]
        for _ in range(2):  # the second signal means: now
            if self.process.poll() is None:
                self.process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(5)
        for pid in filter(is_alive, pids):
            os.kill(pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    https = free_port()
    variables = {
        "PYPROXY_DEMO_HTTPS": str(https),
        "PYPROXY_DEMO_HTTP": str(free_port()),
        "PYPROXY_DEMO_STATE": str(tmp_path / "a state" / "folder"),
    }
    with (tmp_path / "stdout").open("wb") as stdout, (tmp_path / "stderr").open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, TREE / "config" / "demo" / "serve.py"],
            cwd=tmp_path,
            env=os.environ | variables,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
        )
    running = Demo(process, https, tmp_path)
    yield running
    running.end()


def printed_command(demo: Demo) -> list[str]:
    """The curl command that it prints once the proxy answers."""

    def look() -> list[str] | None:
        assert demo.process.poll() is None, demo.errors()
        lines = [line for line in demo.output().splitlines() if line.startswith("    curl ")]
        return shlex.split(lines[0]) if lines else None

    return eventually(look) or []


def test_the_printed_command_works_as_it_stands(demo: Demo) -> None:
    command = printed_command(demo)
    assert command[:2] == ["curl", "--cacert"]
    assert command[-1] == f"https://localhost:{demo.https}/api/echo"
    done = subprocess.run([*command, "-sS"], capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert (told["method"], told["path"]) == ("GET", "/api/echo")
    sent_on = {name.lower(): value for name, value in told["headers"]}
    assert sent_on["x-forwarded-proto"] == "https"
    assert sent_on["host"] == f"localhost:{demo.https}"


def test_an_interrupt_ends_both(demo: Demo) -> None:
    printed_command(demo)
    pids = demo.descendants()
    assert pids
    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(PATIENCE) == 0
    assert not [pid for pid in pids if is_alive(pid)]


@pytest.mark.parametrize("state", ["a state/folder", "another"])
def test_a_second_one_says_what_the_first_has_taken_and_ends(
    demo: Demo, tmp_path: Path, state: str
) -> None:
    printed_command(demo)
    second = subprocess.run(
        [sys.executable, TREE / "config" / "demo" / "serve.py"],
        env=os.environ
        | {
            "PYPROXY_DEMO_HTTPS": str(demo.https),
            "PYPROXY_DEMO_HTTP": str(free_port()),
            "PYPROXY_DEMO_STATE": str(tmp_path / state),
        },
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert second.returncode == 1
    taken = "is running already" if state == "a state/folder" else str(demo.https)
    assert taken in second.stderr
    assert "curl" not in second.stdout
