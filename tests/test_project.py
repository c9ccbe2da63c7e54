"""The files around the code: locks, licence, changelog, image, compose file, systemd unit."""

import json
import re
import stat
import subprocess
import tomllib
from collections.abc import Mapping
from configparser import ConfigParser
from pathlib import Path
from typing import TypedDict

import pytest
import yaml

ROOT = Path(__file__).parents[1]
LOCKS = [
    "requirements.lock",
    "requirements-build.lock",
    "requirements-dev.lock",
    "config/compose/app/requirements.lock",
]


def metadata() -> dict[str, list[str]]:
    project: dict[str, list[str]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return project


def groups() -> dict[str, list[str]]:
    found: dict[str, list[str]] = tomllib.loads((ROOT / "pyproject.toml").read_text())[
        "dependency-groups"
    ]
    return found


def name_of(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found is not None
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def pins(lock: str) -> dict[str, set[str]]:
    """Names to the versions pinned; more than one where Pythons differ."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(
        r"^([a-z0-9-]+)==(\S+)", (ROOT / lock).read_text(), re.MULTILINE
    ):
        found.setdefault(name, set()).add(version)
    return found


@pytest.mark.parametrize("lock", LOCKS)
def test_locks_pin_and_hash_and_say_nothing_of_where_from(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert not re.search(r"^\s*--(?!hash)", text, re.MULTILINE), "no options but hashes"
    entries = re.split(r"\n(?=[a-z0-9])", text.strip())
    for entry in entries:
        assert re.match(r"[a-z0-9-]+==\S+", entry), entry
        assert "--hash=sha256:" in entry, entry
    assert len(entries) == sum(map(len, pins(lock).values()))


def test_locks_cover_what_the_project_asks_for() -> None:
    run = {name_of(each) for each in metadata()["dependencies"]}
    build = {name_of(each) for each in groups()["build"]}
    dev = {name_of(each) for each in groups()["dev"]}
    assert not run.difference(pins("requirements.lock"))
    assert not build.difference(pins("requirements-build.lock"))
    assert not (run | build | dev).difference(pins("requirements-dev.lock"))


@pytest.mark.parametrize("lock", LOCKS)
def test_the_development_lock_agrees_with_the_others(lock: str) -> None:
    dev = pins("requirements-dev.lock")
    assert {name: versions for name, versions in pins(lock).items() if dev[name] != versions} == {}


def test_the_classifiers_name_the_pythons_that_dev_takes_and_the_suite_passes_on() -> None:
    classified = re.findall(r"Python :: (3\.\d+)", " ".join(metadata()["classifiers"]))
    found = re.search(r"^supported=\((.*)\)", (ROOT / "dev").read_text(), re.MULTILINE)
    assert found is not None
    assert set(classified) <= set(found[1].split())
    assert min(classified, key=lambda each: int(each[2:])) == "3.11"


@pytest.mark.parametrize("name", ["dev", ".ci/run", "tests/journeys/image_base.sh"])
def test_scripts_may_be_run(name: str) -> None:
    assert (ROOT / name).stat().st_mode & stat.S_IXUSR


def test_the_licence_is_the_whole_licence() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License\n                           Version 2.0, January 2004" in text
    assert "9. Accepting Warranty or Additional Liability" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_the_changelog_keeps_its_form() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", each) for each in headings[1:])
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.*)$", text, re.MULTILINE)) <= kinds


class Service(TypedDict, total=False):
    """What of a compose service is looked at."""

    build: str
    ports: list[str]
    volumes: list[str]
    networks: list[str]
    read_only: bool
    cap_drop: list[str]
    stop_grace_period: str


def services() -> Mapping[str, Service]:
    found: Mapping[str, Service] = yaml.safe_load(
        (ROOT / "config" / "docker-compose.yml").read_text()
    )["services"]
    return found


def test_only_the_proxy_is_reachable_from_outside() -> None:
    assert [name for name, service in services().items() if "ports" in service] == ["pyproxy"]
    assert services()["pyproxy"]["ports"] == ["80:80", "443:443"]
    assert set(services()["app"]["networks"]) < set(services()["pyproxy"]["networks"])


def test_what_compose_builds_and_mounts_is_there() -> None:
    config = ROOT / "config"
    for service in services().values():
        assert (config / service["build"] / "Dockerfile").is_file()
        for volume in service.get("volumes", []):
            if volume.startswith("."):
                assert (config / volume.split(":")[0]).is_file()


def test_compose_routes_to_the_service_by_its_name() -> None:
    written = yaml.safe_load((ROOT / "config" / "compose" / "proxy.yaml").read_text())
    (route,) = written["sites"][0]["routes"]
    assert route["proxy"].startswith("http://app:8000")
    assert '"--port", "8000"' in (ROOT / "config/compose/app/Dockerfile").read_text()
    mounted = services()["pyproxy"]["volumes"][1]
    assert mounted.endswith(f":{written['state_dir']}")


def instructions(name: str) -> dict[str, str]:
    """The last of each instruction of a Dockerfile, which is the one in force."""
    text = (ROOT / name).read_text().replace("\\\n", " ")
    return dict(re.findall(r"^([A-Z]+) +(.*)$", text, re.MULTILINE))


def test_the_image_is_not_root_and_gets_the_signals() -> None:
    image = instructions("Dockerfile")
    assert image["USER"] == "10001:10001"
    assert image["STOPSIGNAL"] == "SIGTERM"
    assert json.loads(image["ENTRYPOINT"]) == ["pyproxy"]
    assert json.loads(image["CMD"])[0] == "serve"
    assert json.loads(image["HEALTHCHECK"].split("CMD ")[1]) == ["pyproxy", "health"]
    assert image["EXPOSE"] == "80 443"
    assert image["VOLUME"] == "/var/lib/pyproxy"


def test_what_the_image_copies_is_not_ignored() -> None:
    allowed = re.findall(r"^!/(\S+)", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    copied = re.findall(
        r"^COPY (?!--from)(.*) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE
    )
    names = {name.removeprefix("./") for line in copied for name in line.split()}
    assert names == set(allowed)
    assert all((ROOT / name).exists() for name in names)


def unit() -> Mapping[str, str]:
    parser = ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # the documented way
    parser.read(ROOT / "config" / "pyproxy.service")
    return parser["Service"]


def test_the_unit_notifies_and_leaves_a_wrong_configuration_alone() -> None:
    service = unit()
    assert service["Type"] == "notify-reload"
    assert service["RestartPreventExitStatus"].split() == ["2", "78"]
    assert service["User"] != "root"
    assert service["AmbientCapabilities"] == "CAP_NET_BIND_SERVICE"


@pytest.mark.needs("systemd-analyze")
def test_systemd_reads_the_unit(tmp_path: Path) -> None:
    text = (ROOT / "config" / "pyproxy.service").read_text()
    unit_file = tmp_path / "pyproxy.service"
    unit_file.write_text(text.replace("/opt/pyproxy/bin/pyproxy", "/bin/true"))
    told = subprocess.run(
        ["systemd-analyze", "verify", unit_file], capture_output=True, text=True, check=False
    ).stderr
    ours = [line for line in told.splitlines() if unit_file.name in line]
    # systemd 252 (Debian 12) does not know notify-reload; the unit says what to write there.
    assert [line for line in ours if "notify-reload" not in line] == []
