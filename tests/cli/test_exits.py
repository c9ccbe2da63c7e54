import pytest

from proxy.cli.exits import CONFIGURATION, FAILED, fail


def test_a_failure_is_told_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        fail("no")
    assert ended.value.code == FAILED == 1
    with pytest.raises(SystemExit) as ended:
        fail("wrong", CONFIGURATION)
    assert ended.value.code == 78
    assert capsys.readouterr() == ("", "no\nwrong\n")
