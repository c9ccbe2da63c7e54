"""What is said when serving cannot begin; how it goes on otherwise is in tests/journeys."""

import socket
from pathlib import Path

from click.testing import CliRunner

from proxy.cli.serve import command


def test_a_wrong_configuration_is_78(tmp_path: Path) -> None:
    config = tmp_path / "proxy.yaml"
    config.write_text("sites: 7\n")
    done = CliRunner().invoke(command, ["-c", str(config)])
    assert done.exit_code == 78
    assert f"{config}:1:" in done.stderr


def test_a_taken_port_is_1_and_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config = tmp_path / "proxy.yaml"
        config.write_text(
            f"""
listen: {{http: "127.0.0.1:{port}", https: null}}
log: {{access: "off", error: "off"}}
state_dir: ./state
sites: [{{hosts: [a.test], routes: [{{path: /, respond: 204}}]}}]
"""
        )
        done = CliRunner().invoke(command, ["-c", str(config)])
    assert done.exit_code == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"pyproxy: cannot listen on 127.0.0.1:{port}: the port is taken by")
    assert list((tmp_path / "state").iterdir()) == []
