import os
from pathlib import Path

import pytest

from proxy.run import checking
from proxy.run.checking import Check, ConfigurationError, abandon, finding, start

TEXT = "state_dir: ./s\nsites: [{hosts: [localhost], routes: [{path: /, respond: 204}]}]\n"


def shed() -> None:
    """There is nothing to let go of."""


def ended(check: Check) -> Check:
    check.status = os.waitstatus_to_exitcode(os.waitpid(check.pid, 0)[1])
    return check


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "proxy.yaml"
    path.write_text(TEXT)
    return path


def test_a_right_file_comes_back_with_its_certificates(config: Path) -> None:
    check = ended(start(str(config), {}, shed))
    assert check.status == 0
    loaded = finding(check)
    assert loaded.settings.sites[0].hosts == ("localhost",)
    assert b"PRIVATE KEY" in loaded.sources.certificates["localhost"][0][1]
    os.close(check.handle)


def test_a_wrong_file_comes_back_as_a_report(config: Path) -> None:
    config.write_text(TEXT.replace("sites", "sits"))
    check = ended(start(str(config), {}, shed))
    assert check.status == os.EX_CONFIG
    with pytest.raises(ConfigurationError, match="did you mean `sites`"):
        finding(check)
    os.close(check.handle)


def test_a_check_that_dies_is_no_configuration(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> int:
        raise MemoryError

    monkeypatch.setattr(checking, "_find", fail)
    check = ended(start(str(config), {}, shed))
    with pytest.raises(ConfigurationError, match="failed"):
        finding(check)
    os.close(check.handle)


def test_a_check_can_be_ended_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    monkeypatch.setattr(checking, "_find", lambda *_: len(os.read(reading, 1)))
    check = start(str(tmp_path), {}, shed)
    abandon(check)
    assert ended(check).status == -9
    abandon(check)
    for handle in (check.handle, reading, writing):
        os.close(handle)
