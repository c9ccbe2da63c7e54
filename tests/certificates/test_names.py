"""Choice by server name."""

import pytest
from hypothesis import given, strategies as st

from proxy.certificates.names import CertificateTable, canonical_name

TABLE = CertificateTable(
    [
        (["Example.com", "www.example.com"], "exact"),
        (["*.example.com"], "wild"),
        (["*.b.example.com", "deep.a.example.com"], "deeper"),
        (["127.0.0.1", "[0:0::1]"], "address"),
    ]
)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("example.com", "exact"),
        ("EXAMPLE.com", "exact"),
        ("www.example.com", "exact"),
        ("other.example.com", "wild"),
        ("OTHER.Example.COM", "wild"),
        ("b.example.com", "wild"),
        ("x.b.example.com", "deeper"),
        ("deep.a.example.com", "deeper"),
        ("a.a.example.com", None),
        ("x.y.b.example.com", None),
        (".example.com", None),
        ("*.example.com", "wild"),
        ("com", None),
        ("example.com.evil", None),
        ("evilexample.com", None),
        ("", None),
        (".", None),
        ("127.0.0.1", "address"),
        ("0.0.1", None),
        ("::1", "address"),
    ],
)
def test_find(name: str, found: str | None) -> None:
    assert TABLE.find(name) == found


def test_an_empty_table_knows_nobody() -> None:
    nobody: CertificateTable[str] = CertificateTable([])
    assert nobody.find("example.com") is None


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("Example.COM.", "example.com"),
        ("192.0.2.1", "192.0.2.1"),
        ("::FFFF:192.0.2.1", "192.0.2.1"),
        ("[2001:DB8::0:1]", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("odd:name", "odd:name"),
    ],
)
def test_canonical_name(name: str, canonical: str) -> None:
    assert canonical_name(name) == canonical


@pytest.mark.parametrize("name", ["*", "*a.example", "a.*.example", "**.example", "*.*.example"])
def test_a_star_is_the_whole_first_label(name: str) -> None:
    with pytest.raises(ValueError, match="a star may only be the whole first label"):
        CertificateTable([([name], 1)])


@pytest.mark.parametrize(("one", "other"), [("a.test", "A.test"), ("*.a.test", "*.a.test.")])
def test_a_name_in_two_entries(one: str, other: str) -> None:
    with pytest.raises(ValueError, match="stands in two sites"):
        CertificateTable([([one], 1), ([other], 2)])


def test_a_name_may_be_repeated_within_an_entry() -> None:
    assert CertificateTable([(["a.test", "A.TEST"], 1)]).find("a.test") == 1


@given(st.text(max_size=40))
def test_a_name_off_the_wire_never_raises(name: str) -> None:
    canonical_name(name)
    TABLE.find(name)
