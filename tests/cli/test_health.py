from click.testing import CliRunner

from proxy.cli.health import command
from tests.cli.conftest import FakeProxy


def test_health_is_an_exit_code(running: FakeProxy) -> None:
    running.answer = {"ok": True}
    done = CliRunner().invoke(command, ["-c", str(running.config)])
    assert (done.exit_code, done.output) == (0, "ok\n")
    running.answer = {"ok": False, "why": "no worker serves"}
    done = CliRunner().invoke(command, ["-c", str(running.config)])
    assert (done.exit_code, done.stderr) == (1, "pyproxy: no worker serves\n")
    assert running.asked == ["health", "health"]
