from pathlib import Path

import pytest
import trustme

from proxy.certificates.authorities import load_authorities
from proxy.certificates.pair import MAX_FILE, CertificateError

ONE, TWO = (trustme.CA().cert_pem.bytes() for _ in range(2))


def test_certificates_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    key = trustme.CA().private_key_pem.bytes()
    path.write_bytes(
        "# Zertifizierungsstelle für uns\n".encode() + ONE + key + b"2:\n" + TWO.strip()
    )
    found = load_authorities(path)
    assert found == (ONE + TWO).decode()
    assert found.isascii()


@pytest.mark.parametrize(
    "content",
    [b"", b"nonsense", ONE[:-10], ONE.replace(b"CERTIFICATE", b"PRIVATE KEY")],
    ids=["empty", "nonsense", "cut short", "a key"],
)
def test_a_file_without_certificates(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ca.pem"
    path.write_bytes(content)
    with pytest.raises(CertificateError, match=r"ca\.pem: no certificates in PEM"):
        load_authorities(path)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    with pytest.raises(CertificateError, match=r"ca\.pem: No such file"):
        load_authorities(path)
    path.write_bytes(ONE + b"#" * MAX_FILE)
    with pytest.raises(CertificateError, match=r"ca\.pem: more than"):
        load_authorities(path)
