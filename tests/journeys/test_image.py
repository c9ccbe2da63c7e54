"""The container image: built from the Dockerfile, looked at, and run behind its own front door.

There need be no Docker: buildah builds without a daemon, and the base comes from Debian's packages.
The first run fetches those and takes a minute more; their tar file stays in pytest's cache.
"""

import contextlib
import json
import os
import signal
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import httpx
import pytest

from tests.journeys.running import TREE, eventually, free_port

pytestmark = [pytest.mark.needs("buildah", "debootstrap"), pytest.mark.timeout(600)]

USER = 10001
CONFIG = "/etc/pyproxy/proxy.yaml"
STATE = "/var/lib/pyproxy"
# Not where the image declares a volume: each `buildah run` lays its own copy of that over ours.
OWN_STATE = "/srv/state"


class Config(TypedDict):
    User: str
    Entrypoint: list[str]
    Cmd: list[str]
    ExposedPorts: dict[str, object]
    Volumes: dict[str, object]
    StopSignal: str
    Healthcheck: dict[str, list[str]]
    Labels: dict[str, str]


@dataclass(frozen=True)
class Builder:
    """buildah with a storage of its own, which goes with the tests."""

    environment: Mapping[str, str]

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["buildah", *words],
            cwd=TREE,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *words: str) -> tuple[int, str]:
        process = self.start(*words)
        output, _ = process.communicate()
        return process.returncode, output

    def must(self, *words: str) -> str:
        status, output = self.run(*words)
        assert status == 0, output
        return output


@pytest.fixture(scope="module")
def builder() -> Iterator[Builder]:
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount, so no image can be built here: run it as root")
    with tempfile.TemporaryDirectory(prefix="pyproxy-image-") as folder:
        storage = Path(folder, "storage.conf")
        storage.write_text(
            f'[storage]\ndriver = "vfs"\ngraphroot = "{folder}/graph"\nrunroot = "{folder}/run"\n'
        )
        own = Builder(
            os.environ
            | {
                "CONTAINERS_STORAGE_CONF": str(storage),
                "BUILDAH_ISOLATION": "chroot",
                "STORAGE_DRIVER": "vfs",
                "TMPDIR": folder,
            }
        )
        yield own
        own.must("rm", "--all")


@pytest.fixture(scope="module")
def image(builder: Builder, request: pytest.FixtureRequest) -> str:
    cache = request.config.cache
    assert cache is not None
    base = subprocess.run(
        [Path(__file__).with_name("image_base.sh"), "pyproxy-base", cache.mkdir("image-base")],
        env=builder.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert base.returncode == 0, base.stderr
    # Docker's own format: the other one has no HEALTHCHECK.
    name = "localhost/pyproxy-base"
    builder.must("bud", "--format=docker", f"--build-arg=BASE={name}", "--tag=pyproxy", ".")
    return "localhost/pyproxy"


@pytest.fixture(scope="module")
def container(builder: Builder, image: str) -> str:
    return builder.must("from", "--pull-never", image).strip()


def inspected(builder: Builder, image: str) -> Config:
    found: Config = json.loads(builder.must("inspect", "--type=image", image))["Docker"]["config"]
    return found


def test_what_the_image_says_of_itself(builder: Builder, image: str) -> None:
    config = inspected(builder, image)
    assert config["User"] == f"{USER}:{USER}"
    assert config["Entrypoint"] == ["pyproxy"]
    assert config["Cmd"] == ["serve", "--config", CONFIG]
    assert config["Healthcheck"]["Test"] == ["CMD", "pyproxy", "health"]
    assert config["StopSignal"] == "SIGTERM"
    assert set(config["ExposedPorts"]) == {"80/tcp", "443/tcp"}
    assert set(config["Volumes"]) == {STATE}
    assert config["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"


def test_the_image_adds_little_to_its_base_and_no_installer(
    builder: Builder, container: str
) -> None:
    used = builder.must("run", container, "--", "du", "-sm", "/opt/pyproxy")
    assert int(used.split()[0]) < 64
    status, _ = builder.run("run", container, "--", "/opt/pyproxy/bin/python", "-m", "pip", "list")
    assert status != 0


def test_it_is_not_root_and_owns_its_state_folder(builder: Builder, container: str) -> None:
    told = builder.must("run", container, "--", "sh", "-c", f"id -u; stat -c '%u %a' {STATE}")
    assert told.split() == [str(USER), str(USER), "700"]


@pytest.fixture
def upstream() -> Iterator[int]:
    """The application of the compose example, as its own container would run it."""
    port = free_port()
    application = TREE / "config" / "compose" / "app"
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "uvicorn", "application:app", "--app-dir", str(application)),
            *("--port", str(port), "--proxy-headers", "--forwarded-allow-ips", "*"),
        ],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    yield port
    process.terminate()
    process.wait(10)


@dataclass(frozen=True)
class Mounted:
    """The compose example's configuration and a state folder, as volumes of a container."""

    config: Path
    state: Path
    https: int

    def volumes(self) -> list[str]:
        return [f"--volume={self.config}:{CONFIG}:ro", f"--volume={self.state}:{OWN_STATE}"]


@pytest.fixture
def mounted(tmp_path: Path, upstream: int) -> Mounted:
    http, https = free_port(), free_port()
    example = (TREE / "config" / "compose" / "proxy.yaml").read_text()
    config = tmp_path / "proxy.yaml"
    config.write_text(
        f'listen: {{http: "127.0.0.1:{http}", https: "127.0.0.1:{https}"}}\n'
        + example.replace("app:8000", f"127.0.0.1:{upstream}").replace(STATE, OWN_STATE)
    )
    config.chmod(0o644)
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    os.chown(state, USER, USER)
    return Mounted(config, state, https)


def test_check_inside_the_image(builder: Builder, container: str, mounted: Mounted) -> None:
    command = (*mounted.volumes(), container, "--", "pyproxy", "check", "--config", CONFIG)
    status, output = builder.run("run", *command)
    assert status == 0, output
    mounted.config.write_text(mounted.config.read_text().replace("hosts:", "hots:"))
    status, output = builder.run("run", *command)
    assert status == 78, output
    assert "did you mean" in output


def supervisor_inside() -> int:
    """The pid, out here, of the newest pyproxy that buildah has started in a container."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (folder / "cmdline").read_bytes().split(b"\0")
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            above = Path(f"/proc/{parent}/cmdline").read_bytes()
            if b"/opt/pyproxy/bin/pyproxy" in words[:2] and above.startswith(b"buildah-chroot"):
                found.append(int(folder.name))
    return max(found)


def test_it_serves_is_healthy_and_ends_when_told(
    builder: Builder, container: str, mounted: Mounted
) -> None:
    volumes = mounted.volumes()
    health = ("run", *volumes, container, "--", "pyproxy", "health")
    assert builder.run(*health)[0] == 1, "nothing serves yet"
    serving = builder.start(
        "run", *volumes, container, "--", "pyproxy", "serve", "--config", CONFIG
    )
    try:
        eventually(lambda: builder.run(*health)[0] == 0 or serving.poll() is not None)
        assert serving.poll() is None, serving.communicate()[0]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(mounted.state / "local-ca" / "root.pem")
        url = f"https://localhost:{mounted.https}/some/path"
        seen = httpx.get(url, verify=context, trust_env=False).json()
        assert (seen["scheme"], seen["path"]) == ("https", "/some/path")
        os.kill(supervisor_inside(), signal.SIGTERM)
        output, _ = serving.communicate(timeout=30)
        assert serving.returncode == 0, output
    finally:
        if serving.poll() is None:
            serving.kill()
            serving.communicate()
