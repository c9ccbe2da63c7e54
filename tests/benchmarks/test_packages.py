import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from benchmarks import packages
from benchmarks.packages import MissingProgramsError


class Installer:
    """Remembers what would have been run, and whether services were kept from starting then."""

    def __init__(self, policy: Path, *, fails: bool = False) -> None:
        self.policy = policy
        self.fails = fails
        self.commands: list[Sequence[str]] = []
        self.guarded: list[bool] = []

    def __call__(self, command: Sequence[str], _environment: Mapping[str, str]) -> None:
        self.commands.append(command)
        self.guarded.append(self.policy.exists())
        if self.fails:
            raise subprocess.CalledProcessError(100, list(command))


@pytest.fixture
def as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda name, **_: f"/usr/bin/{name}")


def test_what_is_there_is_not_missing() -> None:
    assert packages.missing(["ls", "no-such-program", "no-such-program"]) == ["no-such-program"]


@pytest.mark.usefixtures("as_root")
def test_services_may_not_start_while_packages_are_installed(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    installer = Installer(policy)
    packages.install(["nginx", "h2load"], policy, installer)
    _update, install, disable = installer.commands
    assert install[-2:] == ["nghttp2-client", "nginx"]
    assert disable == ["systemctl", "disable", "nginx"]
    assert all(installer.guarded)
    assert not policy.exists()


@pytest.mark.usefixtures("as_root")
def test_a_policy_that_was_there_stays_as_it_was(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    policy.write_text("theirs")
    packages.install(["wrk"], policy, Installer(policy))
    assert policy.read_text() == "theirs"


@pytest.mark.usefixtures("as_root")
def test_a_failed_installation_says_what_to_do_and_leaves_no_policy(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    with pytest.raises(MissingProgramsError, match="apt-get install caddy"):
        packages.install(["caddy"], policy, Installer(policy, fails=True))
    assert not policy.exists()


def test_without_the_right_to_install_the_command_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(MissingProgramsError, match=r"missing: wrk; .*apt-get install wrk"):
        packages.install(["wrk"], tmp_path / "policy-rc.d", Installer(tmp_path))
