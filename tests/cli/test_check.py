import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from proxy.cli.check import command

RIGHT = """
listen: {http: "127.0.0.1:8080", https: "127.0.0.1:8443"}
workers: 3
user: null
state_dir: ./state
upstreams:
  django: {servers: ["http://app1:8000"]}
  unused: {servers: ["http://app2:8000"]}
sites:
  - hosts: [a.test]
    tls: self_signed
    routes:
      - {path: /api/, methods: [POST], proxy: django, limits: {body: 1MB}}
      - {path: /, proxy: django, response_headers: {X-Own: "yes"}}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "proxy.yaml"
    path.write_text(RIGHT)
    return path


def check(config: Path, *words: str) -> Result:
    return CliRunner().invoke(command, ["-c", str(config), *words])


def test_a_right_file_is_shown_as_what_it_comes_to(config: Path) -> None:
    done = check(config)
    assert done.exit_code == 0
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert f"{config}: right" in lines
    assert "listens on 127.0.0.1:8080 (http), 127.0.0.1:8443 (https)" in lines
    assert "workers 3" in lines
    assert "a.test /api/ POST proxy django compression body 1 MB, response 60 s" in lines
    assert "answers of a.test / have" in lines
    assert "X-Own: yes" in lines
    assert "no route proxies to this upstream" in done.stderr
    assert [path.name for path in config.parent.iterdir()] == ["proxy.yaml"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's workers become somebody else")
def test_folders_that_workers_do_not_get_to_are_told(config: Path) -> None:
    shut = config.parent / "shut"
    shut.mkdir(mode=0o700)
    config.parent.chmod(0o700)  # as everything beneath it is to nobody
    changed = RIGHT.replace("{path: /, proxy: django, ", "{path: /, files: shut, ")
    config.write_text(changed.replace("user: null", "user: nobody"))
    done = check(config, "--quiet")
    assert done.exit_code == 0
    assert ".files: workers run as nobody, who may not enter " in done.stderr
    config.write_text(changed)
    assert "may not enter" not in check(config, "--quiet").stderr


def test_quiet_shows_advice_alone(config: Path) -> None:
    done = check(config, "--quiet")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "advice: " in done.stderr


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("workers: 3", "workerz: 3", "unknown key; did you mean `workers`?"),
        ("tls: self_signed", "tls: {cert: ./a.pem, key: ./a.key}", "a.pem: No such file"),
    ],
)
def test_a_wrong_file_is_78(config: Path, old: str, new: str, message: str) -> None:
    config.write_text(RIGHT.replace(old, new))
    done = check(config)
    assert done.exit_code == 78
    assert f"{config}:" in done.stderr
    assert message in done.stderr
    assert done.stdout == ""
