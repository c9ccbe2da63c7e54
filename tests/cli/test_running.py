from pathlib import Path

import pytest

from proxy.cli.running import asked, folder_of
from tests.cli.conftest import FakeProxy


def test_the_proxy_of_a_configuration_is_asked(running: FakeProxy) -> None:
    running.answer = {"ok": False, "why": "for a reason"}
    assert asked(str(running.config), "health", 5.0) == running.answer
    assert running.asked == ["health"]
    assert folder_of(str(running.config)) == running.config.parent


def test_a_proxy_that_does_not_run_is_a_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "proxy.yaml"
    config.write_text("")
    with pytest.raises(SystemExit) as ended:
        asked(str(config), "health", 5.0)
    assert ended.value.code == 1
    with pytest.raises(SystemExit) as ended:
        asked(str(tmp_path / "none.yaml"), "health", 5.0)
    assert ended.value.code == 78
    assert "no proxy runs" in capsys.readouterr().err
