"""The local CA: what it makes, when it makes it anew, and what bad days do to it."""

import datetime as dt
import shutil
import ssl
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.verification import PolicyBuilder, Store

from proxy.certificates.local_ca import (
    CertificateFiles,
    LocalRoot,
    ensure_leaf,
    ensure_root,
)
from proxy.certificates.pair import CertificateError, load_pair
from tests.fakes.processes import ended, killed_at, start
from tests.fakes.tls_memory import End, shake

NOW = dt.datetime(2026, 11, 21, 12, 0, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
NAMES = ("localhost", "*.app.test", "127.0.0.1", "::1")


def certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def content(files: CertificateFiles) -> tuple[bytes, bytes]:
    return files.cert_path.read_bytes(), files.key_path.read_bytes()


def verified(files: CertificateFiles, state: Path, name: str, now: dt.datetime = NOW) -> None:
    """Raise unless a strict client, not ours, takes the certificate for a name."""
    root = certificate(state / "local-ca" / "root.pem")
    subject = x509.DNSName(name)
    verifier = PolicyBuilder().store(Store([root])).time(now).build_server_verifier(subject)
    verifier.verify(certificate(files.cert_path), [])


# What it makes


def test_the_root(tmp_path: Path) -> None:
    root = ensure_root(tmp_path, NOW)
    made = certificate(root.cert_path)
    constraints = made.extensions.get_extension_for_class(x509.BasicConstraints)
    assert root.is_new
    assert (constraints.value.ca, constraints.value.path_length, constraints.critical) == (
        True, 0, True,
    )  # fmt: skip
    assert made.subject == made.issuer
    assert "pyproxy local CA on " in made.subject.rfc4514_string()
    assert root.not_after - NOW == 3650 * DAY
    assert len(root.fingerprint) == 95
    assert load_pair(root.cert_path, root.key_path).key_type == "EC P-256"


def test_it_is_private(tmp_path: Path) -> None:
    files = ensure_leaf(tmp_path, NAMES, NOW)
    root = ensure_root(tmp_path, NOW)
    for path, mode in (
        (root.cert_path.parent, 0o700),
        (root.key_path, 0o600),
        (files.cert_path.parent, 0o700),
        (files.key_path, 0o600),
    ):
        assert stat.S_IMODE(path.stat().st_mode) == mode
    assert "KEY" not in repr(root)


def test_a_leaf(tmp_path: Path) -> None:
    files = ensure_leaf(tmp_path, NAMES, NOW)
    pair = load_pair(files.cert_path, files.key_path)
    assert files.cert_path == tmp_path / "self-signed" / "localhost" / "cert.pem"
    assert files.key_path == tmp_path / "self-signed" / "localhost" / "key.pem"
    assert set(pair.names) == set(NAMES)
    assert pair.warnings == ()
    assert pair.troubles(("LOCALHOST", "x.app.test", "127.0.0.1", "::1"), NOW) == []
    assert pair.not_before < NOW
    assert pair.not_after - pair.not_before <= 397 * DAY
    assert certificate(files.cert_path).serial_number != certificate(
        tmp_path / "local-ca" / "root.pem"
    ).serial_number  # fmt: skip


@pytest.mark.parametrize("name", ["localhost", "x.app.test"])
def test_a_strict_client_takes_it(tmp_path: Path, name: str) -> None:
    verified(ensure_leaf(tmp_path, NAMES, NOW), tmp_path, name)


@pytest.mark.parametrize("name", ["other.test", "x.y.app.test", "example.com"])
def test_no_client_takes_it_for_other_names(tmp_path: Path, name: str) -> None:
    files = ensure_leaf(tmp_path, NAMES, NOW)
    with pytest.raises(x509.verification.VerificationError):
        verified(files, tmp_path, name)


PUBLIC = ("shop.example.com", "*.example.org", "203.0.113.7", "2001:db8::7")


@pytest.mark.parametrize("name", [*NAMES[::2], "x.app.test", *PUBLIC[::2], "x.example.org"])
def test_openssl_takes_it(tmp_path: Path, name: str) -> None:
    # By the machine's own clock, since OpenSSL asks that.
    now = dt.datetime.fromtimestamp((tmp_path).stat().st_mtime, dt.UTC)
    files = ensure_leaf(tmp_path, NAMES + PUBLIC, now)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(files.cert_path, files.key_path)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    client.load_verify_locations(tmp_path / "local-ca" / "root.pem")
    ends = End(), End()
    shake(
        client.wrap_bio(ends[0].incoming, ends[0].outgoing, server_hostname=name),
        ends[0],
        server.wrap_bio(ends[1].incoming, ends[1].outgoing, server_side=True),
        ends[1],
    )
    assert ends[0].error is None
    assert ends[0].done


# Names


def test_a_name_that_means_something_outside_widens_the_root(tmp_path: Path) -> None:
    first = ensure_root(tmp_path, NOW, ("localhost",))
    old_leaf = ensure_leaf(tmp_path, ("localhost",), NOW)
    old_root = certificate(first.cert_path)
    files = ensure_leaf(tmp_path, ("shop.example.com", "203.0.113.7"), NOW)
    verified(files, tmp_path, "shop.example.com")
    second = ensure_root(tmp_path, NOW, ("shop.example.com",))
    new_root = certificate(second.cert_path)
    assert first.fingerprint != second.fingerprint
    assert not second.is_new
    # Same key and name: the leaf made before serves on, with either root.
    assert new_root.public_key() == old_root.public_key()
    assert content(old_leaf) == content(ensure_leaf(tmp_path, ("localhost",), NOW))
    certificate(old_leaf.cert_path).verify_directly_issued_by(old_root)
    certificate(old_leaf.cert_path).verify_directly_issued_by(new_root)


def test_a_widened_root_stays_wide(tmp_path: Path) -> None:
    ensure_root(tmp_path, NOW, ("a.example",))
    ensure_root(tmp_path, NOW, ("b.example",))
    assert not ensure_root(tmp_path, NOW, ("x.a.example", "*.b.example")).is_new
    assert ensure_root(tmp_path, NOW + 3500 * DAY).is_new
    assert not ensure_root(tmp_path, NOW + 3500 * DAY, ("a.example", "b.example")).is_new


def test_a_wildcard_first(tmp_path: Path) -> None:
    files = ensure_leaf(tmp_path, ("*.app.test",), NOW)
    assert files.cert_path.parent.name == "_wildcard.app.test"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "..",
        "../x",
        "a/b",
        "/etc",
        "a..b",
        ".a",
        "a\nb",
        "a b",
        "*",
        "a*",
        "\u00e4.test",
        "a\0b",
    ],
)
def test_what_is_no_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(CertificateError, match="no name"):
        ensure_leaf(tmp_path, (name,), NOW)
    assert list(tmp_path.iterdir()) == []


def test_no_names(tmp_path: Path) -> None:
    with pytest.raises(CertificateError, match="needs a name"):
        ensure_leaf(tmp_path, (), NOW)


# When it is made anew


def test_the_second_call_changes_nothing(tmp_path: Path) -> None:
    root, files = ensure_root(tmp_path, NOW), ensure_leaf(tmp_path, NAMES, NOW)
    before = content(files), root.cert_path.read_bytes(), root.key_path.read_bytes()
    again = ensure_root(tmp_path, NOW + 30 * DAY)
    assert ensure_leaf(tmp_path, reversed(NAMES[1:]), NOW) != files
    assert ensure_leaf(tmp_path, (NAMES[0], *reversed(NAMES[1:])), NOW + 30 * DAY) == files
    assert (content(files), again.cert_path.read_bytes(), again.key_path.read_bytes()) == before
    assert not again.is_new
    assert again.fingerprint == root.fingerprint


def remade(tmp_path: Path, names: tuple[str, ...] = NAMES, later: dt.timedelta = 0 * DAY) -> bool:
    path = tmp_path / "self-signed" / "localhost" / "cert.pem"
    before = path.read_bytes()
    files = ensure_leaf(tmp_path, names, NOW + later)
    load_pair(files.cert_path, files.key_path)
    verified(files, tmp_path, "localhost", NOW + later)
    return path.read_bytes() != before


@pytest.mark.parametrize(("days", "anew"), [(264, False), (265, True), (1000, True), (-1, True)])
def test_a_leaf_is_renewed_with_a_third_left(tmp_path: Path, days: int, *, anew: bool) -> None:
    ensure_leaf(tmp_path, NAMES, NOW)
    ensure_root(tmp_path, NOW - DAY)
    assert remade(tmp_path, later=days * DAY) == anew


@pytest.mark.parametrize("names", [NAMES[:-1], (*NAMES, "more.test")])
def test_a_leaf_for_other_names_is_made_anew(tmp_path: Path, names: tuple[str, ...]) -> None:
    ensure_leaf(tmp_path, NAMES, NOW)
    assert remade(tmp_path, names)


@pytest.mark.parametrize("lost", ["root.key", "root.pem"])
def test_a_lost_root(tmp_path: Path, lost: str) -> None:
    ensure_leaf(tmp_path, NAMES, NOW)
    (tmp_path / "local-ca" / lost).unlink()
    assert ensure_root(tmp_path, NOW).is_new
    # With the key at hand, the new root's signatures are the old one's.
    assert remade(tmp_path) == (lost == "root.key")


def test_the_root_outlives_its_leaves(tmp_path: Path) -> None:
    ensure_root(tmp_path, NOW)
    late = NOW + 3252 * DAY
    assert not ensure_root(tmp_path, late).is_new
    files = ensure_leaf(tmp_path, NAMES, late)
    verified(files, tmp_path, "localhost", late + 396 * DAY)
    assert ensure_root(tmp_path, late + 2 * DAY).is_new


@pytest.mark.parametrize("damage", [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nMIIB\n"])
@pytest.mark.parametrize(
    "damaged", ["local-ca/root.pem", "local-ca/root.key", "self-signed/localhost/cert.pem",
                "self-signed/localhost/key.pem"],
)  # fmt: skip
def test_what_is_damaged_is_made_anew(tmp_path: Path, damaged: str, damage: bytes) -> None:
    ensure_leaf(tmp_path, NAMES, NOW)
    (tmp_path / damaged).write_bytes(damage)
    files = ensure_leaf(tmp_path, NAMES, NOW)
    load_pair(files.cert_path, files.key_path)
    verified(files, tmp_path, "localhost")


def test_a_root_of_another_making_is_not_signed_with(tmp_path: Path) -> None:
    """A leaf with its own key in the root's place has no constraints, and is no CA."""
    files = ensure_leaf(tmp_path, NAMES, NOW)
    shutil.copy(files.cert_path, tmp_path / "local-ca" / "root.pem")
    shutil.copy(files.key_path, tmp_path / "local-ca" / "root.key")
    assert ensure_root(tmp_path, NOW).is_new
    assert remade(tmp_path)


@pytest.mark.parametrize("path", ["local-ca/root.key", "self-signed/localhost/key.pem"])
def test_a_key_of_another_kind_is_replaced(tmp_path: Path, path: str) -> None:
    ensure_leaf(tmp_path, NAMES, NOW)
    other = ec.generate_private_key(ec.SECP384R1())
    pem = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / path).write_bytes(pem)
    assert remade(tmp_path)


# Bad days


def test_a_kill_at_any_step_leaves_a_usable_state(tmp_path: Path) -> None:
    step = 0
    while True:
        state = tmp_path / str(step)
        more = killed_at(step, lambda: ensure_leaf(state, NAMES, NOW))  # noqa: B023 - called at once
        files = ensure_leaf(state, NAMES, NOW)
        load_pair(files.cert_path, files.key_path)
        verified(files, state, "localhost")
        unfinished = [path.name for path in state.rglob(".unfinished-*")]
        assert unfinished == []
        if not more:
            break
        step += 1
    # Four files, each opened, renamed and its folder synced, and more.
    assert step >= 16


@pytest.mark.parametrize("then", [300 * DAY, 3500 * DAY])
def test_a_kill_in_a_renewal_leaves_what_was_or_what_comes(
    tmp_path: Path, then: dt.timedelta
) -> None:
    files = ensure_leaf(tmp_path, NAMES, NOW)
    step = 0
    while killed_at(step, lambda: ensure_leaf(tmp_path, NAMES, NOW + then)):
        # Without any repair, what lies there is a pair.
        load_pair(files.cert_path, files.key_path)
        load_pair(tmp_path / "local-ca" / "root.pem", tmp_path / "local-ca" / "root.key")
        step += 1
    assert step >= 3
    verified(files, tmp_path, "localhost", NOW + then)


def test_many_processes_at_once_agree(tmp_path: Path) -> None:
    def one(number: int) -> Callable[[], object]:
        def call() -> None:
            files = ensure_leaf(tmp_path, NAMES, NOW)
            (tmp_path / f"seen{number}").write_bytes(b"".join(content(files)))

        return call

    children = [start(one(number)) for number in range(6)]
    assert [ended(child) for child in children] == [0] * 6
    assert len({(tmp_path / f"seen{number}").read_bytes() for number in range(6)}) == 1
    verified(ensure_leaf(tmp_path, NAMES, NOW), tmp_path, "localhost")


def test_a_state_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CertificateError, match="file"):
        ensure_root(tmp_path / "file", NOW)
    with pytest.raises(CertificateError, match="file"):
        ensure_leaf(tmp_path / "file", NAMES, NOW)


@pytest.mark.needs("openssl")
@pytest.mark.parametrize(
    "check",
    [("-verify_hostname", "x.app.test"), ("-verify_ip", "127.0.0.1"), ("-verify_ip", "::1")],
)
def test_the_openssl_command_takes_it(tmp_path: Path, check: tuple[str, str]) -> None:
    files = ensure_leaf(tmp_path, NAMES, NOW)
    root: LocalRoot = ensure_root(tmp_path, NOW)
    at = str(int(NOW.timestamp()))
    done = subprocess.run(
        ["openssl", "verify", "-x509_strict", "-attime", at, *check, "-CAfile", root.cert_path,
         files.cert_path],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
