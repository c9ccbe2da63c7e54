"""Choice by server name: exact names, then wildcards that stand for one label (RFC 9525, 6.3)."""

import ipaddress
from collections.abc import Iterable
from typing import Generic, TypeVar

Chosen = TypeVar("Chosen")


def canonical_name(name: str) -> str:
    """Return the spelling names are compared in: lower case, no final dot, addresses in short.

    An IPv4 address inside an IPv6 one (`::ffff:192.0.2.1`), as a socket for both kinds reports it,
    is the IPv4 address. Brackets around an address and its zone are dropped.
    """
    bare = name.lower().removesuffix(".")
    if ":" not in bare:
        return bare
    try:
        address = ipaddress.IPv6Address(bare.strip("[]").partition("%")[0])
    except ValueError:
        return bare
    return str(address.ipv4_mapped or address)


class CertificateTable(Generic[Chosen]):
    """Names to whatever serves them. Made once per load, then only read."""

    __slots__ = ("_exact", "_wildcards")

    def __init__(self, entries: Iterable[tuple[Iterable[str], Chosen]]) -> None:
        """Take (names, what serves them); a name is exact, an IP address, or `*.` and a domain.

        Raises:
            ValueError: A name stands in two entries, or a star is not the whole first label.
        """
        self._exact: dict[str, Chosen] = {}
        self._wildcards: dict[str, Chosen] = {}
        for names, chosen in entries:
            for name in {canonical_name(each) for each in names}:
                self._add(name, chosen)

    def _add(self, name: str, chosen: Chosen) -> None:
        rest = name.removeprefix("*")
        if "*" in rest or (rest != name and not rest.startswith(".")):
            raise ValueError(f"{name}: a star may only be the whole first label")
        table, key = (self._exact, name) if rest == name else (self._wildcards, rest)
        if key in table:
            raise ValueError(f"{name} stands in two sites")
        table[key] = chosen

    def find(self, name: str) -> Chosen | None:
        """Return what serves a server name or address, or None.

        `*.a.example` serves `b.a.example`, neither `a.example` nor `c.b.a.example`.
        """
        lower = name.lower()
        found = self._exact.get(lower)
        if found is not None:
            return found
        label, dot, domain = lower.partition(".")
        return self._wildcards.get(dot + domain) if label and domain else None
