"""The script `./dev`: which Python it takes, when it sets up again, how it installs packages."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def sourced(commands: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run commands after sourcing `./dev`, with no Python on PATH but those of the test."""
    path = f"{environment.pop('PATH', '')}:/usr/bin:/bin"
    # What this machine has of its own is out of the question; the rest of the script needs it.
    hide = 'type() { builtin type "$@" | grep -v -e ^/usr/bin/ -e ^/bin/; }\n'
    return subprocess.run(
        ["bash", "-c", f"source {ROOT}/dev\n{hide}{commands}"],
        env={"HOME": "/nonexistent", **environment, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_newest_that_works_is_taken_past_shims_that_fail(tmp_path: Path) -> None:
    shims, versions = tmp_path / "shims", tmp_path / "pyenv" / "versions"
    script(shims / "python3.13", "exit 127")
    script(shims / "python3.12", "echo 3.12 /real/3.12")
    script(versions / "3.13.2" / "bin" / "python", "echo 3.13 /real/3.13.2")
    script(versions / "3.13.10" / "bin" / "python", "echo 3.13 /real/3.13.10")
    script(versions / "3.14.0" / "bin" / "python", "exit 1")
    found = sourced(
        "find_python 3.14 3.13 3.12 3.11",
        PATH=str(shims),
        PYENV_ROOT=str(versions.parent),
    )
    assert found.stdout == "/real/3.13.10\n"


def test_python3_serves_for_the_version_it_has(tmp_path: Path) -> None:
    script(tmp_path / "python3", "echo 3.11 /real/3.11")
    found = sourced("find_python 3.14 3.13 3.12 3.11", PATH=str(tmp_path))
    assert found.stdout == "/real/3.11\n"


def test_no_python_is_said_with_what_to_do(tmp_path: Path) -> None:
    told = sourced("choose_venv; make_venv", PATH=str(tmp_path))
    assert told.returncode == 1
    assert "3.14 3.13 3.12 3.11" in told.stderr
    assert "apt-get install python3 python3-venv" in told.stderr


@pytest.mark.parametrize(
    ("asked", "folder"),
    [("", ".venv"), ("3.11", ".venv-3.11"), ("python3.12", ".venv-3.12")],
)
def test_an_interpreter_that_is_asked_for_has_its_own_environment(asked: str, folder: str) -> None:
    told = sourced('choose_venv; echo "$venv"', PYPROXY_PYTHON=asked)
    assert told.stdout == f"{ROOT}/{folder}\n"


def test_a_path_is_taken_as_it_is(tmp_path: Path) -> None:
    python = script(tmp_path / "some-python", "echo 3.12 /real/3.12")
    told = sourced('choose_venv; echo "$venv" "$asked"', PYPROXY_PYTHON=str(python))
    assert told.stdout == f"{ROOT}/.venv-3.12 /real/3.12\n"


def test_what_does_not_work_is_refused_by_name(tmp_path: Path) -> None:
    told = sourced("choose_venv", PYPROXY_PYTHON=str(script(tmp_path / "broken", "exit 1")))
    assert told.returncode == 1
    assert f"{tmp_path}/broken is no CPython >= 3.11 that works" in told.stderr


def copy_of_the_metadata(folder: Path) -> None:
    for name in ("requirements.lock", "requirements-build.lock", "requirements-dev.lock"):
        (folder / name).write_text("h11==0.16.0\n")
    (folder / "pyproject.toml").write_text('[project]\nname = "pyproxy"\n\n[tool.ruff]\na = 1\n')


@pytest.mark.parametrize(
    ("file", "old", "new", "again"),
    [
        ("requirements-dev.lock", "0.16.0", "0.16.1", True),
        ("requirements.lock", "0.16.0", "0.16.1", True),
        ("pyproject.toml", "pyproxy", "other", True),
        ("pyproject.toml", "a = 1", "a = 2", False),
    ],
)
def test_an_environment_is_made_again_when_what_it_is_made_of_changed(
    tmp_path: Path, file: str, old: str, new: str, *, again: bool
) -> None:
    copy_of_the_metadata(tmp_path)
    python = script(tmp_path / ".venv" / "bin" / "python", "exit 0")
    prepare = f"root={tmp_path}; asked=; venv={tmp_path}/.venv; python={python}\n"
    look = f"{prepare}print=$(fingerprint); is_ready run && echo ready || echo not ready"
    assert sourced(look).stdout == "not ready\n"
    sourced(f'{prepare}print=$(fingerprint); printf %s "$print" >"$venv/ready-run"')
    assert sourced(look).stdout == "ready\n"
    changed = tmp_path / file
    changed.write_text(changed.read_text().replace(old, new))
    assert sourced(look).stdout == ("not ready\n" if again else "ready\n")


@pytest.fixture
def as_if_root(tmp_path: Path) -> str:
    """Overrides that let `apt_install` run as any user, with an apt-get that tells what it saw."""
    script(
        tmp_path / "apt-get",
        f'echo "$@" >>{tmp_path}/calls\n'
        f"[ -x {tmp_path}/policy-rc.d ] && echo no services >>{tmp_path}/calls\n"
        "for last; do :; done; case $last in unknown) exit 100;; esac",
    )
    return (
        'may_become_root() { true; }; as_root() { "$@"; }\n'
        f"policy={tmp_path}/policy-rc.d; units={tmp_path}/units; PATH={tmp_path}:$PATH\n"
    )


def test_no_service_starts_and_nothing_is_left_behind(tmp_path: Path, as_if_root: str) -> None:
    assert sourced(f"{as_if_root}apt_install nginx curl").returncode == 0
    calls = (tmp_path / "calls").read_text()
    assert "nginx curl\nno services\n" in calls
    assert not (tmp_path / "policy-rc.d").exists()


def test_no_service_starts_with_the_machine_either(tmp_path: Path, as_if_root: str) -> None:
    script(tmp_path / "systemctl", f'echo "$@" >>{tmp_path}/systemctl-calls')
    (tmp_path / "units").mkdir()
    (tmp_path / "units" / "nginx.service").touch()
    sourced(f"{as_if_root}apt_install nginx curl")
    assert (tmp_path / "systemctl-calls").read_text() == "disable --quiet nginx\n"


def test_somebody_elses_policy_stays(tmp_path: Path, as_if_root: str) -> None:
    policy = script(tmp_path / "policy-rc.d", "exit 101")
    before = policy.read_text()
    sourced(f"{as_if_root}apt_install curl")
    assert policy.read_text() == before


def test_a_policy_that_a_killed_run_left_behind_goes(tmp_path: Path, as_if_root: str) -> None:
    sourced(f"{as_if_root}trap() {{ true; }}\napt_install curl")
    assert (tmp_path / "policy-rc.d").exists(), "the trap was disabled, as kill -9 does"
    sourced(f"{as_if_root}apt_install curl")
    assert not (tmp_path / "policy-rc.d").exists()


def test_one_unknown_package_does_not_keep_the_others_out(tmp_path: Path, as_if_root: str) -> None:
    done = sourced(f"{as_if_root}apt_install curl unknown")
    assert done.returncode == 1
    lines = (tmp_path / "calls").read_text().splitlines()
    assert any(line.endswith("--no-install-recommends curl") for line in lines)
    assert any(line.endswith(" update") for line in lines)


def test_tools_that_stay_missing_are_named() -> None:
    told = sourced(
        "may_become_root() { false; }\ninstall_tools 'sh dash' 'no-such-tool some-package'"
    )
    assert told.stdout == "no-such-tool\n"
    assert "some-package" in told.stderr


def test_every_program_that_a_test_needs_is_installed_and_no_other() -> None:
    listed = re.search(
        r"^test_tools=\(\n(.*?)^\)", (ROOT / "dev").read_text(), re.MULTILINE | re.DOTALL
    )
    assert listed is not None
    tools = {pair.split()[0] for pair in re.findall(r'"([^"]+)"', listed[1])}
    needed = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for mark in re.findall(r"mark\.needs\(([^)]*)\)", path.read_text())
        for name in re.findall(r'"([^"]+)"', mark)
    }
    assert tools == needed


def test_usage() -> None:
    wrong = subprocess.run([ROOT / "dev", "srve"], capture_output=True, text=True, check=False)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    right = subprocess.run([ROOT / "dev", "help"], capture_output=True, text=True, check=False)
    assert (right.returncode, right.stdout) == (0, wrong.stderr)


def test_ci_runs_the_command_that_everybody_runs(tmp_path: Path) -> None:
    script(tmp_path / "dev", 'echo "$CI:$*"; pwd')
    (tmp_path / ".ci").mkdir()
    script(tmp_path / ".ci" / "run", (ROOT / ".ci" / "run").read_text())
    clean = {name: value for name, value in os.environ.items() if name != "CI"}
    done = subprocess.run(
        [tmp_path / ".ci" / "run"], cwd="/", env=clean, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"true:test\n{tmp_path}\n"
