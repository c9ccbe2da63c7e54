import os
import pickle
from pathlib import Path

import pytest
import trustme

from proxy.compiler.program import compile_program
from proxy.run.loading import NAMED_FILE_LIMIT, LoadError, load, unpickled

TWO = """
state_dir: ./state
listen: {http: null, https: ":8443"}
sites:
  - hosts: [own.test, www.own.test]
    tls: self_signed
    routes: [{path: /, respond: 204}]
  - hosts: [given.test]
    tls: {cert: ./cert.pem, key: ./key.pem}
    routes: [{path: /, respond: 204}]
  - default: true
    tls: {cert: ./cert.pem, key: ./key.pem}
    routes: [{path: /, respond: 404}]
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "proxy.yaml"
    path.write_text(TWO)
    leaf = trustme.CA().issue_cert("given.test")
    leaf.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    leaf.private_key_pem.write_to_path(tmp_path / "key.pem")
    (tmp_path / "key.pem").chmod(0o600)
    return path


def test_every_site_has_its_certificate(config: Path) -> None:
    loaded = load(str(config), {})
    assert set(loaded.sources.certificates) == {"own.test", "given.test", ""}
    for ((chain, key),) in loaded.sources.certificates.values():
        assert chain.startswith(b"-----BEGIN CERTIFICATE-----")
        assert b"PRIVATE KEY" in key
    assert loaded.root == str(config.parent / "state" / "local-ca" / "root.pem")
    assert Path(loaded.root).is_file()
    again = load(str(config), {})
    assert again.sources.certificates == loaded.sources.certificates, "made once"


def test_keys_stay_out_of_sight(config: Path) -> None:
    assert "PRIVATE" not in repr(load(str(config), {}))


def test_a_look_leaves_no_trace(config: Path) -> None:
    loaded = load(str(config), {}, create=False)
    assert set(loaded.sources.certificates) == {"given.test", ""}
    assert loaded.root == ""
    assert not (config.parent / "state").exists()


def test_what_is_loaded_travels(config: Path) -> None:
    loaded = load(str(config), {})
    assert unpickled(pickle.dumps(loaded)) == loaded
    with pytest.raises(TypeError):
        unpickled(pickle.dumps("loaded"))


def test_all_that_is_wrong_with_certificates_is_told_with_its_place(config: Path) -> None:
    (config.parent / "cert.pem").unlink()
    extra = "  - hosts: [c.test]\n    tls: {cert: ./c.pem, key: ./c.key}\n"
    config.write_text(TWO + extra + "    routes: [{path: /, respond: 204}]\n")
    with pytest.raises(LoadError) as told:
        load(str(config), {})
    text = str(told.value)
    assert f"{config}:9:10: sites[1].tls: " in text
    assert f"{config.parent}/c.pem: No such file" in text
    assert "3 mistakes" in text


def test_mistakes_in_the_file_come_first(config: Path) -> None:
    config.write_text(TWO.replace("state_dir", "state_dirr"))
    with pytest.raises(LoadError, match="did you mean `state_dir`"):
        load(str(config), {})


def test_what_clients_will_complain_of_is_remarked(config: Path) -> None:
    config.write_text(TWO.replace("hosts: [given.test]", "hosts: [other.test]"))
    assert any("other.test" in remark for remark in load(str(config), {}).remarks)


UPSTREAM = """
state_dir: ./state
upstreams:
  app:
    servers: ["https://app.internal"]
    tls: {ca_file: ./ca.pem}
sites: [{hosts: [a.test], tls: off, routes: [{path: /, proxy: app}]}]
"""


def test_authorities_are_read_once_and_for_all(tmp_path: Path) -> None:
    path, file, ca = tmp_path / "proxy.yaml", tmp_path / "ca.pem", trustme.CA()
    path.write_text(UPSTREAM)
    ca.cert_pem.write_to_path(file)
    loaded = load(str(path), {})
    file.unlink()
    program = compile_program(loaded.settings, loaded.sources)
    assert program.pools["app"].tls.ca_pem == ca.cert_pem.bytes().decode()
    assert "BEGIN" not in repr(loaded) + repr(program)


BROKEN = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "No such file"),
        ("nonsense", "no certificates in PEM"),
        (BROKEN, "what is no certificate among the authorities"),
    ],
)
def test_what_is_wrong_with_authorities_is_told_with_its_place(
    tmp_path: Path, content: str | None, told: str
) -> None:
    path = tmp_path / "proxy.yaml"
    path.write_text(UPSTREAM)
    if content is not None:
        (tmp_path / "ca.pem").write_text(content)
    with pytest.raises(LoadError) as failed:
        load(str(path), {})
    assert f"{path}:6:20: upstreams.app.tls.ca_file: {tmp_path}/ca.pem: {told}" in str(failed.value)


POLICIES = """
state_dir: ./state
error_pages: {404: pages/404.html}
sites:
  - hosts: [a.test]
    tls: off
    maintenance: {when: on, page: pages/later.txt}
    routes:
      - path: /
        respond: 204
        basic_auth: {users_file: users}
"""
USERS = "alice:$2b$04$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234\n"


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    path = tmp_path / "proxy.yaml"
    path.write_text(POLICIES)
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "404.html").write_text("<p>gone")
    (tmp_path / "pages" / "later.txt").write_text("later")
    (tmp_path / "users").write_text(USERS)
    return path


def test_what_policies_name_is_read_with_the_file(policies: Path) -> None:
    folder = policies.parent
    loaded = load(str(policies), {})
    assert loaded.sources.contents == {
        str(folder / "pages" / "404.html"): b"<p>gone",
        str(folder / "pages" / "later.txt"): b"later",
        str(folder / "users"): USERS.encode(),
    }
    assert "$2b$" not in repr(loaded)
    assert load(str(policies), {}, create=False).sources == loaded.sources


@pytest.mark.parametrize(
    ("name", "place", "content", "told"),
    [
        ("pages/404.html", "3:20: error_pages.404", None, "No such file or directory"),
        ("pages/404.html", "3:20: error_pages.404", b"\xff", "not UTF-8 text"),
        ("pages/later.txt", "7:35: sites[0].maintenance.page", b"x" * ((1 << 20) + 1),
         "larger than 1 MB"),
        ("users", "11:34: sites[0].routes[0].basic_auth.users_file", b"alice:hunter2\n",
         "line 1: this is not a hash by argon2id"),
        ("users", "11:34: sites[0].routes[0].basic_auth.users_file", b"", "there is no user in it"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_such_a_file_is_told_with_its_place(
    policies: Path, name: str, place: str, content: bytes | None, told: str
) -> None:
    file = policies.parent / name
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(LoadError) as failed:
        load(str(policies), {})
    text = str(failed.value)
    assert f"{policies}:{place}: {file}: {told}" in text
    assert "1 mistake in" in text
    assert "hunter2" not in text


def test_only_files_are_read(policies: Path) -> None:
    folder = policies.parent
    (folder / "users").unlink()
    os.mkfifo(folder / "users")
    (folder / "pages" / "404.html").unlink()
    (folder / "pages" / "404.html").mkdir()
    with pytest.raises(LoadError) as failed:
        load(str(policies), {})
    assert str(failed.value).count("not a regular file") == 2


def test_a_page_of_exactly_the_limit_is_taken(policies: Path) -> None:
    (policies.parent / "pages" / "later.txt").write_bytes(b"x" * NAMED_FILE_LIMIT)
    assert len(load(str(policies), {}).sources.contents) == 3
