import os
import subprocess
import sys

from click.testing import CliRunner

from proxy.cli.stop import command
from tests.cli.conftest import FakeProxy


def test_it_returns_once_the_proxy_has_ended(running: FakeProxy) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    running.answer = {"ok": True, "pid": process.pid}
    done = CliRunner().invoke(command, ["-c", str(running.config)])
    assert (done.exit_code, done.output) == (0, "stopped\n")
    process.wait()


def test_it_does_not_wait_for_ever(running: FakeProxy) -> None:
    running.answer = {"ok": True, "pid": os.getpid()}
    done = CliRunner().invoke(command, ["-c", str(running.config), "--timeout", "0.01"])
    assert done.exit_code == 1
    assert "still lets requests finish" in done.stderr


def test_a_refusal_is_a_failure(running: FakeProxy) -> None:
    running.answer = {"ok": False, "why": "the proxy is ending"}
    done = CliRunner().invoke(command, ["-c", str(running.config)])
    assert (done.exit_code, done.stderr) == (1, "pyproxy: the proxy is ending\n")
