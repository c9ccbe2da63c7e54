"""What a certificate says."""

import datetime as dt

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from proxy.certificates.reading import belongs, issued_by, names_of

CA = trustme.CA()
KEY = ec.generate_private_key(ec.SECP256R1())


def issued(authority: trustme.CA, *names: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(authority.issue_cert(*names).cert_chain_pems[0].bytes())


def root_of(authority: trustme.CA) -> x509.Certificate:
    return x509.load_pem_x509_certificate(authority.cert_pem.bytes())


def certificate(alternative: x509.ExtensionType | None) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "common.test")])
    begin = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    builder = x509.CertificateBuilder(name, name, KEY.public_key(), 1, begin, begin)
    if alternative is not None:
        builder = builder.add_extension(alternative, critical=False)
    return builder.sign(KEY, hashes.SHA256())


def test_names_are_in_one_spelling_and_order() -> None:
    assert names_of(issued(CA, "B.test", "*.a.test", "0::1", "127.0.0.1")) == (
        "b.test",
        "*.a.test",
        "::1",
        "127.0.0.1",
    )


def test_a_common_name_is_no_name() -> None:
    assert names_of(certificate(None)) == ()


def test_other_kinds_of_names_are_left_out() -> None:
    mail = x509.SubjectAlternativeName([x509.RFC822Name("a@b.test"), x509.DNSName("c.test")])
    assert names_of(certificate(mail)) == ("c.test",)


@pytest.mark.parametrize("broken", [b"", b"\x30\x05", b"\x30\x03\x85\x01\x00"])
def test_names_that_cannot_be_read_are_none(broken: bytes) -> None:
    oid = x509.SubjectAlternativeName.oid
    assert names_of(certificate(x509.UnrecognizedExtension(oid, broken))) == ()


def test_whose_key_it_holds() -> None:
    own = certificate(None)
    assert belongs(own, KEY)
    assert not belongs(own, ec.generate_private_key(ec.SECP256R1()))


def test_who_signed_it() -> None:
    leaf = issued(CA, "a.test")
    assert issued_by(leaf, root_of(CA))
    assert not issued_by(leaf, root_of(trustme.CA()))
    assert not issued_by(leaf, leaf)
    # The right name with the wrong key.
    assert issued_by(certificate(None), certificate(None))
    name = certificate(None).subject
    other = ec.generate_private_key(ec.SECP256R1())
    begin = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    namesake = x509.CertificateBuilder(name, name, other.public_key(), 1, begin, begin)
    assert not issued_by(certificate(None), namesake.sign(other, hashes.SHA256()))
