import dataclasses
import os
from pathlib import Path

import pytest

from proxy.errors import BadRequestError
from proxy.run import cpus
from proxy.run.in_force import InForce, hand_over_logs, made_ready, needs_new_workers, refusal
from proxy.run.loading import load
from proxy.run.privileges import Identity, PrivilegeError
from proxy.state.buckets import BucketTable
from tests.fakes.exchanges import looked_at

TEXT = """
listen: {http: ":8080", https: null}
workers: 2
user: null
state_dir: ./state
log: {access: {to: ./access.log}}
sites: [{hosts: [a.test], routes: [{path: /, respond: 204}]}]
"""


@pytest.fixture
def force(tmp_path: Path) -> InForce:
    return made(tmp_path, TEXT)


def made(folder: Path, text: str) -> InForce:
    path = folder / "proxy.yaml"
    path.write_text(text)
    return made_ready(load(str(path), {}), 2, 1000.0)


def test_a_configuration_is_compiled_and_its_words_are_filled_in(
    tmp_path: Path, force: InForce
) -> None:
    assert (force.generation, force.since, force.workers) == (2, 1000.0, 2)
    assert force.state_dir == tmp_path / "state"
    assert [endpoint.port for endpoint in force.program.endpoints] == [8080]
    assert made(tmp_path, TEXT.replace("workers: 2", "")).workers == cpus.usable()


def test_what_is_to_serve_is_compiled_with_the_buckets_of_its_limits(tmp_path: Path) -> None:
    path = tmp_path / "proxy.yaml"
    path.write_text(
        TEXT.replace("{path: /,", "{path: /, rate_limit: a,") + "rate_limits: {a: {rate: 1/hour}}\n"
    )
    loaded, buckets = load(str(path), {}), BucketTable.create()

    def asked(force: InForce) -> object:
        (site,) = force.program.all_sites()
        (route,) = site.routes.routes
        return route.gates[0](looked_at())

    assert asked(made_ready(loaded, 1, 1000.0, buckets)) is None
    with pytest.raises(BadRequestError, match="rate limit a"):
        asked(made_ready(loaded, 2, 1001.0, buckets))
    assert loaded.sources.rate_store is None, "what is pickled holds none"
    with pytest.raises(RuntimeError):
        asked(made_ready(loaded, 3, 1002.0))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")
def test_the_user_is_looked_up(tmp_path: Path, force: InForce) -> None:
    assert force.identity is None
    identity = made(tmp_path, TEXT.replace("user: null", "user: nobody")).identity
    assert identity is not None
    assert identity.name == "nobody"
    with pytest.raises(PrivilegeError):
        made(tmp_path, TEXT.replace("user: null", "user: no-such-user"))


def test_a_state_folder_cannot_change(tmp_path: Path, force: InForce) -> None:
    assert refusal(force, force) == ""
    other = made(tmp_path, TEXT.replace("./state", "./other"))
    assert "restart it" in refusal(force, other)


@pytest.mark.parametrize(
    ("old", "new", "needed"),
    [
        ("respond: 204", "respond: 404", False),
        ("workers: 2", "workers: 2\ndrain_timeout: 5s", False),
        ("workers: 2", "workers: 3", True),
        (":8080", ":8081", True),
        ("./access.log", "./other.log", True),
    ],
)
def test_only_what_a_worker_is_born_with_needs_new_ones(
    tmp_path: Path, force: InForce, old: str, new: str, *, needed: bool
) -> None:
    assert needs_new_workers(force, made(tmp_path, TEXT.replace(old, new))) is needed


def test_another_user_needs_new_workers(force: InForce) -> None:
    other = dataclasses.replace(force, identity=Identity("nobody", 65534, 65534, (65534,)))
    assert needs_new_workers(force, other)


def test_log_files_are_there_before_the_workers(tmp_path: Path, force: InForce) -> None:
    hand_over_logs(force)
    assert (tmp_path / "access.log").is_file()
    (tmp_path / "access.log").unlink()
    (tmp_path / "access.log").mkdir()
    with pytest.raises(OSError, match=r"access\.log"):
        hand_over_logs(force)
