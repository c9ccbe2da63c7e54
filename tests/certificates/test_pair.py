"""Reading pairs from files: what is refused, what is only reported, and how it is said."""

import datetime as dt
import grp
import os
import pwd
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from proxy.certificates.issue import LOCAL, make_leaf, make_root, root_subject
from proxy.certificates.pair import MAX_FILE, CertificateError, load_pair
from tests.fakes.processes import ended, start

CA = trustme.CA()
BETWEEN = CA.create_child_ca()
LEAF = BETWEEN.issue_cert("a.test", "*.b.test", "127.0.0.1", "::1")
CHAIN = [each.bytes() for each in LEAF.cert_chain_pems]
KEY = LEAF.private_key_pem.bytes()
OTHER = CA.issue_cert("a.test")


@pytest.fixture
def cert(tmp_path: Path) -> Path:
    path = tmp_path / "cert.pem"
    path.write_bytes(b"".join(CHAIN))
    return path


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key.pem"
    path.touch(0o600)
    path.write_bytes(KEY)
    return path


def refused(cert: Path, key: Path, passphrase: bytes | None = None) -> str:
    with pytest.raises(CertificateError) as caught:
        load_pair(cert, key, passphrase)
    assert caught.value.__cause__ is None
    return str(caught.value)


def test_a_pair(cert: Path, key: Path) -> None:
    pair = load_pair(cert, key)
    assert pair.names == ("a.test", "*.b.test", "127.0.0.1", "::1")
    assert pair.key_type == "EC P-256"
    assert pair.chain_length == 2
    assert pair.warnings == ()
    assert pair.chain_pem == b"".join(CHAIN)
    assert pair.not_before < pair.not_after
    assert pair.not_after.tzinfo is not None
    assert "PRIVATE" not in repr(pair)


def test_one_file_with_both_and_words_between(cert: Path) -> None:
    cert.write_bytes(b"Bag Attributes\n" + KEY + b"subject=CN = a\n" + b"\r\n".join(CHAIN))
    cert.chmod(0o600)
    pair = load_pair(cert, cert)
    assert pair.chain_pem == b"".join(CHAIN)
    assert pair.key_pem.startswith(b"-----BEGIN PRIVATE KEY-----")


# The key's forms


def pem(private: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, form: PrivateFormat) -> bytes:
    return private.private_bytes(Encoding.PEM, form, NoEncryption())


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_forms_of_a_key(cert: Path, key: Path, form: PrivateFormat) -> None:
    private = load_pem_private_key(KEY, None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    # As `openssl ecparam -genkey` writes it, with the curve in front.
    curve = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    key.write_bytes(curve + pem(private, form))
    assert load_pair(cert, key).key_type == "EC P-256"


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_an_encrypted_key(cert: Path, key: Path, form: PrivateFormat) -> None:
    private = load_pem_private_key(KEY, None)
    locked = private.private_bytes(Encoding.PEM, form, BestAvailableEncryption(b"open sesame"))
    key.write_bytes(locked)
    assert refused(cert, key) == f"{key}: the key is encrypted and no passphrase is given"
    wrong = refused(cert, key, b"open barley")
    assert wrong == f"{key}: wrong passphrase, or the key is damaged"
    assert b"ENCRYPTED" not in load_pair(cert, key, b"open sesame").key_pem


def test_a_passphrase_for_a_key_that_needs_none(cert: Path, key: Path) -> None:
    assert load_pair(cert, key, b"open sesame").chain_length == 2


def self_signed(
    tmp_path: Path, private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
) -> tuple[Path, Path]:
    """A pair of any key type, made with the one builder there is."""
    now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    made = make_root(private, root_subject("x"), LOCAL, now)  # type: ignore[arg-type]
    cert, key = tmp_path / "own.pem", tmp_path / "own.key"
    cert.write_bytes(made.public_bytes(Encoding.PEM))
    key.touch(0o600)
    key.write_bytes(pem(private, PrivateFormat.PKCS8))
    return cert, key


@pytest.mark.parametrize(
    ("private", "said"),
    [
        (rsa.generate_private_key(65537, 2048), "RSA 2048"),
        (ec.generate_private_key(ec.SECP384R1()), "EC P-384"),
        (ec.generate_private_key(ec.SECP521R1()), "EC P-521"),
        (ec.generate_private_key(ec.SECP256K1()), "EC secp256k1"),
    ],
)
def test_types_of_keys(
    tmp_path: Path, private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, said: str
) -> None:
    pair = load_pair(*self_signed(tmp_path, private))
    assert pair.key_type == said
    assert pair.names == ()
    assert pair.warnings == ()


def test_an_ed25519_key(tmp_path: Path) -> None:
    private = ed25519.Ed25519PrivateKey.generate()
    name = root_subject("x")
    begin = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    made = x509.CertificateBuilder(name, name, private.public_key(), 1, begin, begin)
    both = tmp_path / "both.pem"
    both.write_bytes(
        made.sign(private, None).public_bytes(Encoding.PEM)
        + private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    assert load_pair(both, both).key_type == "Ed25519"


def test_a_short_key_is_reported(tmp_path: Path) -> None:
    private = rsa.generate_private_key(65537, 1024)  # noqa: S505 - what is to be reported
    (warning,) = load_pair(*self_signed(tmp_path, private)).warnings
    assert "an RSA key of 1024 bits; clients ask for 2048 at least" in warning


@pytest.mark.parametrize(
    "private",
    [
        x25519.X25519PrivateKey.generate(),
        dsa.generate_private_key(1024),  # noqa: S505 - refused, and quickly made
    ],
)
def test_keys_that_tls_cannot_use(
    cert: Path, key: Path, private: x25519.X25519PrivateKey | dsa.DSAPrivateKey
) -> None:
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    assert "is no key for TLS" in refused(cert, key)


def test_an_ed25519_key_of_another_certificate(cert: Path, key: Path) -> None:
    private = ed25519.Ed25519PrivateKey.generate()
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    assert refused(cert, key) == f"{key}: not the key of the certificate in {cert}"


# What is refused


def test_missing_files(cert: Path, key: Path, tmp_path: Path) -> None:
    missing = tmp_path / "missing.pem"
    assert refused(missing, key) == f"{missing}: No such file or directory"
    assert refused(cert, missing) == f"{missing}: No such file or directory"


def test_a_folder_and_a_pipe(cert: Path, key: Path, tmp_path: Path) -> None:
    assert refused(tmp_path, key) == f"{tmp_path}: Is a directory"
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert refused(cert, pipe) == f"{pipe}: not a file"


def test_a_file_of_any_size_but_a_certificate_s(cert: Path, key: Path) -> None:
    cert.write_bytes(bytes(MAX_FILE + 1))
    assert refused(cert, key).startswith(f"{cert}: more than 1048576 bytes")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def as_nobody(judge: Path, cert: Path, key: Path) -> str:
    """What a process without rights is told."""

    def call() -> None:
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        try:
            load_pair(cert, key)
        except CertificateError as error:
            judge.write_text(str(error))

    judge.touch()
    judge.chmod(0o666)
    assert ended(start(call)) == 0
    return judge.read_text()


def test_a_key_that_may_not_be_read(open_folder: Path) -> None:
    cert, key = open_folder / "cert.pem", open_folder / "key.pem"
    cert.write_bytes(CHAIN[0])
    cert.chmod(0o644)
    key.write_bytes(KEY)
    key.chmod(0o000)
    said = as_nobody(open_folder / "said", cert, key)
    assert said.startswith(f"{key}: not readable by ")
    assert ": it belongs to " in said
    assert said.endswith(", mode 0000")


def test_a_folder_that_may_not_be_entered(open_folder: Path) -> None:
    closed = open_folder / "closed"
    closed.mkdir()
    (closed / "cert.pem").write_bytes(CHAIN[0])
    closed.chmod(0o000)
    said = as_nobody(open_folder / "said", closed / "cert.pem", closed / "key.pem")
    closed.chmod(0o700)
    assert said.startswith(f"{closed / 'cert.pem'}: not readable by ")
    assert said.endswith(", nor is its folder")


def test_whose_the_file_is(cert: Path, key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same where nobody can change to another user."""
    opened = os.open

    def closed(path: str, flags: int) -> int:
        if path == str(key):
            raise PermissionError
        return opened(path, flags)

    monkeypatch.setattr(os, "open", closed)
    me = pwd.getpwuid(os.geteuid()).pw_name
    group = grp.getgrgid(key.stat().st_gid).gr_name
    assert refused(cert, key) == (
        f"{key}: not readable by {me}: it belongs to {me}:{group}, mode 0600"
    )
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    assert refused(cert, key).startswith(f"{key}: not readable by user 54321: ")


@pytest.mark.parametrize("data", [b"", b"nonsense", KEY, b"-----BEGIN CERTIFICATE-----\nMII"])
def test_no_certificate(cert: Path, key: Path, data: bytes) -> None:
    cert.write_bytes(data)
    assert refused(cert, key).startswith(f"{cert}: no certificate in PEM")


def test_a_damaged_certificate(cert: Path, key: Path) -> None:
    lines = CHAIN[1].splitlines()
    del lines[3]
    cert.write_bytes(CHAIN[0] + b"\n".join(lines))
    assert refused(cert, key) == f"{cert}: certificate 2 is damaged"


@pytest.mark.parametrize("data", [b"", b"nonsense", CHAIN[0]])
def test_no_key(cert: Path, key: Path, data: bytes) -> None:
    key.write_bytes(data)
    assert refused(cert, key).startswith(f"{key}: no private key in PEM")


def test_a_damaged_key(cert: Path, key: Path) -> None:
    lines = KEY.splitlines()
    del lines[2]
    key.write_bytes(b"\n".join(lines))
    assert refused(cert, key) == f"{key}: the key is damaged"


def test_the_key_of_another_certificate(cert: Path, key: Path) -> None:
    key.write_bytes(OTHER.private_key_pem.bytes())
    assert refused(cert, key) == f"{key}: not the key of the certificate in {cert}"


def test_a_chain_that_begins_with_the_issuer(cert: Path, key: Path) -> None:
    cert.write_bytes(b"".join(reversed(CHAIN)))
    assert "has to stand first, not as number 2 of 2" in refused(cert, key)


# What is reported


def test_a_chain_out_of_order_is_reported_and_left_as_it_is(cert: Path, key: Path) -> None:
    chain = CHAIN[0] + OTHER.cert_chain_pems[0].bytes() + CHAIN[1]
    cert.write_bytes(chain)
    pair = load_pair(cert, key)
    assert pair.chain_pem == chain
    assert pair.warnings == (
        f"{cert}: certificate 2 is not the issuer of certificate 1",
        f"{cert}: certificate 3 is not the issuer of certificate 2",
    )


def test_a_whole_chain_with_its_root(cert: Path, key: Path) -> None:
    cert.write_bytes(b"".join(CHAIN) + CA.cert_pem.bytes())
    assert load_pair(cert, key).warnings == ()


@pytest.mark.parametrize(("mode", "reported"), [(0o644, True), (0o602, True), (0o640, False)])
def test_a_key_that_everybody_may_read(cert: Path, key: Path, mode: int, *, reported: bool) -> None:
    key.chmod(mode)
    warnings = load_pair(cert, key).warnings
    assert [f"(mode {mode:04o})" in warning for warning in warnings] == [True] * reported


def test_troubles() -> None:
    now = dt.datetime(2026, 11, 21, tzinfo=dt.UTC)
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = make_root(root_key, root_subject("x"), LOCAL, now)
    leaf = make_leaf(key, root, root_key, ("a.test", "*.b.test", "::1"), now)
    with tempfile.TemporaryDirectory() as folder:
        cert = Path(folder, "both.pem")
        cert.write_bytes(leaf.public_bytes(Encoding.PEM) + pem(key, PrivateFormat.PKCS8))
        pair = load_pair(cert, cert)
    day = dt.timedelta(days=1)
    assert pair.troubles(["A.test", "*.b.test", "x.b.test", "[0::1]"], now) == []
    assert pair.troubles([], now + 397 * day) == ["expired on 2027-12-22 23:00 UTC"]
    assert pair.troubles([], now - day) == ["not valid before 2026-11-20 23:00 UTC"]
    assert pair.troubles(["a.test", "b.test", "x.y.b.test", "*.a.test"], now) == [
        "is for a.test, *.b.test, ::1, not for b.test, x.y.b.test, *.a.test"
    ]
