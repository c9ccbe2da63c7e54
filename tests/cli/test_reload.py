from click.testing import CliRunner

from proxy.cli.reload import command
from tests.cli.conftest import FakeProxy


def test_success_names_the_configuration(running: FakeProxy) -> None:
    running.answer = {"ok": True, "generation": 4}
    done = CliRunner().invoke(command, ["-c", str(running.config)])
    assert (done.exit_code, done.output) == (0, "reloaded: configuration 4 is in force\n")
    assert running.asked == ["reload"]


def test_what_went_wrong_disturbs_no_terminal(running: FakeProxy) -> None:
    running.answer = {"ok": False, "why": "worker 0: \x1b]0;title\x07\x9b2J"}
    done = CliRunner().invoke(command, ["-c", str(running.config)])
    assert done.stderr.startswith("worker 0: \\x1B]0;title\\x07\\x9B2J\nnothing has changed")


def test_a_wrong_file_is_78_and_a_failing_machine_1(running: FakeProxy) -> None:
    running.answer = {"ok": False, "why": "proxy.yaml:1:1: no", "configuration": True}
    done = CliRunner().invoke(command, ["-c", str(running.config)])
    assert done.exit_code == 78
    assert "proxy.yaml:1:1: no\nnothing has changed" in done.stderr
    running.answer = {"ok": False, "why": "the port is taken", "configuration": False}
    assert CliRunner().invoke(command, ["-c", str(running.config)]).exit_code == 1
