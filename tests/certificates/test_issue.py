"""The local CA's certificates as values: constraints above all."""

import datetime as dt
import ipaddress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from proxy.certificates.issue import (
    LEAF_LIFETIME,
    LOCAL,
    ROOT_LIFETIME,
    Permitted,
    address_of,
    make_leaf,
    make_root,
    permitted_by,
    root_subject,
)

NOW = dt.datetime(2026, 11, 21, tzinfo=dt.UTC)
KEY = ec.generate_private_key(ec.SECP256R1())
LEAF_KEY = ec.generate_private_key(ec.SECP256R1())


@pytest.mark.parametrize(
    "name",
    ["localhost", "a.localhost", "*.localhost", "x.y.internal", "app.test", "printer.local",
     "127.0.0.1", "10.255.0.1", "172.31.0.1", "192.168.1.1", "::1", "fd00::1", "fe80::1"],
)  # fmt: skip
def test_local_names_are_covered(name: str) -> None:
    assert LOCAL.covers(name)


@pytest.mark.parametrize(
    "name",
    ["example.com", "*.example.com", "notlocalhost", "test.example", "172.32.0.1", "8.8.8.8", "::2",
     "2001:db8::1", "com", ""],
)  # fmt: skip
def test_others_are_not(name: str) -> None:
    assert not LOCAL.covers(name)


def test_widening_adds_what_is_missing_and_no_more() -> None:
    names = ("localhost", "*.example.com", "a.example.org", "203.0.113.7", "2001:db8::1")
    wide = LOCAL.widened(names)
    assert wide.domains - LOCAL.domains == {"example.com", "a.example.org"}
    assert wide.networks - LOCAL.networks == {
        ipaddress.ip_network("203.0.113.7/32"),
        ipaddress.ip_network("2001:db8::1/128"),
    }
    assert all(map(wide.covers, names))
    assert not wide.covers("example.org")
    assert not wide.covers("203.0.113.8")
    assert wide.widened(names) == wide


def test_constraints_come_back_from_the_certificate() -> None:
    wide = LOCAL.widened(["a.example", "203.0.113.7", "2001:db8::1"])
    assert permitted_by(make_root(KEY, root_subject("m"), wide, NOW)) == wide


def test_a_certificate_without_constraints_is_none_of_ours() -> None:
    root = make_root(KEY, root_subject("m"), LOCAL, NOW)
    assert permitted_by(make_leaf(LEAF_KEY, root, KEY, ("localhost",), NOW)) is None


def test_an_empty_set_of_constraints_covers_nothing() -> None:
    nothing = Permitted(frozenset(), frozenset())
    assert not nothing.covers("localhost")
    assert not nothing.covers("127.0.0.1")


@pytest.mark.parametrize("machine", ["vm", "", "x" * 200, "m\u00fcnchen"])
def test_the_root_names_the_machine(machine: str) -> None:
    (name,) = root_subject(machine).get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    assert str(name.value).startswith(f"pyproxy local CA on {machine[:40] or 'this machine'}")
    assert len(name.value) <= 64


def test_a_leaf_ends_no_later_than_its_root() -> None:
    root = make_root(KEY, root_subject("m"), LOCAL, NOW)
    late = NOW + ROOT_LIFETIME - LEAF_LIFETIME / 2
    leaf = make_leaf(LEAF_KEY, root, KEY, ("localhost",), late)
    assert leaf.not_valid_after_utc == root.not_valid_after_utc


def test_extensions_that_have_to_be_critical_are() -> None:
    root = make_root(KEY, root_subject("m"), LOCAL, NOW)
    leaf = make_leaf(LEAF_KEY, root, KEY, ("localhost",), NOW)
    for certificate, critical in (
        (root, {"basicConstraints", "keyUsage", "nameConstraints"}),
        (leaf, {"basicConstraints", "keyUsage"}),
    ):
        found = {each.oid._name for each in certificate.extensions if each.critical}
        assert found == critical


@pytest.mark.parametrize(
    ("name", "is_one"), [("127.0.0.1", True), ("::1", True), ("1.2.3", False), ("a.test", False)]
)
def test_address_of(name: str, *, is_one: bool) -> None:
    assert (address_of(name) is not None) == is_one
